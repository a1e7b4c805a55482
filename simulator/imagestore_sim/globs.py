"""Globs: `*` is any text, `?` any character, `[abc]` one of these. Upper and lower case differ."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

from pydantic import Field

SAMPLES = string.ascii_letters + string.digits
"""The characters of which one stands for `[!abc]`."""
Glob = Annotated[str, Field(min_length=1, max_length=1024)]


def matches_glob(glob: str, texts: Iterable[str]) -> bool:
    """Return whether the glob matches one of the texts as a whole, in linear time for each `*` that it has."""
    return any(map(_compiled(glob), texts))


def shortest_match(glob: str) -> int:
    """Return how many characters a text has at least that matches a glob without brackets."""
    return len(glob) - glob.count("*")


def sample_of(glob: str) -> str:
    """Return a text that matches a glob: each `[abc]` gives way to a character that it matches.

    `*` and `?` stand for themselves. A bracket that matches no character stays, and then nothing matches the glob.
    """
    parts, at = [], 0
    while (begins := glob.find("[", at)) >= 0:
        first = begins + 2 if glob.startswith("[!", begins) else begins + 1
        ends = glob.find(
            "]", first + 1 if glob.startswith("]", first) else first
        )  # a `]` that comes first is one of them
        if ends < 0:
            break
        parts += [glob[at:begins], _one_of(glob[begins : ends + 1])]
        at = ends + 1
    return "".join([*parts, glob[at:]])


def _one_of(bracket: str) -> str:
    matches = re.compile(translate(bracket)).match
    return next(filter(matches, bracket[1:-1] + SAMPLES), bracket)


def glob_matcher(glob: str) -> Callable[[str], bool]:
    """Return a function that tells whether the glob matches a text as a whole, for a caller that keeps it."""
    match = re.compile(translate(glob)).match
    return lambda text: match(text) is not None


_compiled = lru_cache(maxsize=512)(glob_matcher)
