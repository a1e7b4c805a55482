"""Play a story in virtual time, and return all that it has shown."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

from imagestore_sim.explore.recorder import ErrorLines, census, open_files
from imagestore_sim.explore.runs import Census, Played
from imagestore_sim.explore.world import ExploredCluster, ExploredWorld
from imagestore_sim.orders import SeededOrder
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.play.runner import play as play_story
from imagestore_sim.virtual_clock import run_virtually, virtual_clock


def play(story: Scenario) -> Played:
    """Play a story on an event loop of its own, in its order."""
    order = SeededOrder() if story.order is None else story.order.order()
    files = open_files()
    played = Played(story, Result("", story.title))
    errors = ErrorLines(played.errors)
    with errors.collecting():
        run_virtually(_play(played, errors), seed=story.seed, order=order, without_threads=True)
    played.drawn = order.drawn
    played.result.missed_pins = list(order.missed())
    played.left = Census(played.left.tasks, _files_beyond(files))
    return played


async def _play(played: Played, errors: ErrorLines) -> None:
    before = census()
    kind = ExploredWorld if played.story.nodes == 1 else ExploredCluster
    world = partial(kind, played=played, errors=errors)
    played.result = await play_story(played.story, virtual_clock, world, seed=played.story.seed)
    await asyncio.sleep(0)  # real: what was cancelled ends
    played.left = Census(census().tasks - before.tasks)


def _files_beyond(before: int) -> int:
    """Return how many more files are open than before; those that nothing refers to are closed first."""
    if open_files() > before:
        gc.collect()
    return max(0, open_files() - before)
