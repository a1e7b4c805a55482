"""What `compare` prints and writes: each difference, counts by group, and the node's answers."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress

from imagestore_sim.cli.exits import InputError
from imagestore_sim.parity.comparing import Compared, Comparison
from imagestore_sim.parity.corpus import Case, read_deviations
from imagestore_sim.parity.differences import describe
from imagestore_sim.parity.sharing import corpus_line

SIDES = ("emulator", "node")


@contextmanager
def silent_emulator() -> Iterator[None]:
    """Log nothing of the emulator in the block: only its answers are of interest."""
    logger = logging.getLogger("imagestore_sim")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def with_progress(comparison: Comparison, cases: list[Case]) -> AsyncIterator[Compared]:
    """Run the comparison, with a progress bar on standard error where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("calls", total=len(cases))
        async for one in comparison.run(cases):
            progress.update(task, completed=comparison.asked)
            yield one


class Report:
    """Prints differences as they come, and counts; `version` is the node's."""

    def __init__(self, version: str, *, most_shown: int) -> None:
        self._version = version
        self._most_shown = most_shown
        self._chosen = frozenset[int]().union(*(one.calls for one in read_deviations()))
        self._same: Counter[str] = Counter()
        self._different: Counter[str] = Counter()
        self._known = 0
        self._file: IO[str] | None = None
        print(f"the node is a ZStack {version}; the emulator is one of 5.2.1")

    @contextlib.contextmanager
    def writing_to(self, path: Path | None) -> Iterator[None]:
        """Write the node's answers to `path`, if there is one, during the block. Raise InputError."""
        if path is None:
            yield
            return
        try:
            with path.open("w", encoding="utf-8") as file:
                self._file = file
                yield
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None

    @property
    def different(self) -> int:
        """How many calls are answered differently."""
        return self._different.total()

    def add(self, one: Compared) -> None:
        """Count a call, print it if it differs, and write the node's answer."""
        if self._file is not None:
            print(corpus_line(one.case, one.node, self._version), file=self._file)
        if not one.differs:
            self._same[one.case.group] += 1
            return
        if one.case.id in self._chosen:
            self._known += 1
            return
        self._different[one.case.group] += 1
        if self.different <= self._most_shown:
            print(f"\n{describe(one.case, one.emulator, one.node, SIDES)}")
            for line in one.differs:
                print(f"  {line}")

    def close(self, not_sent: int, left: list[str]) -> None:
        """Print the counts, and the paths in `left`, which could not be deleted."""
        print()
        for group in sorted({*self._same, *self._different}):
            print(f"{group:10} {self._same[group]:5} same {self._different[group]:5} different")
        compared = self._same.total() + self.different
        print(f"{self.different} of {compared} answers differ; {self._known} more do as the manual says; "
              f"{not_sent} calls were not sent")  # fmt: skip
        for path in left:
            print(f"imagestore-sim: could not delete {path}", file=sys.stderr)
