"""What is known of the storages while a scenario is played: from answers to queries, and from every event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, DELETED, STATUS_CHANGED, Event
from imagestore_sim.scenario.format.api_steps import Uuids
from imagestore_sim.scenario.format.expectations import EVENTS, Condition
from imagestore_sim.scenario.format.matchers import CAPACITIES, Matcher, parse_matcher
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.units import size_text

OF_STORAGES = "/backup-storage/"
"""Of the paths of events about storages."""
AT_LEAST_ONE = parse_matcher("> 0")
Inventory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Whether a condition is met by all that it is about, and by any of them; what was seen, in words."""

    all: bool
    any: bool
    text: str


class Owners(Protocol):
    """Tells which of several nodes owns a storage."""

    def owner_of(self, storage: str) -> str:
        """Return the name of the node that pings a storage, by its uuid; `none` without one."""

    def on_owners_changed(self, callback: Callable[[], None]) -> None:
        """Call back when that may have changed."""


def field_text(name: str, value: object) -> str:
    """Return the value of a storage's field for people: a capacity as `1 TiB`."""
    return size_text(value) if name in CAPACITIES and isinstance(value, int) else str(value)


class ObservedState:
    """The storages as the last answer and the events since then show them, and all events."""

    def __init__(self, uuids: Uuids) -> None:
        """`uuids` holds those of storages and images by their names; steps of the scenario add to it."""
        self._uuids = uuids
        self._storages: dict[str, Inventory] = {}
        self.events: list[Event] = []
        self._listeners: dict[Callable[[], None], None] = {}
        self._owners: Owners | None = None

    def follow_owners(self, owners: Owners) -> None:
        """Let storages have the field `owner`."""
        self._owners = owners
        owners.on_owners_changed(self._notify)

    # Changes

    def replace(self, inventories: Sequence[Inventory]) -> None:
        """Take over the storages of an answer to a query for all of them."""
        self._storages = {str(one["uuid"]): dict(one) for one in inventories}
        self._notify()

    def apply(self, event: Event) -> None:
        """Take over what an event says of its storage."""
        self.events.append(event)
        if event.path.startswith(OF_STORAGES):
            self._apply_to_storage(event)
        self._notify()

    def _apply_to_storage(self, event: Event) -> None:
        storage = self._storages.setdefault(event.resource_uuid, {})
        if event.path == DELETED:
            del self._storages[event.resource_uuid]
        elif event.path == STATUS_CHANGED:
            storage["status"] = event.content["newStatus"]
        elif event.path == CAPACITY_CHANGED:
            storage.update({name: event.content[name] for name in CAPACITIES})

    def _notify(self) -> None:
        for listener in list(self._listeners):
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call `listener` once now, and at each change while the block runs: no status is too short to be seen."""
        self._listeners[listener] = None
        try:
            listener()
            yield
        finally:
            del self._listeners[listener]

    # Conditions

    def storages(self, patterns: Sequence[str]) -> dict[str, Inventory | None]:
        """Return the storages whose names match, None for one without a record."""
        uuids = self._uuids.storages
        return {name: self._with_owner(uuids[name]) for name in matching(patterns, uuids)}

    def _with_owner(self, uuid: str) -> Inventory | None:
        storage = self._storages.get(uuid)
        return storage if storage is None or self._owners is None else storage | {"owner": self._owners.owner_of(uuid)}

    def evaluate(self, condition: Condition, since: int) -> Evaluation:
        """Evaluate a condition about storages, or about the events after the first `since`."""
        if condition.subject == "event":
            return self._evaluate_events(condition, since)
        found = self.storages(condition.storage or ())
        met = {name: _meets(condition, storage) for name, storage in found.items()}
        shown = [name for name, is_met in met.items() if not is_met] or list(met)
        text = "; ".join(f"{name}: {_describe(condition, found[name])}" for name in shown[:5])
        more = f"; and {len(shown) - 5} more" if len(shown) > 5 else ""
        return Evaluation(bool(met) and all(met.values()), any(met.values()), text + more)

    def matching_text(self, condition: Condition) -> str:
        """Return the storages that meet a condition, and their fields, in words."""
        found = self.storages(condition.storage or ())
        return "; ".join(
            f"{name}: {_describe(condition, one)}" for name, one in found.items() if _meets(condition, one)
        )

    def _evaluate_events(self, condition: Condition, since: int) -> Evaluation:
        path = EVENTS[str(condition.event)]
        storages = set(self._uuids.of_storages(condition.storage or ("*",)))
        images = set(self._uuids.of_images(condition.image or ("*",)))
        found = [
            one
            for one in self.events[since:]
            if one.path == path and _concerns(one, storages, images) and _event_meets(condition, one.content)
        ]
        met = (condition.count or AT_LEAST_ONE).matches(len(found), {})
        text = f"{len(found)} such event{'' if len(found) == 1 else 's'}"
        return Evaluation(met, met, f"{text}, the last one: {_event_text(found[-1])}" if found else text)


def _concerns(event: Event, storages: Set[str], images: Set[str]) -> bool:
    """Return whether an event is about one of these storages; an event of an image also about one of these images."""
    if event.path.startswith(OF_STORAGES):
        return event.resource_uuid in storages
    named = event.content.get("backupStorageUuids", [event.content.get("backupStorageUuid")])
    about = storages if named == [None] else storages & set(named)  # type: ignore[call-overload]
    return event.resource_uuid in images and bool(about)


def _event_text(event: Event) -> str:
    content = event.content
    reason = content.get("reason")
    if isinstance(reason, Mapping):
        return str(reason.get("details", ""))
    if "newStatus" in content:
        return f"{content['oldStatus']} to {content['newStatus']}"
    if event.path == CAPACITY_CHANGED:
        return f"{size_text(int(str(content['availableCapacity'])))} available"
    return str(content.get("message") or content.get("details") or content.get("name", ""))


def _meets(condition: Condition, storage: Inventory | None) -> bool:
    if condition.exists is not None and condition.exists != (storage is not None):
        return False
    matchers = list(condition.storage_matchers())
    if storage is None:
        return not matchers and condition.exists is False
    return all(one.matches(storage.get(name), storage) for name, one in matchers)


def _describe(condition: Condition, storage: Inventory | None) -> str:
    if storage is None:
        return "no record"
    shown = [f"{name} {field_text(name, storage.get(name))}" for name, _ in condition.storage_matchers()]
    return ", ".join(shown) or "there"


def _event_meets(condition: Condition, content: Mapping[str, object]) -> bool:
    reason = content.get("reason")
    if isinstance(reason, Mapping):  # of a disconnect, it is an error with the reason in it
        reason = reason.get("reason")
    fields = {"reason": reason, "oldStatus": content.get("oldStatus"), "newStatus": content.get("newStatus")}
    matchers: dict[str, Matcher | None] = {name: getattr(condition, name) for name in fields}
    return all(one is None or one.matches(fields[name], {}) for name, one in matchers.items())
