"""What may stand for a name in ZStack's query language: words with dots between them, none a keyword or a number
(query-semantics 2)."""

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
"""The characters of a text that something may be remembered of: what clients make up is not to fill the memory."""


def is_name(text: str) -> bool:
    """Whether ZStack's parser reads the text as one name."""
    return _is_known_name(text) if len(text) <= LONGEST_KEPT else _is_name(text)


def _is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text)) and not any(
        KEYWORDS.fullmatch(part) or part.isdigit() for part in text.split(".")
    )


_is_known_name = lru_cache(maxsize=1024)(_is_name)
