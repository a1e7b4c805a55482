"""The parts that a run of a scenario is made of, and its steps work with."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from imagestore_sim.clock import Clock
from imagestore_sim.scenario.play.clients import ClientsUnderTest
from imagestore_sim.scenario.play.condition_waiter import ConditionWaiter
from imagestore_sim.scenario.play.event_log import EventLog
from imagestore_sim.scenario.play.fault_windows import FaultWindows
from imagestore_sim.scenario.play.observer import Observer
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.play.story_time import StoryTime
from imagestore_sim.scenario.play.world import World
from imagestore_sim.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayContext:
    """The parts of one run."""

    world: World
    clock: Clock
    time: StoryTime
    log: EventLog
    observer: Observer
    waiter: ConditionWaiter
    windows: FaultWindows
    clients: ClientsUnderTest
    node_steps: Mapping[str, asyncio.Lock]
    """By node ('' for the only one): held by the step that stops or kills it, until it runs again; others wait."""
    tasks: Tasks
    """What runs beside the timeline; it is cancelled when the story ends."""

    @classmethod
    def of(cls, world: World, clock: Clock, result: Result) -> Self:
        """Return the parts of a run in `world`, which write into `result`; its lanes have to be there already."""
        time = StoryTime(clock)
        log = EventLog(result.log, lambda: time.now, world.folder)
        windows = FaultWindows(result.windows, time)
        observer = Observer(world, time, log, result, windows.close_node_fault)
        return cls(
            world=world,
            clock=clock,
            time=time,
            log=log,
            observer=observer,
            waiter=ConditionWaiter(observer.state, clock, observer.ask),
            windows=windows,
            clients=ClientsUnderTest(clock, time, observer.note_client, world.node_at),
            node_steps=defaultdict(asyncio.Lock),
            tasks=Tasks(),
        )
