"""Branches of this package's code that stories take, as coverage.py measures them: the extra `explore` brings it.

Its tracer makes a story cost twice as much, so that a search measures one story of many. What a story does is the same
with it and without it. Arcs are coverage.py's: pairs of lines, a negative one for the end of a function.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any, NamedTuple

import imagestore_sim

if TYPE_CHECKING:
    from coverage import Coverage

PACKAGE = Path(imagestore_sim.__file__).resolve().parent
_BEGAN = time.time()  # real: as the times of files are
"""When this process began to import the package: the code of a source that changed later may be another one."""
Arc = tuple[int, int]


class Ran(NamedTuple):
    """What ran of a source."""

    digest: str
    """Of the source."""
    arcs: frozenset[Arc]


Measured = Mapping[str, Ran]
"""What ran of each source, by its path below the package."""


def are_measurable() -> bool:
    """Return whether coverage.py is installed."""
    return find_spec("coverage") is not None


@contextmanager
def measured() -> Iterator[dict[str, Ran]]:
    """Measure what runs in a block, in all its threads; the mapping is filled when the block ends."""
    ran: dict[str, Ran] = {}
    tracer = _tracer()
    tracer.start()
    try:
        yield ran
    finally:
        tracer.stop()
        data = tracer.get_data()
        for file in data.measured_files():
            name = Path(file).relative_to(PACKAGE).as_posix()
            if digest := _digest(name):
                ran[name] = Ran(digest, frozenset(data.arcs(file) or ()))
        tracer.erase()


def _digest(name: str) -> str:
    """Return the digest of a source; '' if its text may not be what this process runs."""
    source = PACKAGE / name
    try:
        return "" if source.stat().st_mtime > _BEGAN else _digest_of(source)
    except OSError:  # removed since
        return ""


@cache
def _digest_of(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()[:12]


@cache
def _tracer() -> Coverage:
    """Return what measures in this process: it keeps what it has learned about files from one story to the next."""
    return _new_coverage()


def _new_coverage() -> Coverage:
    from coverage import Coverage

    of_package = re.sub(r"[][?*]", "?", str(PACKAGE)) + "/*"
    return Coverage(data_file=None, branch=True, config_file=False, include=[of_package], messages=False)


def _measured_by() -> str:
    """Return what arcs depend on beside the sources."""
    return f"Python {'.'.join(python_version_tuple()[:2])}, coverage.py {version('coverage')}"


@dataclass(slots=True)
class _Source:
    """What is known of a source."""

    digest: str
    there_are: int = 0
    """Branches in it."""
    taken: set[Arc] = field(default_factory=set)
    """Those that stories have taken."""
    analysis: _Analysis | None = None
    """None until this search has measured a story that ran it: it takes a hundredth of a second."""

    def add(self, name: str, arcs: Iterable[Arc]) -> None:
        """Note what a story ran of it."""
        if self.analysis is None:
            self.analysis = _Analysis(name, _analyser())
            self.there_are = len(self.analysis)
        self.taken |= self.analysis.taken_by(arcs)


class _Analysis:
    """Which arcs of a source are branches."""

    def __init__(self, name: str, coverage: Coverage) -> None:
        from coverage.python import PythonFileReporter

        self._reporter = PythonFileReporter(str(PACKAGE / name), coverage)
        exits = self._reporter.exit_counts()
        self._branches = frozenset(arc for arc in self._reporter.arcs() if exits.get(arc[0], 0) > 1)

    def __len__(self) -> int:
        return len(self._branches)

    def taken_by(self, arcs: Iterable[Arc]) -> AbstractSet[Arc]:
        """Return the branches among the arcs of a run, whose lines may be within statements."""
        translated: AbstractSet[Arc] = self._reporter.translate_arcs(arcs)
        return self._branches & translated


class Branches:
    """The branches that the measured stories of a search have taken, with those of the searches before it."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        """Go on from the `state` of a search, as far as the sources have not changed. Raise ValueError."""
        self.stories = 0
        """That were measured in this search."""
        self._sources: dict[str, _Source] = {}
        self._unread = state
        """The state, where nothing here can read it: it is kept as it is."""
        if state is not None and are_measurable():
            self._unread = None
            self._sources = dict(_read(state))
        self._before = self.taken

    @property
    def taken(self) -> int:
        """How many have been taken."""
        return sum(len(one.taken) for one in self._sources.values())

    @property
    def new(self) -> int:
        """How many of them this search was the first to take."""
        return self.taken - self._before

    def add(self, ran: Measured) -> None:
        """Note what a story ran that was measured."""
        self.stories += 1
        for name, (digest, arcs) in ran.items():
            if digest == _digest(name):
                self._sources.setdefault(name, _Source(digest)).add(name, arcs)

    def __str__(self) -> str:
        there_are = sum(one.there_are for one in self._sources.values())
        return f"{self.taken} of {there_are} branches ({self.new} new)"

    def state(self) -> Mapping[str, Any] | None:
        """Return what another search goes on from, as JSON; None if nothing was measured yet.

        It grows no larger than the sources have branches.
        """
        if not self._sources:
            return self._unread
        sources = {
            name: f"{one.digest} {one.there_are} {_text_of(one.taken)}" for name, one in sorted(self._sources.items())
        }
        return {"by": _measured_by(), "sources": sources}


@cache
def _analyser() -> Coverage:
    """Return what tells how sources are to be read: it never measures anything."""
    coverage = _new_coverage()
    coverage.get_data()  # reads its configuration
    return coverage


def _read(state: Mapping[str, Any]) -> Iterator[tuple[str, _Source]]:
    """Yield the sources of a state that have not changed. Raise ValueError."""
    if state.get("by") != _measured_by():
        return
    for name, text in state.get("sources", {}).items():
        digest, there_are, taken = text.split(" ", 2)
        if digest == _digest(name):
            yield name, _Source(digest, int(there_are), set(_arcs_in(taken)))


def _text_of(arcs: set[Arc]) -> str:
    """Return arcs as `12:15,18 15:16`: by the line that they leave, those that they reach."""
    reached: dict[int, list[int]] = defaultdict(list)
    for left, entered in sorted(arcs):
        reached[left].append(entered)
    return " ".join(f"{left}:{','.join(map(str, lines))}" for left, lines in reached.items())


def _arcs_in(text: str) -> Iterator[Arc]:
    for group in text.split():
        left, _, lines = group.partition(":")
        yield from ((int(left), int(entered)) for entered in lines.split(","))
