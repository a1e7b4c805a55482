"""The corpus of recorded answers, and what sends its calls to a node and compares.

`corpus` reads calls and deviations, `wire` sends one request byte by byte, `masks` takes out of an answer what differs
from run to run, `runner` follows each call to its end and compares.
"""
