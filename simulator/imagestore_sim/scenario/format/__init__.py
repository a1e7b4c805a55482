"""The format of a scenario file: its model, and its reader."""
