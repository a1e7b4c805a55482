"""The real clock: what it reads, and how it waits."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from simulator.clock import RealClock

NOVEMBER = 1510698057.9  # 2017-11-14 22:20:57 UTC


@pytest.mark.parametrize(
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
    assert 0.019 < clock.monotonic() - began < 1


@pytest.mark.parametrize("seconds", [0, -1, -1e9])
async def test_a_sleep_of_nothing_or_less_lets_others_run_once(seconds: float) -> None:
    ran: list[None] = []
    asyncio.get_running_loop().call_soon(ran.append, None)
    await asyncio.wait_for(RealClock().sleep(seconds), 1)
    assert ran == [None]


async def test_what_is_waited_for_is_answered_or_cancelled_in_time() -> None:
    clock = RealClock()
    assert await clock.wait_for(asyncio.sleep(0, "done"), 1) == "done"
    slow = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(TimeoutError):
        await clock.wait_for(slow, 0.01)
    assert slow.cancelled()
