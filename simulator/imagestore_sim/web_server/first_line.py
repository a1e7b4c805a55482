"""An error in one line of a log or an answer."""

from __future__ import annotations


def first_line(of: object) -> str:
    """Return the text of an error in one line, at most 200 characters that any output can encode."""
    return " ".join(str(of).split())[:200].encode(errors="replace").decode()
