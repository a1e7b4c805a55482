"""The corpus of recorded answers of ZStack, and its comparison with those of a node.

`corpus` reads calls and deviations, `wire` sends one request byte by byte, `masks` hides the parts of an answer that
differ from run to run, `runner` follows each call to its end, and `comparing` asks two nodes the same.
"""
