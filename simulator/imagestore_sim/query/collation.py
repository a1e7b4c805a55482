"""MariaDB's collation utf8_general_ci for SQLite: no case, no accents, no trailing spaces (query-semantics 3).

LIKE does count trailing spaces. SQLite compares bytes: it handles ASCII text natively, and calls these functions for
other text.
"""

from __future__ import annotations

import math
import operator
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from imagestore_sim.query.literals import INT64, read_number

NUL = "\0"
NUL_STAND_IN = "\U0010ffff"
"""Stands for NUL where SQLite ends a text at one: in patterns and lists. It is wide, so that no column holds it."""
OLD_UNICODE = unicodedata.ucd_3_2_0  # the age of the collation: it knows no letter made since
OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
EXCEPTIONS = {"ß": "S", "й": "Й", "Й": "Й"}


@lru_cache(maxsize=4096)
def _weigh(character: str) -> str:
    """Return the character that represents all equal ones: upper-case, without accents."""
    if character in EXCEPTIONS:
        return EXCEPTIONS[character]
    decomposed = OLD_UNICODE.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    accented = marks != "" and base.isalpha() and ord(base) < 0x600 and ord(character) < 0x2000
    if accented and all(map(OLD_UNICODE.combining, marks)):
        character = base
    upper = character.upper()
    return upper if len(upper) == 1 and _is_old(upper) and _is_old(character) else character


def _is_old(character: str) -> bool:
    return OLD_UNICODE.category(character) != "Cn"


def fold(text: str) -> str:
    """Return text whose bytes compare as `text` does in MariaDB, trailing spaces excepted."""
    return text.upper() if text.isascii() else "".join(map(_weigh, text))


def fold_padded(text: str | None) -> str | None:
    """Return `fold(text)` without trailing spaces, which a comparison ignores; None for None (NULL)."""
    return None if text is None else fold(text).rstrip(" ")


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a folded LIKE pattern.

    Atomic groups take the text between two `%` at its first match, without backtracking, so that the time is at most
    proportional to the length of the text times that of the pattern.
    """
    first, *runs = _runs(pattern)
    if not runs:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{run})" for run in runs[:-1] if run)
    return re.compile(f"{first}{middle}.*{runs[-1]}", re.DOTALL)


def _runs(pattern: str) -> list[str]:
    """Return the parts of a pattern between the `%`, as regular expressions."""
    runs = [""]
    characters = iter(pattern)
    for character in characters:
        match character:
            case "%":
                runs.append("")
            case "_":
                runs[-1] += "."
            case "\\":
                runs[-1] += re.escape(without_stand_in(next(characters, "\\")))
            case _:
                runs[-1] += re.escape(without_stand_in(character))
    return runs


def with_stand_in(text: str) -> str:
    """Return text that SQLite takes as a whole, as a pattern or in a list."""
    return text.replace(NUL, NUL_STAND_IN)


def without_stand_in(text: str) -> str:
    """Return the text that `with_stand_in` was given."""
    return text.replace(NUL_STAND_IN, NUL)


def matches(text: str | None, pattern: str | None) -> bool | None:
    """Return whether MariaDB's LIKE matches, for a pattern that is already folded; None if either is None (NULL)."""
    if text is None or pattern is None:
        return None
    return _compile(pattern).fullmatch(fold(text)) is not None


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the SQL functions general_ci, general_ci_like, leading_number and arithmetic on a connection."""
    connection.create_function("general_ci", 1, fold_padded, deterministic=True)
    connection.create_function("general_ci_like", 2, matches, deterministic=True)
    connection.create_function("leading_number", 1, _leading_number, deterministic=True)
    connection.create_function("arithmetic", 3, _arithmetic, deterministic=True)


def _leading_number(text: str | None) -> int | float | None:
    return None if text is None else read_number(text)


def _arithmetic(sign: str, left: str | float | None, right: str | float | None) -> int | float | None:
    """Return the result of `+`, `-`, `*` or `%` as MariaDB's. Raise OverflowError where it has none."""
    if left is None or right is None:
        return None
    one, other = (float(read_number(side)) if isinstance(side, str) else side for side in (left, right))
    if sign == "%":
        return None if other == 0 else _rest(one, other)
    result: int | float = OPERATIONS[sign](one, other)
    if not (-INT64 <= result < INT64 if isinstance(result, int) else math.isfinite(result)):
        raise OverflowError
    return result


def _rest(one: float, other: float) -> float:
    """Return the rest of a division, with the sign of what is divided."""
    if not (isinstance(one, int) and isinstance(other, int)):
        return math.fmod(one, other)
    rest = abs(one) % abs(other)
    return -rest if one < 0 else rest
