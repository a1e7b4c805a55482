"""Where expectations are decided: `expect`, `eventually`, `stays`, `never`, and the invariants of a whole story."""

from __future__ import annotations

from imagestore_sim.scenario.format.expectations import Condition, Eventually, Invariant, Never, Stays
from imagestore_sim.scenario.play.context import PlayContext
from imagestore_sim.scenario.play.observed_state import Evaluation
from imagestore_sim.scenario.play.results import Outcome, StepResult, Verdict
from imagestore_sim.scenario.play.step_handlers import StepHandlers

EXPECTATIONS = StepHandlers()


def _is_met(seen: Evaluation) -> bool:
    return seen.all


def _is_not_met(seen: Evaluation) -> bool:
    return not seen.all


def _is_met_by_any(seen: Evaluation) -> bool:
    return seen.any


@EXPECTATIONS.handles("expect")
async def expect(context: PlayContext, condition: Condition) -> Outcome:
    """Hold if the condition is met now."""
    if condition.subject == "storage":
        await context.observer.refresh(strictly=True)
    seen = await context.observer.evaluate(condition)
    return (Verdict.HELD if seen.all else Verdict.FAILED), seen.text


@EXPECTATIONS.handles("eventually")
async def eventually(context: PlayContext, condition: Eventually) -> Outcome:
    """Hold as soon as the condition is met; fail if it is not within its time."""
    since = len(context.observer.state.events)
    seen = await context.waiter.until(condition, _is_met, condition.within, since)
    if seen is not None:
        return Verdict.HELD, seen.text
    await context.world.settle()
    last = await context.observer.evaluate(condition, since)
    return (Verdict.HELD if last.all else Verdict.FAILED), last.text


@EXPECTATIONS.handles("stays")
async def stays(context: PlayContext, condition: Stays) -> Outcome:
    """Fail as soon as the condition is not met; hold after its time."""
    since = len(context.observer.state.events)
    return _unbroken(context, await context.waiter.until(condition, _is_not_met, condition.lasts, since))


@EXPECTATIONS.handles("never")
async def never(context: PlayContext, condition: Never) -> Outcome:
    """Fail as soon as anything meets the condition; hold after its time, if it has one."""
    since = len(context.observer.state.events)
    return _unbroken(context, await context.waiter.until(condition, _is_met_by_any, condition.during, since))


def _unbroken(context: PlayContext, broken: Evaluation | None) -> Outcome:
    if broken is None:
        return Verdict.HELD, ""
    return Verdict.FAILED, f"at {context.time.now:g} s: {broken.text}"


async def watch_invariant(context: PlayContext, invariant: Invariant, result: StepResult) -> None:
    """Watch an invariant until it is broken; `result.runs` counts the evaluations."""
    result.began = context.time.now

    def count() -> None:
        result.runs += 1

    if invariant.unchanged is not None:
        text = await context.waiter.until_changed(invariant.unchanged, count)
    else:
        count()
        condition = invariant.never or invariant.always
        assert condition is not None
        is_broken = _is_met_by_any if invariant.never is not None else _is_not_met
        broken = await context.waiter.until(condition, is_broken, None, 0)
        assert broken is not None
        text = broken.text
    now = context.time.now
    result.verdict, result.seen, result.ended = Verdict.FAILED, f"at {now:g} s: {text}", now
