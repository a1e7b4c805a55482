"""The real clock: its time, its waits, its steps and its speed."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import imagestore_sim
from imagestore_sim.clock import RealClock
from rows import rows

NOVEMBER = 1510698057.9  # 2017-11-14 22:20:57 UTC


@rows(
    ("clock", "seconds", "local"),
    [
        (RealClock(), NOVEMBER, "2017-11-14 22:20:57"),
        (RealClock(), 0, "1970-01-01 00:00:00"),
        (RealClock(timezone(timedelta(hours=8))), NOVEMBER, "2017-11-15 06:20:57"),
        (RealClock(ZoneInfo("Europe/Zurich")), NOVEMBER, "2017-11-14 23:20:57"),
        (RealClock(ZoneInfo("Europe/Zurich")), 1500000000, "2017-07-14 04:40:00"),
    ],
)
def test_a_date_is_the_zone_s_own_in_whole_seconds_without_a_zone(clock: RealClock, seconds: float, local: str) -> None:
    moment = clock.local(seconds)
    assert str(moment) == local
    assert moment.tzinfo is None


def test_without_an_argument_the_date_is_now() -> None:
    clock = RealClock()
    before = int(time.time())
    assert before <= clock.local().replace(tzinfo=UTC).timestamp() <= clock.time()


async def test_a_sleep_takes_its_time() -> None:
    clock = RealClock()
    began = clock.monotonic()
    await clock.sleep(0.02)
    assert 0.019 < clock.monotonic() - began < 10


@pytest.mark.parametrize("seconds", [0, -1, -1e9])
async def test_a_sleep_of_zero_or_less_lets_other_tasks_run_once(seconds: float) -> None:
    ran: list[None] = []
    asyncio.get_running_loop().call_soon(ran.append, None)
    await asyncio.wait_for(RealClock().sleep(seconds), 10)
    assert ran == [None]


async def test_a_wait_returns_the_result_or_cancels_in_time() -> None:
    clock = RealClock()
    assert await clock.wait_for(asyncio.sleep(0, "done"), 1) == "done"
    slow = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(TimeoutError):
        await clock.wait_for(slow, 0.01)
    assert slow.cancelled()


async def test_a_paused_clock_stands_still_and_continues_where_it_was() -> None:
    clock = RealClock()
    clock.pause()
    before, date = clock.monotonic(), clock.time()
    sleeper = asyncio.create_task(clock.sleep(0.01))
    await asyncio.sleep(0.03)
    assert (clock.monotonic(), clock.paused, sleeper.done()) == (before, True, False)
    assert clock.time() == pytest.approx(date, abs=0.005)
    clock.resume()
    await asyncio.wait_for(sleeper, 10)
    assert 0.009 < clock.monotonic() - before < 10
    assert not clock.paused


async def test_a_step_does_what_falls_due_in_its_order() -> None:
    clock = RealClock()
    clock.pause()
    began, woken = clock.monotonic(), []

    async def tick(name: str, seconds: float) -> None:
        for _ in range(3):
            await clock.sleep(seconds)
            woken.append((name, round(clock.monotonic() - began, 6)))

    ticking = [asyncio.create_task(tick(*one)) for one in (("slow", 60), ("fast", 30))]
    await asyncio.sleep(0)
    await clock.step(120)
    assert woken == [("fast", 30), ("slow", 60), ("fast", 60), ("fast", 90), ("slow", 120)]
    assert clock.monotonic() - began == pytest.approx(120)
    await asyncio.sleep(0.02)
    assert clock.paused
    assert len(woken) == 5
    for task in ticking:
        task.cancel()


async def test_a_step_of_a_running_clock_moves_it_on() -> None:
    clock = RealClock()
    before, date = clock.monotonic(), clock.time()
    await clock.step(3600)
    assert 3600 <= clock.monotonic() - before < 3610
    assert 3600 <= clock.time() - date < 3610


async def test_a_new_speed_counts_for_sleeps_that_have_begun() -> None:
    clock = RealClock()
    sleeper = asyncio.create_task(clock.sleep(60))
    timeout = asyncio.create_task(clock.wait_for(asyncio.Event().wait(), 30))
    await asyncio.sleep(0)
    clock.set_speed(2000)
    assert clock.speed == 2000
    with pytest.raises(TimeoutError):
        await timeout
    await asyncio.wait_for(sleeper, 20)
    clock.set_speed(1)
    before = clock.monotonic()
    await asyncio.sleep(0.01)
    assert clock.monotonic() - before < 10  # at the former speed it would be 20


async def test_a_real_clock_does_not_jump() -> None:
    with pytest.raises(ValueError, match=r"from 0\.001 to 10000, but got inf"):
        RealClock().set_speed(float("inf"))


@pytest.mark.plain_loop
async def test_a_wait_that_has_ended_leaves_no_timer_behind() -> None:
    clock, loop = RealClock(), asyncio.get_running_loop()
    assert await clock.wait_for(asyncio.sleep(0, "done"), 1000) == "done"
    sleeper = asyncio.create_task(clock.sleep(1000))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.sleep(0)
    # What asyncio cancels stays in its heap for a while.
    assert [one for one in loop._scheduled if not one.cancelled()] == []  # type: ignore[attr-defined]
    await clock.step(2000)


REAL_TIME = re.compile(
    r"asyncio\.(sleep\((?!0\))|wait_for|timeout)|\btime\.(time|monotonic|sleep|perf_counter)|\bcall_(later|at)\b"
    r"|datetime\.(now|utcnow|today)|uuid4\(|(?<![\w.])random\.(random|randint|choice|uniform)\("
)
ALLOWED = (
    "clock/loop_timers.py",
    "clock/pace.py",
    "clock/real.py",
    "clock/stepping.py",
    "clock/stalls.py",
    "clock/timers.py",
    "virtual_clock.py",
    "ids.py",
    "watchdog.py",
)


def test_all_time_and_chance_come_from_the_clock() -> None:
    root = Path(imagestore_sim.__file__).parent
    found = [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in sorted(root.rglob("*.py"))
        if str(file.relative_to(root)) not in ALLOWED and "images" not in file.parts  # programs of containers
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if REAL_TIME.search(line) and "clock.wait_for" not in line and "# real:" not in line
    ]
    assert found == [], "take time from imagestore_sim.clock, or say why not in a comment `# real: ...`"


@pytest.mark.parametrize("at", [0.02, 0.05], ids=["at once", "amid the wait"])
async def test_stalls_of_the_loop_do_not_count_for_a_timeout(at: float) -> None:
    clock = RealClock()
    asyncio.get_running_loop().call_later(at, time.sleep, 1.5)

    async def work() -> None:
        for _ in range(10):  # as many turns of the loop
            await asyncio.sleep(0.01)

    await clock.wait_for(work(), 1.2)


async def test_a_timeout_expires_later_by_the_stall() -> None:
    clock = RealClock()
    began = time.monotonic()
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.6)
    with pytest.raises(TimeoutError):
        await clock.wait_for(asyncio.Event().wait(), 0.3)
    assert 0.8 < time.monotonic() - began < 10


async def test_a_stall_counts_for_a_sleep_that_something_may_end() -> None:
    clock, event = RealClock(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, time.sleep, 2)  # as when the process is stopped
    began = clock.monotonic()
    assert await clock.sleep_unless(event.wait(), 0.3) is False
    assert clock.monotonic() - began < 3


async def test_a_sleep_that_something_may_end_says_what_ended_it() -> None:
    clock, event = RealClock(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await clock.sleep_unless(event.wait(), 60) is True
    with pytest.raises(TimeoutError, match="its own"):
        await clock.sleep_unless(_fail(TimeoutError("its own")), 60)
    assert await clock.sleep_unless(asyncio.Event().wait(), -1) is False


async def _fail(error: Exception) -> None:
    raise error


async def test_stalls_are_measured_only_while_a_wait_needs_it() -> None:
    clock = RealClock()
    with pytest.raises(TimeoutError):
        await clock.wait_for(asyncio.Event().wait(), 0.01)
    await asyncio.sleep(0.25)
    assert clock._timers._stalls._beat is None
