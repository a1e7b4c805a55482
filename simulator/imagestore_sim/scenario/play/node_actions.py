"""What the steps about management nodes do: one function for each step key (`format.node_steps`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from imagestore_sim.scenario.format.node_steps import (
    HealPartitionStep,
    KillNodeStep,
    Neighbour,
    PartitionStep,
    PauseNodeStep,
    RestartNodeStep,
    ResumeNodeStep,
    SkewClockStep,
    StartNodeStep,
    StopNodeStep,
)
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.play.context import PlayContext
from imagestore_sim.scenario.play.fault_windows import NODE
from imagestore_sim.scenario.play.results import DONE, Outcome, Window
from imagestore_sim.scenario.play.step_handlers import StepHandlers
from imagestore_sim.scenario.play.world import ClusterWorld, RestartableWorld, WorldProblem
from imagestore_sim.tasks import together
from imagestore_sim.units import duration_text

NODE_ACTIONS = StepHandlers()
NODES: Neighbour = "nodes"
DOWN, PAUSED, SKEWED = "down", "paused", "skewed"
"""What a window tells of one of several nodes; a cut is named for what it cuts the node off from."""


@NODE_ACTIONS.handles("restart_node")
async def restart_node(context: PlayContext, step: RestartNodeStep) -> Outcome:
    """Stop the node, and start it again after `down` seconds; of several, one after the other.

    Raise WorldProblem where it cannot be restarted.
    """
    for node in _named(context, step.node or ()):
        async with context.node_steps[node]:
            await _stop(context, node)
            await context.clock.sleep(step.down)
            await _start(context, node)
    if step.node is None:
        world = _restartable(context)
        async with context.node_steps[""]:
            window = context.windows.open(NODE, "management node down")
            await world.stop_node()
            await _start_node_after(context, world, step.down, window)
    return DONE


@NODE_ACTIONS.handles("kill_node")
async def kill_node(context: PlayContext, step: KillNodeStep) -> Outcome:
    """Kill the node, and start it again after `down` seconds; several at once.

    Raise WorldProblem where it cannot be restarted.
    """
    if step.node is not None:
        await together(*(_kill_one(context, node, step) for node in _named(context, step.node)))
        return DONE
    world = _restartable(context)
    async with context.node_steps[""]:
        await world.kill_node(step.commits, step.within)
        window = context.windows.open(NODE, "management node killed")
        await _start_node_after(context, world, step.down or 0.0, window)
    return DONE


async def _kill_one(context: PlayContext, node: str, step: KillNodeStep) -> None:
    async with context.node_steps[node]:
        await _cluster(context).kill_one(node, step.commits, step.within)
        context.windows.open_node(node, DOWN, "killed")
        if step.down is not None:
            await context.clock.sleep(step.down)
            await _start(context, node)
    await context.observer.refresh()


def _restartable(context: PlayContext) -> RestartableWorld:
    if not isinstance(context.world, RestartableWorld):
        raise WorldProblem("a node that is running is not stopped")
    return context.world


async def _start_node_after(context: PlayContext, world: RestartableWorld, seconds: float, window: Window) -> None:
    await context.clock.sleep(seconds)
    await world.start_node()
    window.ended = context.time.now
    await context.observer.refresh()


# Several nodes


def _cluster(context: PlayContext) -> ClusterWorld:
    if not isinstance(context.world, ClusterWorld):
        raise WorldProblem("there is one node")
    return context.world


def _named(context: PlayContext, patterns: Sequence[str]) -> list[str]:
    return list(matching(patterns, _cluster(context).nodes)) if patterns else []


def _undo_after(
    context: PlayContext, seconds: float | None, undo: Callable[[PlayContext, str], Awaitable[None]], node: str
) -> None:
    """Undo something after a time, beside the steps that follow."""

    async def later(seconds: float) -> None:
        await context.clock.sleep(seconds)
        await undo(context, node)

    if seconds is not None:
        context.tasks.begin(later(seconds), f"{undo.__name__} of {node}")


@NODE_ACTIONS.handles("stop_node")
async def stop_nodes(context: PlayContext, step: StopNodeStep) -> Outcome:
    """Stop nodes; with `for`, start them after that time, beside the steps that follow."""
    for node in _named(context, step.node):
        async with context.node_steps[node]:
            await _stop(context, node)
        _undo_after(context, step.lasts, _start_again, node)
    return DONE


@NODE_ACTIONS.handles("start_node")
async def start_nodes(context: PlayContext, step: StartNodeStep) -> Outcome:
    """Start nodes that do not run, one after the other."""
    for node in _named(context, step.node):
        await _start_again(context, node)
    return DONE


async def _start_again(context: PlayContext, node: str) -> None:
    async with context.node_steps[node]:
        await _start(context, node)


async def _stop(context: PlayContext, node: str) -> None:
    await _cluster(context).stop_one(node)
    context.windows.open_node(node, DOWN, "down")
    await context.observer.refresh()


async def _start(context: PlayContext, node: str) -> None:
    await _cluster(context).start_one(node)
    context.windows.close_node(node)
    await context.observer.refresh()


@NODE_ACTIONS.handles("pause_node")
async def pause_nodes(context: PlayContext, step: PauseNodeStep) -> Outcome:
    """Pause nodes; with `for`, resume them after that time, beside the steps that follow."""
    for node in _named(context, step.node):
        _cluster(context).pause(node)
        context.windows.open_node(node, PAUSED, "paused")
        _undo_after(context, step.lasts, _resume, node)
    return DONE


@NODE_ACTIONS.handles("resume_node")
async def resume_nodes(context: PlayContext, step: ResumeNodeStep) -> Outcome:
    """Resume nodes."""
    for node in _named(context, step.node):
        await _resume(context, node)
    return DONE


async def _resume(context: PlayContext, node: str) -> None:
    _cluster(context).resume(node)
    context.windows.close_node(node, PAUSED)


@NODE_ACTIONS.handles("partition")
async def cut_nodes(context: PlayContext, step: PartitionStep) -> Outcome:
    """Cut nodes off; with `for`, until that time has passed, beside the steps that follow."""

    async def heal(context: PlayContext, node: str) -> None:
        _heal(context, node, step)

    for node in _named(context, step.node):
        neighbours, others = _cut(context, node, step)
        _cluster(context).cut(node, neighbours)
        for other in others:
            _cluster(context).part(node, other)
        for one in (*neighbours, *others):
            context.windows.open_node(node, one, f"cut off from {one}")
        _undo_after(context, step.lasts, heal, node)
    return DONE


@NODE_ACTIONS.handles("heal_partition")
async def heal_partition(context: PlayContext, step: HealPartitionStep) -> Outcome:
    """Let nodes reach again what they were cut off from."""
    for node in _named(context, step.node):
        _heal(context, node, step)
    return DONE


def _cut(
    context: PlayContext, node: str, step: PartitionStep | HealPartitionStep
) -> tuple[Sequence[Neighbour], Sequence[str]]:
    """Return what a step cuts a node off from as a whole, and the single other nodes."""
    if step.others is None:
        return step.from_, ()
    others = [one for one in _named(context, step.others) if one != node]
    return [one for one in step.from_ if one != NODES], others


def _heal(context: PlayContext, node: str, step: PartitionStep | HealPartitionStep) -> None:
    neighbours, others = _cut(context, node, step)
    if NODES in neighbours:  # each of them, too
        others = [one for one in _cluster(context).nodes if one != node]
    _cluster(context).join(node, neighbours)
    for other in others:
        _cluster(context).reunite(node, other)
        context.windows.close_node(other, node)
    for one in (*neighbours, *others):
        context.windows.close_node(node, one)


@NODE_ACTIONS.handles("skew_clock")
async def skew_clocks(context: PlayContext, step: SkewClockStep) -> Outcome:
    """Set the clocks of nodes."""
    for node in _named(context, step.node):
        _cluster(context).skew(node, step.by)
        context.windows.close_node(node, SKEWED)
        if step.by:
            sign = "behind" if step.by < 0 else "ahead"
            context.windows.open_node(node, SKEWED, f"clock {duration_text(abs(step.by))} {sign}")
    return DONE
