"""Path patterns of Spring's AntPathMatcher: `?` is one character, `*` part of a segment, `**` any segments."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache


def matches_path(pattern: str, path: str) -> bool:
    """Return whether a path matches a pattern."""
    if pattern.startswith("/") != path.startswith("/"):
        return False
    return _matches(tuple(filter(None, pattern.split("/"))), tuple(filter(None, path.split("/"))))


@lru_cache(maxsize=1024)
def _matches(pattern: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    """Match in time proportional to the product of both lengths: one row for each segment of the pattern."""
    reached = [True, *[False] * len(steps)]
    for part in pattern:
        reached = _row(part, steps, reached)
    return reached[-1]


def _row(part: str, steps: Sequence[str], before: Sequence[bool]) -> list[bool]:
    row = [before[0] and part == "**"]
    for place, step in enumerate(steps):
        if part == "**":
            row.append(row[-1] or before[place + 1])
        else:
            row.append(before[place] and fnmatchcase(step, part.replace("[", "[[]")))
    return row
