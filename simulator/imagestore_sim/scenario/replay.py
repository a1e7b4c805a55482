"""Replay a scenario: on simulated hosts, or on a lab that is running (on containers: replay_on_containers)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.play.runner import Watch, no_watch, play
from imagestore_sim.scenario.play.world import OnEvent, World, WorldFactory
from imagestore_sim.scenario.worlds import remote_lab_rules
from imagestore_sim.scenario.worlds.lab_clock import FollowingClock
from imagestore_sim.scenario.worlds.remote_lab import RemoteLab
from imagestore_sim.scenario.worlds.simulated import SimulatedWorld
from imagestore_sim.scenario.worlds.simulated_cluster import SimulatedCluster
from imagestore_sim.virtual_clock import run_virtually, virtual_clock


def play_virtually(scenario: Scenario, *, file: str = "", seed: int = 0) -> Result:
    """Play a scenario on simulated hosts and the virtual clock, on an event loop of its own."""
    order = None if scenario.order is None else scenario.order.order()
    played = play_simulated(scenario, virtual_clock, file=file, seed=seed)
    result = run_virtually(played, seed=seed, order=order, without_threads=True)
    if order is not None:
        result.missed_pins = list(order.missed())
    return result


class Player(Protocol):
    """Plays a scenario on simulated hosts and the virtual clock: `play_virtually`, or what judges more than it does."""

    def __call__(self, scenario: Scenario, *, file: str, seed: int) -> Result:
        """Play it."""


def replay_file(
    file: Path,
    *,
    clock: str = "virtual",
    seed: int | None = None,
    speed: float = 1.0,
    play: Player = play_virtually,
) -> Result:
    """Play the scenario in `file` on simulated hosts, on an event loop of its own. Raise ScenarioError.

    `clock` is `virtual`, where `play` plays it, or `real`; `speed` is that of the real one.
    """
    scenario = read_scenario(file)
    chosen = scenario.seed if seed is None else seed
    if clock == "virtual":
        return play(scenario, file=str(file), seed=chosen)

    def real_clock() -> RealClock:
        clock = RealClock()
        clock.set_speed(speed)
        return clock

    return asyncio.run(play_simulated(scenario, real_clock, file=str(file), seed=chosen))


async def play_simulated(
    scenario: Scenario, new_clock: Callable[[], Clock], *, file: str = "", seed: int = 0
) -> Result:
    """Play a scenario on simulated hosts. Return what was seen so far when cancelled."""
    world: WorldFactory = SimulatedWorld if scenario.nodes == 1 else SimulatedCluster
    return await play(scenario, new_clock, world, file=file, seed=seed)


def replay_file_on_lab(url: str, file: Path, *, account: str, password: str, lab_token: str | None = None) -> Result:
    """Play the scenario in `file` on the lab that runs at `url`, by its clock. Raise ScenarioError."""
    scenario = read_scenario(file, remote_lab_rules.broken_rules)
    playing = play_on_lab(url, scenario, file=str(file), account=account, password=password, lab_token=lab_token)
    return asyncio.run(_until_terminated(playing))


async def _until_terminated(playing: Coroutine[Any, Any, Result]) -> Result:
    """Cancel `playing` at SIGTERM, as asyncio.run does at SIGINT, so that the lab is restored."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await playing


async def play_on_lab(
    url: str,
    scenario: Scenario,
    *,
    file: str = "",
    account: str = "admin",
    password: str = "password",  # noqa: S107 - ZStack's own
    lab_token: str | None = None,
    watch: Watch = no_watch,
) -> Result:
    """Play a scenario on the lab that runs at `url`, by its clock. Return what was seen so far when cancelled."""
    clock = FollowingClock()

    def world(scenario: Scenario, _: Clock, seed: int, on_event: OnEvent) -> World:
        return RemoteLab(url, account, password, scenario, clock, on_event, lab_token)

    result = await play(scenario, lambda: clock, world, file=file, seed=scenario.seed, watch=watch)
    result.clock = "lab's"
    return result
