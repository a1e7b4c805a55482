"""Things that are spread over a time: evenly, without a wait for few of them, and at once what is late."""

from __future__ import annotations

import pytest

from imagestore_sim.clock import RealClock, Spread, spread
from imagestore_sim.clock.spread import FEW, MOST_IN_A_TURN, TURN_SECONDS
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from loop_turns import Turns, counting


@pytest.fixture(autouse=True)
def _in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have virtual time spread as many as real time does: its moments are exact."""
    monkeypatch.setattr(spread, "FEW_IN_VIRTUAL_TIME", FEW)


async def _moments(count: int, seconds: float, late: float = 0.0, in_a_turn: int = MOST_IN_A_TURN) -> list[float]:
    """Return when each of some things begins, from the first on; the tenth takes `late` seconds."""
    clock = virtual_clock()
    spreading, began, found = Spread(clock, count, seconds, in_a_turn), clock.monotonic(), []
    for number in range(count):
        found.append(clock.monotonic() - began)
        if late and number == 9:
            await clock.sleep(late)
        await spreading.turn()
    return found


def test_many_begin_evenly_and_none_far_ahead_of_its_time() -> None:
    found = run_virtually(_moments(1000, 50.0))
    assert all(0 <= number * 0.05 - at <= TURN_SECONDS + 1e-6 for number, at in enumerate(found))


def test_no_timer_is_made_for_what_may_begin_already() -> None:
    found = run_virtually(_moments(1000, 1.0, in_a_turn=1))
    assert all(-1e-6 <= number * 0.001 - at <= TURN_SECONDS + 1e-6 for number, at in enumerate(found))
    assert len(set(found)) <= 1.0 / TURN_SECONDS + 1


def test_few_begin_at_once() -> None:
    assert run_virtually(_moments(FEW, 50.0)) == [0.0] * FEW


def test_what_is_late_is_made_up_for() -> None:
    found = run_virtually(_moments(1000, 50.0, late=20.0))
    assert found[10:400] == [found[10]] * 390
    assert found[-1] <= 50.0


async def test_others_have_their_turn_while_what_is_late_begins() -> None:
    turns = Turns()
    async with counting(turns):
        spreading = Spread(RealClock(), 10 * FEW, 1e-6)
        for _ in range(10 * MOST_IN_A_TURN):
            await spreading.turn()
    assert turns.count >= 9
