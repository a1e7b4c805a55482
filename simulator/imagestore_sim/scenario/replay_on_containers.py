"""Replays of scenario files on container hosts."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

from imagestore_sim.clock import RealClock
from imagestore_sim.containers.preparation import prepare
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.format.schema import Problems
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.play.runner import play
from imagestore_sim.scenario.time_scaling import sped_up, too_fast
from imagestore_sim.scenario.worlds.container_rules import broken_rules
from imagestore_sim.scenario.worlds.containers import ContainersWorld


def read_for_containers(file: Path, speed: float = 1.0) -> Scenario:
    """Return the scenario of a file, `speed` times as fast. Raise ScenarioError where containers cannot play it."""

    def rules(scenario: Scenario) -> Problems:
        yield from broken_rules(scenario)
        yield from too_fast(scenario, speed)

    return sped_up(read_scenario(file, rules), speed)


def prepare_containers() -> None:
    """Do once what all runs need (`containers.preparation`). Raise EngineProblem."""
    asyncio.run(prepare())


def replay_on_containers(file: Path, *, seed: int | None = None, speed: float = 1.0, keep: bool = False) -> Result:
    """Play the scenario of a file, then remove its containers unless `keep` is set. Raise ScenarioError.

    SIGINT and SIGTERM end the play, not the removal.
    """
    scenario = read_for_containers(file, speed)
    return asyncio.run(_play(scenario, file, scenario.seed if seed is None else seed, keep))


async def _play(scenario: Scenario, file: Path, seed: int, keep: bool) -> Result:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # each time: the removal is shielded
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await play(scenario, RealClock, partial(ContainersWorld, keep=keep), file=str(file), seed=seed)
