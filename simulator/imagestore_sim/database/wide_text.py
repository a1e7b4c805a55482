"""Texts that ZStack's database cannot hold: its columns have three bytes a character."""

from __future__ import annotations

_LAST_OF_THREE_BYTES = "\uffff"


def is_wide(text: str) -> bool:
    """Return whether a text has a character of four UTF-8 bytes (observed 5)."""
    return not text.isascii() and max(text) > _LAST_OF_THREE_BYTES
