"""Names in ZStack's query language: words joined by dots, none of them a keyword or a number (query-semantics 2)."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = r"[A-Za-z0-9_]+"
NAME = re.compile(rf"{WORD}(?:\.{WORD})*")
KEYWORDS = re.compile(
    "and|api|asc|by|count|desc|false|from|getapi|has|in|inner|join|left|like|limit|offset|on|or|output|query|right"
    "|search|sum|true|where"
)


LONGEST_KEPT = 256
"""Results for longer texts, in characters, are not cached, so that clients cannot fill the memory."""


def is_name(text: str) -> bool:
    """Return whether ZStack's parser reads the text as one name."""
    return _is_known_name(text) if len(text) <= LONGEST_KEPT else _is_name(text)


def _is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text)) and not any(
        KEYWORDS.fullmatch(part) or part.isdigit() for part in text.split(".")
    )


_is_known_name = lru_cache(maxsize=1024)(_is_name)
