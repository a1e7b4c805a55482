"""Names and passwords as SSH compares them (SASLprep, RFC 4013), without the work for those that it leaves alone.

asyncssh looks each character up in the tables of stringprep, some twenty times, on both sides of each login.
"""

from __future__ import annotations

from asyncssh import auth, connection
from asyncssh.saslprep import saslprep


def prepared(text: str) -> str:
    """Return a name or a password as it is sent and compared. Raise SASLPrepError, a ValueError."""
    # No table has a printable character of ASCII, and normalization changes none.
    return text if text.isascii() and text.isprintable() else saslprep(text)


def prepare_quickly() -> None:
    """Have asyncssh's servers prepare what clients send by `prepared`, which gives the same."""
    for module in (auth, connection):
        vars(module)["saslprep"] = prepared
