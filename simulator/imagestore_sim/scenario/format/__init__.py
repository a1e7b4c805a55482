"""The format of a scenario file: what it may hold, and the reader."""
