"""A tick in real time leaves the event loop to requests between the pings that it begins."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from imagestore_sim.backup_storage.ping_tracker import PINGS_IN_A_TURN
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Layout, Prober, Target
from imagestore_sim.settings import Settings
from loop_turns import Turns, counting
from recorded_probes import Outcome

HOSTS = 5 * PINGS_IN_A_TURN


async def test_only_a_few_pings_begin_in_one_turn_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, begun = Turns(), Counter[int]()
    all_begun = asyncio.Event()
    probe = Prober.probe

    async def noted(self: Prober, target: Target, *, layout: Layout = Layout.ANY, fresh: bool = False) -> Outcome:
        if not fresh:
            begun[turns.count] += 1
            if begun.total() == HOSTS:
                all_begun.set()
        return await probe(self, target, layout=layout, fresh=fresh)

    monkeypatch.setattr(Prober, "probe", noted)
    async with Lab(Settings(port=0, hosts=HOSTS, ping_interval=1)), counting(turns), asyncio.timeout(120):
        await all_begun.wait()
    assert max(begun.values()) <= PINGS_IN_A_TURN
