"""The regular expressions of the package take no more time than in proportion to the text that they read.

Most read what a client or a host sends. One that tries each of many places in a long text again from the next place on
holds up the event loop for minutes, as Python does nothing else meanwhile.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # what a pattern is made of
from types import FrameType, ModuleType
from typing import Any

import pytest

import imagestore_sim
from rows import rows

LENGTH = 8_000
"""Characters of a text. In a time that is linear, even a slow machine reads them in a millisecond."""
MOST_SECONDS = 0.02
"""Of processor time. By squares, it takes 30,000,000 steps."""
ENDS = ("", "\x00")
MOST_CHARACTERS = 7
IN_PAIRS = 3
ANYWHERE = ("search", "sub", "findall", "finditer", "split")
"""Methods that begin again at each place of a text, unless the pattern matches there."""
ELSEWHERE = ("imagestore_sim.containers.images", "imagestore_sim.database.migrations", "imagestore_sim.__main__")
"""Modules that only run inside of containers, or as programs."""
BY_THE_USER = {
    "scenario": "a user's own scenarios and recordings",
    "parity": "recorded answers of ZStack, by `compare`",
    "openapi": "the declarations of this package",
    "cli": "the command line",
    "explore": "its own findings",
}
"""Rooms whose patterns read what the user of this machine gives, or this package."""
SHORT_TEXTS = {
    "imagestore_sim.web_server.connections.EXCERPT": "the first 200 characters of a message",
    "imagestore_sim.units._PARTS": "what _DURATION matches as a whole",
    "imagestore_sim.probe.df._RECORD": "the last 4096 characters of a line, from their beginning",
    "imagestore_sim.query.sorting.TOKEN": "a text from each place where the token before it ended",
}
"""Patterns that would take long for what they never read."""
OF_CATEGORIES = {"DIGIT": "1", "SPACE": " ", "WORD": "a", "NOT_DIGIT": "a", "NOT_SPACE": "a", "NOT_WORD": "-"}


@dataclass(frozen=True)
class Found:
    """A pattern of the package, the module that it is in, and whether a match may begin anywhere in a text."""

    pattern: re.Pattern[str]
    module: str
    anywhere: bool


class TooLong(Exception):
    """A match has not ended for a long time."""


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.walk_packages(imagestore_sim.__path__, "imagestore_sim."):
        if not module.name.startswith(ELSEWHERE) and module.name.split(".")[1] not in BY_THE_USER:
            yield importlib.import_module(module.name)


def _in_value(value: object, depth: int = 3) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif depth and isinstance(value, dict):
        yield from _in_value(list(value.values()), depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from _in_value(one, depth - 1)


def _calls(module: ModuleType) -> Iterator[tuple[str, str, ast.expr | None]]:
    """Yield the calls of methods in a module: the name of the object, that of the method, and the first argument."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr, node.args[0] if node.args else None


def patterns() -> Iterator[Found]:
    """Yield the regular expressions of the package."""
    modules = list(_modules())
    calls = {module.__name__: list(_calls(module)) for module in modules}
    public = {name for found in calls.values() for name, method, _ in found if method in ANYWHERE and name[0] != "_"}
    for module in modules:
        begun_anywhere = public | {name for name, method, _ in calls[module.__name__] if method in ANYWHERE}
        for name, value in vars(module).items():
            one_by_one = name.isupper() and not isinstance(value, re.Pattern)  # in a loop, under another name
            for pattern in _in_value(value):
                if f"{module.__name__}.{name}" not in SHORT_TEXTS:
                    yield Found(pattern, module.__name__, name in begun_anywhere or one_by_one)
        for name, method, given in calls[module.__name__]:
            if name != "re" or method == "compile":
                continue  # it is among the variables
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                yield Found(re.compile(given.value), module.__name__, method in ANYWHERE)


def _characters(parsed: Iterable[tuple[object, Any]]) -> Iterator[str]:
    """Yield characters that a pattern may match, and that decide where it fails."""
    for operation, value in parsed:
        match str(operation):
            case "LITERAL":
                yield chr(value)
            case "RANGE":
                yield chr(value[0])
            case "CATEGORY":
                yield OF_CATEGORIES[str(value).removeprefix("CATEGORY_")]
            case "ANY" | "NOT_LITERAL" | "NEGATE":
                yield from "a1 "
            case "IN":
                yield from _characters(value)
            case "BRANCH":
                yield from itertools.chain(*map(_characters, value[1]))
            case "SUBPATTERN" | "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT" | "ASSERT" | "ASSERT_NOT":
                yield from _characters(value[-1])
            case "ATOMIC_GROUP":
                yield from _characters(value)


def texts(pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield texts that repeat what the pattern may match, and end in what it does not."""
    characters = list(dict.fromkeys(_characters(_parser.parse(pattern.pattern, pattern.flags))))[:MOST_CHARACTERS]
    pairs = map("".join, itertools.permutations(characters[:IN_PAIRS], 2))
    for before, repeated, end in itertools.product(("", *characters), (*characters, *pairs), ENDS):
        yield before + repeated * (LENGTH // len(repeated)) + end


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work, infinity for one that takes seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    except TooLong:
        return float("inf")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def slow_texts(pattern: re.Pattern[str], *, anywhere: bool) -> Iterator[str]:
    """Yield what takes a pattern too long, as a line."""
    ways: list[Callable[[str], object]] = [pattern.match, pattern.fullmatch]
    if anywhere:
        ways.append(partial(pattern.sub, ""))
    for text in texts(pattern):
        for way in ways:
            if all(seconds(partial(way, text)) > MOST_SECONDS for _ in range(3)):
                yield f"{pattern.pattern!r} reads {text[:6]!r}…{text[-3:]!r}"
                return


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer to interrupt a match")
def test_no_pattern_takes_time_by_squares() -> None:
    found = list(patterns())
    assert len(found) > 100, "the patterns are looked for in the wrong places"
    slow = [f"{one.module}: {line}" for one in found for line in slow_texts(one.pattern, anywhere=one.anywhere)]
    assert not slow, "\n".join(slow)


@rows("pattern", [r"[0-9]+\.?[0-9]*x", r"\w+=", r"\{.*\}", r"[\s]+$", r"(\d+)\s*(?:s|m)"])
def test_a_pattern_that_does_is_found(pattern: str) -> None:
    assert list(slow_texts(re.compile(pattern), anywhere=True))
