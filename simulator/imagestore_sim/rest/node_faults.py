"""The faults that are set on a management node: set, met by requests, healed by hand, by the clock or by their count.

`NodeFaults` is empty unless a test has set faults: `RestServer` asks `is_empty` once a request. Faults act in the order
in which they were set (docs/node-faults.md).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.faults import FaultProblem, Meets, NodeFault
from imagestore_sim.faults.node_fault import EVENTS, Undo
from imagestore_sim.faults.selection import Selector, Subject, names_of
from imagestore_sim.masking import masked_path
from imagestore_sim.rest.past_reads import PastReads
from imagestore_sim.suggestions import nearest
from imagestore_sim.tasks import Tasks
from imagestore_sim.web_server import Connection

logger = logging.getLogger(__name__)
MOST_FAULTS = 100
"""Faults that can be set at once."""
KEPT_HEALED = 100
"""Healed faults whose hits can still be read."""
FAULT_SET = f"{EVENTS}set"
FAULT_HIT = f"{EVENTS}hit"
FAULT_HEALED = f"{EVENTS}healed"
RecordEvent = Callable[[str, str, Mapping[str, object]], Awaitable[None]]
"""Called with the path of an event, the id of the fault that it is about, and its content."""


class TooManyFaults(ValueError):
    """As many faults are set as can be at once."""


class Facts(Protocol):
    """What the store knows of the accounts and storages that a request names."""

    async def account_name(self, uuid: str) -> str | None:
        """Return the name of an account, None if there is none."""

    async def storage_statuses(self, uuids: list[str]) -> list[str]:
        """Return the statuses of the backup storages among these uuids."""


class NodeActions(Protocol):
    """What faults do to the node itself."""

    @property
    def uuid(self) -> str:
        """Return the uuid of the node."""

    async def end_session(self, session_uuid: str) -> None:
        """End a session, if it exists. Raise StoreUnavailable."""

    async def end_all_sessions(self) -> None:
        """End every session. Raise StoreUnavailable."""

    def refuses_date(self, date: str, skew: float) -> bool:
        """Return whether the date of a signed request is wrong for a clock that is `skew` seconds ahead."""

    async def restart(self, but: Connection) -> None:
        """Leave the node as a restart leaves it, and reset the connections of ZStack's API, but for one."""


class Healed(StrEnum):
    """What has healed a fault."""

    HAND = "hand"
    TIME = "time"
    COUNT = "count"
    RESET = "reset"


