"""The command `compare`: what differs between a node, mostly a real ZStack, and the emulator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress

from imagestore_sim.clock import RealClock
from imagestore_sim.parity.comparing import Compared, Comparison, Refused
from imagestore_sim.parity.corpus import CORPUS, FILES, Case, read_cases, read_deviations
from imagestore_sim.parity.differences import describe
from imagestore_sim.parity.embedded import empty_lab
from imagestore_sim.parity.runner import Runner
from imagestore_sim.parity.sharing import corpus_line
from imagestore_sim.parity.wire import Endpoint, Unreachable

SAME, DIFFERENT = 0, 1
SIDES = ("emulator", "node")


class Unusable(Exception):
    """The command cannot compare; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a node is compared: who logs in, whether calls may change something, what is shown and written."""

    url: str
    account: str
    password: str
    key: tuple[str, str] | None
    write: bool
    groups: Collection[str]
    show: int
    out: Path | None


async def run_compare(options: Options) -> int:
    """Compare, and print what differs; 0 if nothing does, 1 if something does. Raises Unusable."""
    try:
        endpoint = Endpoint.of(options.url.rstrip("/"))
        cases = await asyncio.to_thread(_cases, options.groups)
    except ValueError as error:
        raise Unusable(str(error)) from None
    clock = RealClock()
    node = Runner(endpoint, clock, account=options.account, password=options.password, key=options.key)
    async with AsyncExitStack() as stack:
        stack.enter_context(_silent_emulator())
        lab = await stack.enter_async_context(empty_lab())
        emulator = Runner(Endpoint.of(lab.url), lab.clock)
        comparison = Comparison(node, emulator, clock, write=options.write)
        try:
            report = _Report(options, await comparison.begin())
            with report.written():
                async for one in _with_progress(comparison, cases):
                    report.add(one)
        except (Refused, Unreachable) as error:
            raise Unusable(str(error)) from None
        finally:
            left = await _end(comparison)
    report.close(comparison.not_sent, left)
    return DIFFERENT if report.different else SAME


@contextmanager
def _silent_emulator() -> Iterator[None]:
    """Log nothing of the emulator meanwhile: only its answers are of interest."""
    logger = logging.getLogger("imagestore_sim")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _cases(groups: Collection[str]) -> list[Case]:
    cases = [case for file in FILES for case in read_cases(CORPUS / file)]
    known = {case.group for case in cases}
    if unknown := sorted(set(groups) - known):
        raise ValueError(f"--group: there is no group {unknown[0]!r}, but {', '.join(sorted(known))}")
    return [case for case in cases if not groups or case.group in groups]


async def _with_progress(comparison: Comparison, cases: list[Case]) -> AsyncIterator[Compared]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("calls", total=len(cases))
        async for one in comparison.run(cases):
            progress.update(task, completed=comparison.asked)
            yield one


async def _end(comparison: Comparison) -> list[str]:
    """Clean up; a node that cannot be reached any more keeps what was made."""
    with contextlib.suppress(Unreachable):
        return await comparison.end()
    return []


class _Report:
    """What is printed and written of a comparison."""

    def __init__(self, options: Options, version: str) -> None:
        self._options = options
        self._version = version
        self._chosen = {number: one for one in read_deviations() for number in one.calls}
        self._same: Counter[str] = Counter()
        self._different: Counter[str] = Counter()
        self._known = 0
        self._file: IO[str] | None = None
        print(f"the node is a ZStack {version}; the emulator is one of 5.2.1")

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Have the answers written to the file that was asked for. Raises Unusable."""
        if self._options.out is None:
            yield
            return
        try:
            with self._options.out.open("w", encoding="utf-8") as file:
                self._file = file
                yield
        except OSError as error:
            raise Unusable(f"{self._options.out}: cannot be written: {error.strerror}") from None

    @property
    def different(self) -> int:
        """How many calls are answered differently."""
        return self._different.total()

    def add(self, one: Compared) -> None:
        """Count a call, show it if it differs, and write the node's answer."""
        if self._file is not None:
            print(corpus_line(one.case, one.node, self._version), file=self._file)
        if not one.differs:
            self._same[one.case.group] += 1
            return
        if one.case.id in self._chosen:
            self._known += 1
            return
        self._different[one.case.group] += 1
        if self.different <= self._options.show:
            print(f"\n{describe(one.case, one.emulator, one.node, SIDES)}")
            for line in one.differs:
                print(f"  {line}")

    def close(self, not_sent: int, left: list[str]) -> None:
        """Print the counts, and what could not be deleted."""
        print()
        for group in sorted({*self._same, *self._different}):
            print(f"{group:10} {self._same[group]:5} same {self._different[group]:5} different")
        compared = self._same.total() + self.different
        print(f"{self.different} of {compared} answers differ; {self._known} more do as the manual says; "
              f"{not_sent} calls were not sent")  # fmt: skip
        for path in left:
            print(f"imagestore-sim: could not delete {path}", file=sys.stderr)
