"""What is known of the storages while a scenario is played, and what waits for something to be seen there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, DELETED, STATUS_CHANGED, Event
from imagestore_sim.clock import Clock, wake
from imagestore_sim.scenario.format.expectations import ASKED, EVENTS, Condition, Unchanged
from imagestore_sim.scenario.format.matchers import CAPACITIES, Matcher, parse_wanted
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.units import size_text

AT_LEAST_ONE = parse_wanted("> 0")
Inventory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a condition stands: whether it is met by all that it is said of, and by any; in words."""

    all: bool
    any: bool
    text: str


def field_text(name: str, value: object) -> str:
    """The value of a field, for people."""
    return size_text(value) if name in CAPACITIES and isinstance(value, int) else str(value)


class ObservedState:
    """The storages as answers and events have shown them, and all events so far."""

    def __init__(self, uuids: Mapping[str, str]) -> None:
        """`uuids` has storages' uuids by their names in the scenario; it may grow."""
        self._uuids = uuids
        self._storages: dict[str, Inventory] = {}
        self.events: list[Event] = []
        self._looking: dict[Callable[[], None], None] = {}

    # What changes it

    def refresh(self, inventories: Sequence[Inventory]) -> None:
        """All storages that there are, as a query has answered."""
        self._storages = {str(one["uuid"]): dict(one) for one in inventories}
        self.changed()

    def hear(self, event: Event) -> None:
        """An event has been told."""
        self.events.append(event)
        storage = self._storages.setdefault(event.resource_uuid, {})
        if event.path == DELETED:
            del self._storages[event.resource_uuid]
        elif event.path == STATUS_CHANGED:
            storage["status"] = event.content["newStatus"]
        elif event.path == CAPACITY_CHANGED:
            storage.update({name: event.content[name] for name in CAPACITIES})
        self.changed()

    def changed(self) -> None:
        """Have all look who wait for something."""
        for look in list(self._looking):
            look()

    @contextmanager
    def looking(self, look: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `look` is called at each change; it is called once at the beginning, too."""
        self._looking[look] = None
        try:
            look()
            yield
        finally:
            del self._looking[look]

    # Conditions

    def named(self, patterns: Sequence[str]) -> dict[str, Inventory | None]:
        """The storages that are meant, None for one without a record."""
        return {name: self._storages.get(self._uuids[name]) for name in matching(patterns, self._uuids)}

    def look(self, condition: Condition, since: int) -> Evaluation:
        """How a condition of storages or events stands; of events, those after the first `since`."""
        if condition.subject == "event":
            return self._look_at_events(condition, since)
        found = self.named(condition.storage or ())
        met = {name: _meets(condition, storage) for name, storage in found.items()}
        telling = [name for name, is_met in met.items() if not is_met] or list(met)
        text = "; ".join(f"{name}: {_describe(condition, found[name])}" for name in telling[:5])
        more = f"; and {len(telling) - 5} more" if len(telling) > 5 else ""
        return Evaluation(bool(met) and all(met.values()), any(met.values()), text + more)

    def who(self, condition: Condition) -> str:
        """Which storages meet a condition, and how."""
        found = self.named(condition.storage or ())
        return "; ".join(
            f"{name}: {_describe(condition, one)}" for name, one in found.items() if _meets(condition, one)
        )

    def _look_at_events(self, condition: Condition, since: int) -> Evaluation:
        path = EVENTS[str(condition.event)]
        uuids = {self._uuids[name] for name in matching(condition.storage or ("*",), self._uuids)}
        found = [
            one
            for one in self.events[since:]
            if one.path == path and one.resource_uuid in uuids and _is_such(condition, one.content)
        ]
        met = (condition.count or AT_LEAST_ONE).met(len(found), {})
        text = f"{len(found)} such event{'' if len(found) == 1 else 's'}"
        return Evaluation(met, met, f"{text}, the last one: {_tell(found[-1])}" if found else text)


def _tell(event: Event) -> str:
    content = event.content
    reason = content.get("reason")
    if isinstance(reason, Mapping):
        return str(reason.get("details", ""))
    if event.path == STATUS_CHANGED:
        return f"{content['oldStatus']} to {content['newStatus']}"
    if event.path == CAPACITY_CHANGED:
        return f"{size_text(int(str(content['availableCapacity'])))} available"
    return str(content.get("message") or content.get("name", ""))


def _meets(condition: Condition, storage: Inventory | None) -> bool:
    if condition.exists is not None and condition.exists != (storage is not None):
        return False
    wanted = list(condition.wanted_of_storage())
    if storage is None:
        return not wanted and condition.exists is False
    return all(one.met(storage.get(name), storage) for name, one in wanted)


def _describe(condition: Condition, storage: Inventory | None) -> str:
    if storage is None:
        return "no record"
    shown = [f"{name} {field_text(name, storage.get(name))}" for name, _ in condition.wanted_of_storage()]
    return ", ".join(shown) or "there"


def _is_such(condition: Condition, content: Mapping[str, object]) -> bool:
    reason = content.get("reason")
    if isinstance(reason, Mapping):  # of a disconnect, it is an error with the reason in it
        reason = reason.get("reason")
    fields = {"reason": reason, "oldStatus": content.get("oldStatus"), "newStatus": content.get("newStatus")}
    wanted: dict[str, Matcher | None] = {name: getattr(condition, name) for name in fields}
    return all(one is None or one.met(fields[name], {}) for name, one in wanted.items())


class ConditionWaiter:
    """Waits for conditions in the time of a clock."""

    def __init__(self, picture: ObservedState, clock: Clock, ask: Callable[[Condition], Any]) -> None:
        """`ask` asks the node, and answers how a condition stands that only it can tell."""
        self._picture = picture
        self._clock = clock
        self._ask = ask

    async def until(
        self, condition: Condition, test: Callable[[Evaluation], bool], seconds: float | None, since: int
    ) -> Evaluation | None:
        """How the condition stands as soon as that passes the test; None if it does not, for so many seconds."""
        work = self._asked(condition, test) if condition.subject in ASKED else self._seen(condition, test, since)
        if seconds is None:
            return await work
        try:
            return await self._clock.wait_for(work, seconds)
        except TimeoutError:
            return None

    async def _seen(self, condition: Condition, test: Callable[[Evaluation], bool], since: int) -> Evaluation:
        found: asyncio.Future[Evaluation] = asyncio.get_running_loop().create_future()

        def look() -> None:
            seen = self._picture.look(condition, since)
            if test(seen) and not found.done():
                found.set_result(Evaluation(seen.all, seen.any, self._text(condition, seen)))

        with self._picture.looking(look):
            return await found

    def _text(self, condition: Condition, seen: Evaluation) -> str:
        if condition.subject == "storage" and seen.any and not seen.all:
            return self._picture.who(condition)
        return seen.text

    async def _asked(self, condition: Condition, test: Callable[[Evaluation], bool]) -> Evaluation:
        while True:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first = True

            def look(changed: asyncio.Future[None] = changed) -> None:
                nonlocal first
                if not first:
                    wake(changed)
                first = False

            with self._picture.looking(look):
                seen: Evaluation = await self._ask(condition)
                if test(seen):
                    return seen
                await changed

    async def kept(self, unchanged: Unchanged, note: Callable[[], None]) -> str:
        """What has changed, as soon as one of the fields has; `note` is called when there was something to watch."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        before: dict[str, Inventory] = {}

        def look() -> None:
            for name, storage in self._picture.named(unchanged.storage).items():
                if storage is None or not unchanged.while_.met(storage.get("status"), storage):
                    before.pop(name, None)
                    continue
                note()
                values: Inventory = {one: storage.get(one) for one in unchanged.fields}
                if before.setdefault(name, values) != values and not found.done():
                    changes = [f"{one} {field_text(one, before[name][one])} became {field_text(one, value)}"
                               for one, value in values.items() if value != before[name][one]]  # fmt: skip
                    found.set_result(f"{name}: {', '.join(changes)}")

        with self._picture.looking(look):
            return await found