class AppliedNodeFault:
    """A fault that is set on a node, or was."""

    def __init__(self, fault: NodeFault, number: int, since: float, seed: int) -> None:
        self.fault = fault
        self.number = number
        self.id = f"{fault.kind}-{number}"
        self.since = since
        """When it was set, in seconds of the clock's monotonic time."""
        self.connections_before = Connection.made
        """The number of connections that clients of this process had made when it was set."""
        self.selector = Selector(fault.when, Random(f"{seed} {self.id} when"))  # noqa: S311 - the same in each run
        self.random = Random(f"{seed} {self.id}")  # noqa: S311 - the same in each run
        self.hits = 0
        """Requests that it has touched."""
        self.healed_by: Healed | None = None
        self.let_go = asyncio.Event()
        """Set once it holds no request any more: when it heals, but for one that its count has healed."""
        self.timer: asyncio.Task[None] | None = None
        self.users = 0
        """Requests that have met it and are not carried out yet."""
        self.undo: Undo | None = None
        """Undoes what it has done to the node when it was set; called once it is healed and has no users."""
        self.past: PastReads | None = None
        """What it has remembered of the store."""

    @property
    def active(self) -> bool:
        """Return whether it has not been healed."""
        return self.healed_by is None

    @property
    def expires_at(self) -> float | None:
        """Return when it heals by itself, in seconds of the clock's monotonic time; None: it does not."""
        return None if self.fault.lasts is None else self.since + self.fault.lasts

    def meets(self, subject: Subject) -> bool:
        """Return whether it meets a request; count it if `when` matches."""
        needed = self.fault.meets
        if needed is Meets.NEW_CONNECTION:
            return subject.connection > self.connections_before and self.selector.takes(subject)
        return needed in subject.roles and self.selector.takes(subject)

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that are not as by default, with sessions and secrets in the path of `when` masked."""
        values = self.fault.values()
        if self.fault.when.path is not None:
            values["when"] = {**values["when"], "path": masked_path(self.fault.when.path)}
        return values

    @property
    def left(self) -> int | None:
        """Return how many requests it can still meet; None: it has no end."""
        most = self.fault.most_hits
        return None if most is None else max(0, most - self.hits)


class NodeFaults:
    """The faults of a node, the oldest first."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self._applied: dict[str, AppliedNodeFault] = {}
        self._healed: deque[AppliedNodeFault] = deque(maxlen=KEPT_HEALED)
        self.hits: Counter[str] = Counter()
        """Requests that faults have touched, by the kind of the fault."""
        self.tasks = Tasks()
        """Those of the faults."""
        self._numbers = itertools.count(1)
        self._being_set = 0
        """Faults whose event is not stored yet."""
        self.is_closed = False
        """Whether the node stops: no task begins any more."""
        self.record: RecordEvent = _no_event
        """Stores an event. The node sets it once its store is open."""
        self.find_apis: Callable[[], Collection[str]] = tuple
        """Returns the messages that the node serves, and `api-jobs`; like `facts`, set once it serves them."""
        self.facts: Facts | None = None
        self.database: Database | None = None
        self.actions: NodeActions | None = None
        """Like `facts`, set once the store is open."""

    @property
    def is_empty(self) -> bool:
        """Whether no fault is set: the question that each request asks."""
        return not self._applied

    @property
    def clock(self) -> Clock:
        """Return the clock that faults wait on."""
        return self._clock

    def __iter__(self) -> Iterator[AppliedNodeFault]:
        return iter(list(self._applied.values()))

    def healed(self) -> list[AppliedNodeFault]:
        """Return the latest KEPT_HEALED faults that were healed, the oldest first."""
        return list(self._healed)

    def find(self, identity: str) -> AppliedNodeFault | None:
        """Return the fault with an id, also one that was healed; None if there is none."""
        found = self._applied.get(identity)
        return found or next((one for one in self._healed if one.id == identity), None)

    async def apply(self, fault: NodeFault) -> AppliedNodeFault:
        """Set a fault, beside those that are set; it heals by itself after its `for`.

        Raise TooManyFaults, and FaultProblem when it is not possible on this node.
        """
        if len(self._applied) + self._being_set >= MOST_FAULTS:
            raise TooManyFaults(f"{MOST_FAULTS} faults are set already, which is the most at once")
        self._check_api(fault)
        numbers = self._numbers
        applied = AppliedNodeFault(fault, next(numbers), self._clock.monotonic(), self._seed)
        self._being_set += 1
        try:
            applied.undo = await fault.begin(_Node(self, applied))
            await self._record(FAULT_SET, applied, {"parameters": applied.parameters()})
            if numbers is not self._numbers:
                raise FaultProblem(f"fault {fault.kind}: all faults were forgotten while it was being set")
        except BaseException:
            _undo(applied)
            raise
        finally:
            self._being_set -= 1
        self._applied[applied.id] = applied
        if applied.expires_at is not None and not self.is_closed:
            heals = self._heal_in_time(applied, applied.expires_at)
            applied.timer = self.tasks.begin(heals, f"fault {applied.id}")
        return applied

    def meeting(self, subject: Subject) -> list[AppliedNodeFault]:
        """Return the faults that meet a request, and count it as a hit of each."""
        met = [applied for applied in self if applied.meets(subject)]
        for applied in met:
            applied.hits += 1
            self.hits[applied.fault.kind] += 1
            if applied.left == 0:
                self._remove(applied, Healed.COUNT)
        return met

    def release(self, applied: AppliedNodeFault) -> None:
        """Note that a request that was counted among the `users` of a fault is carried out."""
        applied.users -= 1
        if not applied.active and not applied.users:
            _undo(applied)

    async def record_hits(self, met: Sequence[AppliedNodeFault], content: Mapping[str, object]) -> None:
        """Record that these faults have just met a request; `content` says which."""
        for applied, hit in [(applied, applied.hits) for applied in met]:  # others may be met meanwhile
            await self._record(FAULT_HIT, applied, {"hit": hit, **content})
            if hit == applied.fault.most_hits:
                await self._record(FAULT_HEALED, applied, _summary(applied))

    async def heal(self, applied: AppliedNodeFault, by: Healed = Healed.HAND) -> None:
        """Heal a fault, unless that has happened: no request meets it any more, and those that it holds go on."""
        if applied.active:
            self._remove(applied, by)
            await self._record(FAULT_HEALED, applied, _summary(applied))
        _let_go(applied)

    async def heal_all(self, kind: str | None = None) -> None:
        """Heal every fault, or those of a kind, the latest first."""
        for applied in [*reversed(list(self)), *self._healed]:
            if kind in (None, applied.fault.kind):
                await self.heal(applied)

    async def hold(
        self, applied: AppliedNodeFault, seconds: float | None = None, gone: asyncio.Future[None] | None = None
    ) -> None:
        """Wait for `seconds` of the clock, or without end; no longer than a fault lasts, or until `gone`."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(applied.let_go.wait())]
        if seconds is not None:
            waits.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait([*waits, *([] if gone is None else [gone])], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def restart(self) -> None:
        """Forget all faults, and number from 1 again. Requests that they hold go on. Nothing is recorded."""
        await self._let_all_go()
        self._healed.clear()
        self.hits.clear()
        self._numbers = itertools.count(1)

    async def close(self) -> None:
        """Let go of all requests, without events. A fault that is being set still no longer heals by itself."""
        self.is_closed = True
        await self._let_all_go()

    async def _let_all_go(self) -> None:
        for applied in self:
            self._remove(applied, Healed.RESET)
        for applied in self._healed:
            _let_go(applied)
        await self.tasks.close()

    async def _heal_in_time(self, applied: AppliedNodeFault, expires_at: float) -> None:
        await self._clock.sleep(expires_at - self._clock.monotonic())
        applied.timer = None
        await self.heal(applied, Healed.TIME)

    def _remove(self, applied: AppliedNodeFault, by: Healed) -> None:
        """Note that a fault is healed. It still holds its requests."""
        applied.healed_by = by
        del self._applied[applied.id]
        if len(self._healed) == KEPT_HEALED:
            _let_go(self._healed[0])  # it is forgotten now
        self._healed.append(applied)

    def _check_api(self, fault: NodeFault) -> None:
        """Raise FaultProblem for a glob that no API of the node matches. Posts to web hooks have events for APIs."""
        glob = fault.when.api
        if glob is None or fault.meets is Meets.HOOK:
            return
        apis = self.find_apis()
        if not apis or fault.when.names_one_of(apis):
            return
        near = nearest(glob, (name for api in apis for name in names_of(api)))
        hint = f"; did you mean {near}?" if near else ""
        raise FaultProblem(f"fault {fault.kind}: when.api: no API is called {glob!r}{hint}")

    async def _record(self, path: str, applied: AppliedNodeFault, content: Mapping[str, object]) -> None:
        try:
            await self.record(path, applied.id, {"kind": applied.fault.kind, **content})
        except StoreUnavailable as error:
            logger.warning("the event %s of %s is not stored: %s", path, applied.id, error)


class _Node:
    """The node, as the fault sees it that is being set (`faults.node_fault.FaultyNode`)."""

    def __init__(self, faults: NodeFaults, applied: AppliedNodeFault) -> None:
        self._faults = faults
        self._applied = applied

    async def remember(self, seconds: float) -> Undo:
        """Keep what the store held in the last `seconds`; return what ends that. Raise FaultProblem."""
        if self._faults.database is None:
            raise FaultProblem(f"fault {self._applied.fault.kind}: the node has not opened its database")
        self._applied.past = past = PastReads(self._faults.database, self._faults.clock, seconds)
        await past.take()
        if self._faults.is_closed:
            await past.close()
            raise FaultProblem(f"fault {self._applied.fault.kind}: the node stops")
        keeping = self._faults.tasks.begin(past.keep(), f"snapshots for {self._applied.id}")

        def end() -> None:
            keeping.cancel()

        return end


def _let_go(applied: AppliedNodeFault) -> None:
    """Let the requests go on that a fault holds."""
    applied.let_go.set()
    _undo(applied)
    if applied.timer is not None:
        applied.timer.cancel()
        applied.timer = None


def _undo(applied: AppliedNodeFault) -> None:
    if applied.undo is not None:
        applied.undo()
        applied.undo = None


def _summary(applied: AppliedNodeFault) -> Mapping[str, object]:
    return {"healedBy": applied.healed_by, "hits": applied.hits}


async def _no_event(path: str, identity: str, content: Mapping[str, object]) -> None:
    """Record nothing: the store is not open."""
