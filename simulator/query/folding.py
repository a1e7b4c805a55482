"""How MariaDB's utf8_general_ci sees text: without case, accents and (but for LIKE) spaces at its end
(query-semantics 3).


SQLite compares bytes. What it can do natively for ASCII text it does; for other text it calls these functions.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4096)
def _weigh(character: str) -> str:
    """The one character that stands for all that are equal to it: upper-case, without its accents."""
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if marks and all(map(unicodedata.combining, marks)):
        character = base
    if character == "ß":
        return "S"
    upper = character.upper()
    return upper if len(upper) == 1 else character


def fold(text: str) -> str:
    """Text that compares, byte by byte, as `text` does in MariaDB but for trailing spaces."""
    return text.upper() if text.isascii() else "".join(map(_weigh, text))


def fold_padded(text: str | None) -> str | None:
    """The same without the trailing spaces, which count for nothing in a comparison."""
    return None if text is None else fold(text).rstrip(" ")


@lru_cache(maxsize=256)
def _read_pattern(pattern: str) -> tuple[str | None, ...]:
    """The pattern's characters; the wildcards `%` and `_` as None and the empty string."""
    found: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            found.append(next(characters, "\\"))
        else:
            found.append({"%": None, "_": ""}.get(character, character))
    return tuple(found)


def matches(text: str | None, pattern: str | None) -> bool | None:
    """MariaDB's LIKE over a pattern that is folded already; NULL in, NULL out.

    Only the last `%` that was passed is ever gone back to: no pattern takes longer than text times pattern.
    """
    if text is None or pattern is None:
        return None
    wanted, folded = _read_pattern(pattern), fold(text)
    at = step = 0
    back_to: tuple[int, int] | None = None
    while at < len(folded):
        if step < len(wanted) and wanted[step] is None:
            back_to = (at, step + 1)
            step += 1
        elif step < len(wanted) and wanted[step] in ("", folded[at]):
            at, step = at + 1, step + 1
        elif back_to is not None:
            back_to = (back_to[0] + 1, back_to[1])
            at, step = back_to
        else:
            return False
    return all(one is None for one in wanted[step:])


def prepare(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    connection.create_function("general_ci", 1, fold_padded, deterministic=True)
    connection.create_function("general_ci_like", 2, matches, deterministic=True)
