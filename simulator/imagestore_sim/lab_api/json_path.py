"""JSONPath (RFC 9535) over the body of a request, in a bounded number of steps.

The functions `match` and `search` are absent: a regular expression may take for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonpath import JSONPath

MOST_STEPS = 200_000
"""Members and elements that the JSONPaths of one call may visit: about half a second of work."""
LONGEST_PATH = 256
FUNCTIONS = ("count", "length", "value")


class TooMuchWork(ValueError):
    """A JSONPath visits too many members and elements."""


class Steps:
    """How many members and elements may still be visited."""

    def __init__(self, left: int = MOST_STEPS) -> None:
        self._left = left

    def take(self, count: int) -> None:
        """Take that many steps. Raise TooMuchWork when there are not as many left."""
        self._left -= count + 1
        if self._left < 0:
            raise TooMuchWork(f"jsonPath: visits too much, more than {MOST_STEPS} members and elements in all")


def selects(path: str, value: object, steps: Steps) -> bool:
    """Return whether a JSONPath selects anything in a JSON value. Raise TooMuchWork."""
    from jsonpath import JSONPathError

    try:
        return next(iter(compiled(path).finditer(_counted(value, steps))), None) is not None  # type: ignore[arg-type]
    except (JSONPathError, RecursionError):  # nested more deeply than it visits
        return False


def check_json_path(path: str) -> str:
    """Return a valid JSONPath. Raise ValueError with what is wrong."""
    from jsonpath import JSONPathError

    if len(path) > LONGEST_PATH:
        raise ValueError(f"has {len(path)} characters, and {LONGEST_PATH} at most are read")
    try:
        compiled(path)
    except (JSONPathError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{path!r} is no JSONPath of RFC 9535 without match() and search(): {text}") from None
    return path


@lru_cache(maxsize=128)
def compiled(path: str) -> JSONPath:
    """Return a JSONPath, compiled. Raise JSONPathError and RecursionError."""
    from jsonpath import JSONPath, JSONPathEnvironment

    class Environment(JSONPathEnvironment):
        """The syntax of the RFC, with the functions that take linear time."""

        def setup_function_extensions(self) -> None:
            super().setup_function_extensions()
            self.function_extensions = {name: self.function_extensions[name] for name in FUNCTIONS}

    found = Environment(strict=True).compile(path)
    assert isinstance(found, JSONPath)  # the RFC knows no unions of paths
    return found


def _counted(value: object, steps: Steps) -> object:
    match value:
        case dict():
            return _Members(value, steps)
        case list():
            return _Elements(value, steps)
        case _:
            return value


class _Members(Mapping[str, object]):
    """A JSON object that takes steps for what is read of it."""

    def __init__(self, members: dict[str, object], steps: Steps) -> None:
        self._members = members
        self._steps = steps

    def __getitem__(self, name: str) -> object:
        self._steps.take(0)
        return _counted(self._members[name], self._steps)

    def __iter__(self) -> Iterator[str]:
        self._steps.take(len(self._members))
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


class _Elements(Sequence[object]):
    """A JSON array that takes steps for what is read of it."""

    def __init__(self, elements: list[object], steps: Steps) -> None:
        self._elements = elements
        self._steps = steps

    def __getitem__(self, index: int | slice) -> object:  # type: ignore[override]
        found = self._elements[index]
        self._steps.take(len(found) if isinstance(index, slice) and isinstance(found, list) else 0)
        return _counted(found, self._steps)

    def __iter__(self) -> Iterator[object]:
        self._steps.take(len(self._elements))
        return (_counted(one, self._steps) for one in self._elements)

    def __len__(self) -> int:
        return len(self._elements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Elements) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
