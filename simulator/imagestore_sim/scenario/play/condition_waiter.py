"""Waits until a condition has been met, or is no longer met, in the time of a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from imagestore_sim.clock import Clock, wake
from imagestore_sim.scenario.format.expectations import ASKED, Condition, Unchanged
from imagestore_sim.scenario.play.observed_state import Evaluation, Inventory, ObservedState, field_text

Test = Callable[[Evaluation], bool]


class ConditionWaiter:
    """Evaluates conditions at each change of the observed state."""

    def __init__(self, state: ObservedState, clock: Clock, ask: Callable[[Condition], Awaitable[Evaluation]]) -> None:
        """`ask` evaluates a condition that only the node can answer: a query or a metric."""
        self._state = state
        self._clock = clock
        self._ask = ask

    async def until(self, condition: Condition, test: Test, seconds: float | None, since: int) -> Evaluation | None:
        """Return the first evaluation that passes `test`, or None after `seconds` (None: wait for ever).

        Of a condition about events, those after the first `since` count.
        """
        is_asked = condition.subject in ASKED
        work = self._until_answered(condition, test) if is_asked else self._until_seen(condition, test, since)
        if seconds is None:
            return await work
        try:
            return await self._clock.wait_for(work, seconds)
        except TimeoutError:
            return None

    async def _until_seen(self, condition: Condition, test: Test, since: int) -> Evaluation:
        found: asyncio.Future[Evaluation] = asyncio.get_running_loop().create_future()

        def evaluate() -> None:
            seen = self._state.evaluate(condition, since)
            if test(seen) and not found.done():
                found.set_result(Evaluation(seen.all, seen.any, self._text(condition, seen)))

        with self._state.listening(evaluate):
            return await found

    def _text(self, condition: Condition, seen: Evaluation) -> str:
        if condition.subject == "storage" and seen.any and not seen.all:
            return self._state.matching_text(condition)
        return seen.text

    async def _until_answered(self, condition: Condition, test: Test) -> Evaluation:
        while True:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first = True

            def note_change(changed: asyncio.Future[None] = changed) -> None:
                nonlocal first
                if not first:  # the call at the beginning of the block is no change
                    wake(changed)
                first = False

            with self._state.listening(note_change):
                seen = await self._ask(condition)
                if test(seen):
                    return seen
                await changed

    async def until_changed(self, unchanged: Unchanged, on_evaluated: Callable[[], None]) -> str:
        """Wait until one of the fields has changed; return how, in words.

        `on_evaluated` is called whenever there is a storage that the invariant is about.
        """
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        before: dict[str, Inventory] = {}

        def evaluate() -> None:
            for name, storage in self._state.storages(unchanged.storage).items():
                if storage is None or not unchanged.while_.matches(storage.get("status"), storage):
                    before.pop(name, None)
                    continue
                on_evaluated()
                values: Inventory = {one: storage.get(one) for one in unchanged.fields}
                if before.setdefault(name, values) != values and not found.done():
                    changes = [f"{one} {field_text(one, before[name][one])} became {field_text(one, value)}"
                               for one, value in values.items() if value != before[name][one]]  # fmt: skip
                    found.set_result(f"{name}: {', '.join(changes)}")

        with self._state.listening(evaluate):
            return await found
