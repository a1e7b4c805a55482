"""Loops that fail or stall, and an event loop that is blocked, are reported."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

import pytest

from imagestore_sim import open_files, supervision, watchdog
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks
from imagestore_sim.watchdog import Watchdog


class _Rounds:
    """A loop whose rounds follow a script."""

    def __init__(self, *errors: Exception | None) -> None:
        self.left = list(errors)
        self.done = 0
        self.pauses: list[float] = []
        self.troubles: list[tuple[str, str]] = []
        self.supervisor = Supervisor(self._sleep, lambda *trouble: self.troubles.append(trouble))

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def wait(self) -> int:
        if not self.left:
            await asyncio.Event().wait()
        return len(self.left)

    async def work(self, _: int) -> None:
        error = self.left.pop(0)
        if error is not None:
            raise error
        self.done += 1

    async def run(self) -> None:
        tasks = Tasks()
        self.supervisor.keep(tasks, "the loop", self.wait, self.work)
        while self.left:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await tasks.close()


async def test_a_loop_survives_any_failure_and_a_streak_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    errors = [*[OSError("full")] * 3, MemoryError(), MemoryError(), None, OSError("full"), None]
    rounds = _Rounds(*errors)
    await rounds.run()
    assert rounds.done == 2
    assert rounds.pauses == [1, 2, 4, 5, 5, 1], "longer after each failure in a row, within bounds"
    assert rounds.troubles == [("the loop", "failed")] * 6
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "the loop the loop failed, and continues: OSError: full",
        "the loop the loop failed, and continues: MemoryError: ",
        "the loop the loop failed, and continues: OSError: full",
    ]


async def test_an_error_whose_text_says_all_is_logged_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    rounds = _Rounds(OSError("full"), ValueError("a mistake"))
    rounds.supervisor = Supervisor(rounds._sleep, explained=(OSError,))
    await rounds.run()
    assert [(record.getMessage().rpartition(": ")[2], record.exc_info is None) for record in caplog.records] == [
        ("full", True),
        ("a mistake", False),
    ]


async def test_a_loop_that_fails_or_does_not_end_its_round_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    troubles: list[tuple[str, str]] = []
    supervisor, tasks, go_on = Supervisor(asyncio.sleep, lambda *one: troubles.append(one)), Tasks(), asyncio.Event()
    monkeypatch.setattr(supervision, "STALLED_SECONDS", 0.05)

    async def work(_: None) -> None:
        await go_on.wait()
        raise ValueError("no")

    supervisor.keep(tasks, "stuck", lambda: asyncio.sleep(0), work)
    await _until(supervisor.problems)
    [problem] = supervisor.problems()
    assert re.fullmatch(r"stuck: has not ended its round for \d+ s", problem)
    supervisor.report_stalls()
    supervisor.report_stalls()
    assert troubles == [("stuck", "stalled")]
    go_on.set()
    await _until(lambda: "failed" in supervisor.problems()[0])
    assert supervisor.problems() == ["stuck: failed 1 times in a row: ValueError: no"]
    await tasks.close()
    assert supervisor.problems() == []


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_blocked_event_loop_is_logged_with_its_stack(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "BEAT_SECONDS", 0.05)
    troubles: list[tuple[str, str]] = []
    dog = Watchdog(lambda *one: troubles.append(one), lambda: None)
    dog.start()
    await asyncio.sleep(0.1)
    assert dog.problems() == []
    monkeypatch.setattr(watchdog, "STALLED_SECONDS", 0.3)
    _block_the_loop(troubles)
    await _until(dog.problems)
    dog.stop()
    assert troubles == [("event loop", "stalled")]
    [problem] = dog.problems()
    assert problem.startswith("event loop: stood still for ")
    assert "_block_the_loop" in caplog.text, "the log says where"


def _block_the_loop(until: list[tuple[str, str]]) -> None:
    """Keep the processor busy until the watchdog, which has a thread of its own, has said so."""
    end = time.monotonic() + 60
    while not until and time.monotonic() < end:
        sum(range(1000))


async def test_files_that_run_out_are_logged_once_and_so_is_their_return(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(open_files, "left", lambda: 3)
    dog = Watchdog(lambda *_: None, lambda: None)
    dog.start()
    await _until(dog.problems)
    assert "nearly all of the" in dog.problems()[0]
    monkeypatch.undo()
    await _until(lambda: not dog.problems())
    dog.stop()
    assert caplog.text.count("are in use") == 1
    assert "files can be opened again" in caplog.text
