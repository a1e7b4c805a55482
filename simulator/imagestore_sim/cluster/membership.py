"""The membership of one node: it joins, its heart beats in the store, it sees others come and go, and leaves.

The members are rows (`rows`). A node that has beaten knows the members of that moment, and the ring over them; it tells
those who listen who has left since, and when the members have changed. A node whose heartbeat stands still is deleted
by another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.cluster.alone import NodeCallback
from imagestore_sim.cluster.errors import OtherMode
from imagestore_sim.cluster.modes import MODES, Mode
from imagestore_sim.cluster.ring import Ring
from imagestore_sim.cluster.rows import JOINING, RUNNING, Member, MemberRows, Table
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.conflicts import made_again
from imagestore_sim.host_names import host_and_port
from imagestore_sim.tasks import Tasks
from imagestore_sim.units import write_date

logger = logging.getLogger(__name__)
T = TypeVar("T")
Callback = Callable[[], None]
LIFECYCLE = "/managementnode/lifecycle"
"""The path of the events of nodes that join and leave (management-nodes 1.3)."""
JOINED, LEFT = "NodeJoin", "NodeLeft"
STARTING_SECONDS = 120.0
"""How long the heartbeat of a node may stand still that loads its records; other starts wait for it."""
_ADDRESSES = "each node of a store needs an address of its own, see --advertise"
MOST_CONFLICTS = 5
SHORTEST_PAUSE = 0.05
"""Seconds between two heartbeats, of which the first one took longer than it should (mode quick)."""
CONFLICT_SECONDS = 0.05
"""How often a transaction that has collided with one of another node is tried again, and after how long at first."""
LEAVE_SECONDS = 2.0
"""How long a node that stops tries to delete its row. If it cannot, the others find its heartbeat standing still."""


class SharedStore(Protocol):
    """What the membership needs of the store."""

    def transaction(self, *, quiet: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Run the block in a transaction; a `quiet` one changes nothing that answers hold. Raise StoreUnavailable."""

    def beat(self) -> AbstractAsyncContextManager[tuple[AsyncConnection, float]]:
        """Provide a connection for a heartbeat, ahead of other work, and what `now` returns. Raise StoreUnavailable."""

    async def now(self) -> float:
        """Return the time of the store's clock, in epoch seconds. Raise StoreUnavailable."""


class EventLog(Protocol):
    """Where the events of nodes go."""

    async def record(
        self, connection: AsyncConnection, path: str, resource_uuid: str, content: Mapping[str, object]
    ) -> Any:
        """Store an event in the caller's transaction, and return it."""

    def publish(self, *events: Any) -> None:
        """Publish events after the commit."""


class _Changed(Exception):
    """A row has changed since it was read; the transaction is rolled back."""


class _OtherModes(Exception):
    """Nodes run in another mode, or did a moment ago; the transaction is rolled back."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = members


@dataclass(frozen=True, slots=True)
class View:
    """What a node knows of the members, all of one moment: the fence reads it in the threads that write."""

    start: int
    """The epoch at which this node began to join; 0: no member."""
    epoch: int
    members: Mapping[str, Member]
    ring: Ring


class Membership:
    """A node among others. It owns nothing before `run` and after `leave`."""

    def __init__(
        self, store: SharedStore, events: EventLog, clock: Clock, mode: Mode, uuid: str, host: str, port: int
    ) -> None:
        """Take the uuid of this node, and the host and port where clients and other nodes reach it."""
        self.uuid = uuid
        self.mode = mode
        self.excluded = asyncio.Event()
        """Set once this node is to stop: it has been taken for dead, or could not beat for too long (mode faithful)."""
        self.why_excluded = ""
        self.joins_others = False
        """Whether other nodes were running when it was this one's turn to start."""
        self._host, self._port = host, port
        self._store = store
        self._events = events
        self._clock = clock
        self._rows = MemberRows()
        self._tasks = Tasks()
        self._view = View(0, 0, {}, Ring((), even=mode.even))
        self._beaten = 0.0  # when the last heartbeat that succeeded began, by the monotonic clock
        self._owns_from = 0.0
        self._held = False  # what was told last
        self._may_have_joined = False  # as a start that this node does not know: to join again has failed
        self._renewed = asyncio.Event()
        self._changed = asyncio.Event()
        self._failures = 0
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}  # by start of a node: its last beat, and since when
        self._looked = 0.0  # when `_seen` was brought up to date, by the monotonic clock
        self._suspects: dict[tuple[str, int], int] = {}
        self._on_left: list[NodeCallback] = []
        self._on_change: list[Callback] = []

    # What others ask

    @property
    def quick(self) -> bool:
        """Whether the mode is quick, or ZStack's."""
        return self.mode.quick

    @property
    def view(self) -> View:
        """What this node knows of the members; each change is another view."""
        return self._view

    @property
    def epoch(self) -> int:
        """The epoch of the members as this node knows them."""
        return self._view.epoch

    @property
    def members(self) -> Sequence[str]:
        """The uuids of the nodes in the ring."""
        return tuple(self._view.members)

    @property
    def is_alone(self) -> bool:
        """Whether no other node is a member."""
        return all(uuid == self.uuid for uuid in self._view.members)

    def owner_of(self, uuid: str) -> str:
        """Return the uuid of the node that owns a resource; this one while it knows no member."""
        return self._view.ring.owner_of(uuid) or self.uuid

    def is_ours(self, uuid: str) -> bool:
        """Return whether this node owns a resource now, and may act for it."""
        return self.holds and self._view.ring.owner_of(uuid) == self.uuid

    @property
    def holds(self) -> bool:
        """Whether this node may act for what is its own by the ring: it is a member, and its lease has not ended."""
        now = self._clock.monotonic()
        return self.uuid in self._view.members and now >= self._owns_from and not self._is_late(now)

    def address_of(self, node: str) -> str | None:
        """Return the URL of a node, None if it is no member any more."""
        member = self._view.members.get(node)
        if member is None:
            return None
        return f"http://{host_and_port(member.host, member.port)}"

    def on_left(self, callback: NodeCallback) -> None:
        """Call back with the uuid of each node that leaves, once the ring is without it."""
        self._on_left.append(callback)

    def ignore_who_leaves(self) -> None:
        """Call nothing back for nodes that leave any more."""
        self._on_left.clear()

    def on_change(self, callback: Callback) -> None:
        """Call back when what this node may act for has changed: by the ring, or since its lease ended or began."""
        self._on_change.append(callback)

    async def settled(self) -> None:
        """Wait until no other node can still act for what this one owns by the ring."""
        while (seconds := self._owns_from - self._clock.monotonic()) > 0:
            await self._clock.sleep(seconds)

    # Joining and leaving

    async def join(self) -> None:
        """Insert the row of this node, and beat from now on. It owns nothing until `run`.

        Raise OtherMode while a node of another mode lives, StoreUnavailable.
        """
        began, row = await self._until_inserted()
        self._view = replace(self._view, start=row.epoch)
        self._beaten, self._failures = began, 0
        self._tasks.begin(self._beat_on(), "heartbeat")
        if self.mode.lease is not None:
            self._tasks.begin(self._watch_lease(self.mode.lease), "lease of the heartbeat")

    async def _until_inserted(self) -> tuple[float, Member]:
        """Insert the row; return it, and when that began. Wait while a node of another mode may only have left its row.

        One whose heart beats meanwhile lives.
        """
        seen: dict[tuple[str, int], int] = {}
        while True:
            began, now = self._clock.monotonic(), await self._store.now()
            try:
                return began, await self._in_transaction(partial(self._insert_row, JOINING, now))
            except _OtherModes as found:
                for one in found.members:
                    if seen.setdefault((one.uuid, one.epoch), one.beat_at) != one.beat_at:
                        raise _other_mode(one, self.mode) from None
            await self._clock.sleep(self.mode.beat / 2)

    def _of_other_modes(self, table: Table, now: float) -> list[Member]:
        """Return the other nodes that run in another mode, as far as they have beaten lately."""
        others = [one for one in table.members if one.uuid != self.uuid and one.mode not in (None, self.mode.name)]
        return [one for one in others if abs(now - one.beat_at / 1000) <= _most_silent(one)]

    async def _insert_row(self, state: str, now: float, connection: AsyncConnection) -> Member:
        epoch, local = await self._rows.raise_epoch(connection), self._clock.local(now)
        if others := self._of_other_modes(await self._rows.read(connection), now):
            raise _OtherModes(others)
        me = Member(self.uuid, self._host, self._port, state, epoch, int(now * 1000), local, local, self.mode.name)
        await self._rows.insert(connection, me)
        return me

    async def until_first(self) -> None:
        """Wait until the nodes that began to join before this one are running or gone: one start at a time."""
        while True:
            table = await self._in_transaction(self._rows.read, quiet=True)
            if not any(not one.running and one.epoch < self._view.start for one in table.members):
                self.joins_others = any(one.running and one.uuid != self.uuid for one in table.members)
                return
            await self._clock.sleep(self.mode.beat / 2)

    async def run(self) -> None:
        """Join the ring; return once no other node can still act for what this one owns. Raise StoreUnavailable."""
        table, event = await self._in_transaction(self._set_running)
        committed = self._clock.monotonic()  # until then another node may have beaten, and not seen this one
        if event is None:
            return  # taken for dead before it was running; the next heartbeat finds that
        self._events.publish(event)
        if any(one.running and one.uuid != self.uuid for one in table.members):
            self._owns_from = committed + (self.mode.lease or 0.0)
        self._renewed.set()
        self._adopt(table)
        logger.info("management node %s joined %d others", self.uuid, len(self._view.members) - 1)
        await self.settled()

    async def _set_running(self, connection: AsyncConnection) -> tuple[Table, Any]:
        await self._rows.raise_epoch(connection)
        await self._rows.change(connection, self.uuid, self._view.start, state=RUNNING)
        table = await self._rows.read(connection)
        me = table.find(self.uuid, self._view.start)
        return table, None if me is None else await self._record(connection, JOINED, me)

    async def leave(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Delete the row of this node, and `tell` the others, whom it still knows then. May be called again."""
        await self._tasks.close()
        start, self._view = self._view.start, replace(self._view, start=0)
        if start and not self.excluded.is_set():
            with suppress(StoreUnavailable, TimeoutError):
                work = self._in_transaction(partial(self._delete_own_row, start))
                if (event := await self._clock.wait_for(work, LEAVE_SECONDS)) is not None:
                    self._events.publish(event)
                await tell()
        self._adopt(Table(self._view.epoch, ()))

    def look(self) -> None:
        """Beat now, since the members have changed, rather than when the next heartbeat is due."""
        self._changed.set()

    def cut_off(self) -> None:
        """Beat no more and leave the row, as a kill -9 would."""
        self._view = replace(self._view, start=0)
        self._tasks.cancel()

    async def _delete_own_row(self, start: int, connection: AsyncConnection) -> Any:
        await self._rows.raise_epoch(connection)
        me = (await self._rows.read(connection)).find(self.uuid, start)
        if me is None or not await self._rows.remove(connection, self.uuid, start):
            return None
        return await self._record(connection, LEFT, me) if me.running else None

    async def _in_transaction(self, work: Callable[[AsyncConnection], Awaitable[T]], *, quiet: bool = False) -> T:
        """Return what `work` returns in a transaction, run again where it collides with one of another node."""

        async def attempt() -> T:
            async with self._store.transaction(quiet=quiet) as connection:
                return await work(connection)

        return await self._made_again(attempt)

    async def _made_again(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await made_again(
            attempt, most=MOST_CONFLICTS + 1, pause=lambda number: self._clock.sleep(CONFLICT_SECONDS * number)
        )

    async def _record(self, connection: AsyncConnection, what: str, member: Member) -> Any:
        inventory = {
            "uuid": member.uuid,
            "hostName": member.host,
            "joinDate": write_date(member.join_date),
            "heartBeat": write_date(member.heart_beat),
        }
        content = {"nodeUuid": member.uuid, "lifeCycle": what, "inventory": inventory}
        return await self._events.record(connection, LIFECYCLE, member.uuid, content)

    # The heartbeat

    async def _beat_on(self) -> None:
        while not self.excluded.is_set():
            await self._clock.sleep_unless(self._changed.wait(), self._until_next())
            self._changed.clear()
            try:
                await self._beat()
                self._failures = 0
            except StoreUnavailable as error:
                self._failed(str(error))
            except Exception:
                logger.exception("the heartbeat of management node %s went wrong", self.uuid)
                self._failed("it went wrong")

    def _until_next(self) -> float:
        """Return the seconds until the next heartbeat: earlier where another node would be silent for too long.

        In mode quick it is due one interval after the last one began, as the lease counts from there: a store that
        takes half a second for each would else end the lease each time.
        """
        if not self.quick:
            return self.mode.beat
        now = self._clock.monotonic()
        due = self.mode.beat if self._failures else max(self._beaten + self.mode.beat - now, SHORTEST_PAUSE)
        left = min((self.mode.silent - (now - since) for _, since in self._seen.values()), default=due)
        return min(due, left) if left > 0 else due

    async def _beat(self) -> None:
        """Beat, and follow what the other rows say."""
        began, view = self._clock.monotonic(), self._view
        table, now = await self._made_again(self._write_beat)
        if table.find(self.uuid, self._view.start) is None:
            await self._was_excluded(table)
            return
        if self._held and not self.holds:
            self._follow_lease()  # report the end of the lease before the new one begins: callers may have seen it
        self._beaten = began
        self._renewed.set()
        self._adopt(table, since=view)
        silent = self._silent(table) if self.quick else self._suspected(table, now)
        for one in silent:
            await self._exclude(one)
        if silent:
            view = self._view
            self._adopt(await self._in_transaction(self._rows.read, quiet=True), since=view)

    async def _write_beat(self) -> tuple[Table, float]:
        """Write when the heart has beaten; return the rows after that, and the store's time."""
        async with self._store.beat() as (connection, now):
            return await self._rows.beat(connection, self.uuid, self._view.start, now, self._clock.local(now)), now

    def _silent(self, table: Table) -> list[Member]:
        """Return the nodes whose heartbeat this one has seen standing still for too long, by its own clock.

        A time in which it could not look for longer than its lease does not count: the store may have been away from
        all of them, and the one that is back first would take the others for dead.
        """
        at = self._clock.monotonic()
        if at - self._looked > (self.mode.lease or 0.0):
            self._seen = {}
        self._looked = at
        others = {(one.uuid, one.epoch): one for one in table.members if one.uuid != self.uuid}
        self._seen = {
            start: seen if (seen := self._seen.get(start, (-1, 0.0)))[0] == one.beat_at else (one.beat_at, at)
            for start, one in others.items()
        }
        return [one for start, one in others.items() if at - self._seen[start][1] >= self._most_silent(one)]

    def _most_silent(self, one: Member) -> float:
        """Return the seconds that the heartbeat of a node may stand still; one that is starting may be busy longer."""
        return self.mode.silent if one.running else STARTING_SECONDS

    def _suspected(self, table: Table, now: float) -> list[Member]:
        """Return the nodes that were suspects at the last heartbeat and have not beaten since (management-nodes 1.2).

        The suspects are those whose heartbeat is too old by the store's clock.
        """
        others = {(one.uuid, one.epoch): one for one in table.members if one.uuid != self.uuid}
        out = [one for start, one in others.items() if self._suspects.get(start) == one.beat_at]
        self._suspects = {
            start: one.beat_at
            for start, one in others.items()
            if abs(now - one.beat_at / 1000) > self._most_silent(one)
        }
        for uuid, _ in self._suspects:
            logger.warning("management node %s has not beaten for a long time", uuid)
        return out

    async def _exclude(self, silent: Member) -> None:
        """Delete the row of a node whose heartbeat stands still, unless it has beaten meanwhile."""
        with suppress(_Changed):
            event = await self._in_transaction(partial(self._delete_row_of, silent))
            logger.warning("management node %s is out: its heartbeat stood still", silent.uuid)
            if event is not None:
                self._events.publish(event)

    async def _delete_row_of(self, silent: Member, connection: AsyncConnection) -> Any:
        await self._rows.raise_epoch(connection)
        if not await self._rows.remove(connection, silent.uuid, silent.epoch, silent.beat_at):
            raise _Changed
        return await self._record(connection, LEFT, silent) if silent.running else None

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning("management node %s cannot beat: %s", self.uuid, why)
        most = self.mode.most_failures
        if most is not None and self._failures > most:
            self._exclude_self(f"its heartbeat has failed {self._failures} times: {why}")

    async def _was_excluded(self, table: Table) -> None:
        """Follow that the row of this node is gone: join again, or stop (management-nodes 1.2)."""
        if not self._may_have_joined and any(one.uuid == self.uuid for one in table.members):
            # Were this one to join again, the two would take the row from each other with each heartbeat.
            self._exclude_self(f"another one has joined at {host_and_port(self._host, self._port)}; {_ADDRESSES}")
            return
        if not self.mode.rejoins:
            quiet = self._clock.monotonic() - self._beaten
            self._exclude_self(f"another node took it for dead {quiet:.0f} s after its heartbeat")
            return
        logger.warning("management node %s was taken for dead; it joins again", self.uuid)
        self._adopt(Table(self._view.epoch, ()))
        began, now = self._clock.monotonic(), await self._store.now()
        self._may_have_joined = True  # the answer to the commit may be lost
        try:
            epoch, table, event = await self._in_transaction(partial(self._insert_running, now))
        except _OtherModes as found:
            self._exclude_self(str(_other_mode(found.members[0], self.mode)))
            return
        self._may_have_joined = False
        self._events.publish(event)
        self._beaten = began
        self._owns_from = self._clock.monotonic() + (self.mode.lease or 0.0)  # as in `run`
        self._renewed.set()
        self._adopt(table, start=epoch)

    async def _insert_running(self, now: float, connection: AsyncConnection) -> tuple[int, Table, Any]:
        me = await self._insert_row(RUNNING, now, connection)
        return me.epoch, await self._rows.read(connection), await self._record(connection, JOINED, me)

    def _exclude_self(self, why: str) -> None:
        self.why_excluded = f"management node[uuid:{self.uuid}] stops: {why}"
        logger.error("%s", self.why_excluded)
        self.excluded.set()
        self._adopt(Table(self._view.epoch, ()))

    # The lease

    def _is_late(self, now: float) -> bool:
        return self.mode.lease is not None and now >= self._beaten + self.mode.lease

    async def _watch_lease(self, lease: float) -> None:
        """Tell when the lease ends, and when it begins again or what is owned has settled."""
        while True:
            self._follow_lease()
            now = self._clock.monotonic()
            self._renewed.clear()
            due = self._owns_from if now < self._owns_from else self._beaten + lease
            if now >= due:
                await self._renewed.wait()
            else:
                await self._clock.sleep_unless(self._renewed.wait(), due - now)

    def _follow_lease(self) -> None:
        if self._held != self.holds:
            self._held = not self._held
            if not self._held and self._view.members:
                logger.warning("the lease of management node %s has ended: it acts for no storage", self.uuid)
            self._tell(self._on_change)

    # The view

    def _adopt(self, table: Table, *, start: int | None = None, since: View | None = None) -> None:
        """Take over the members of a table, and tell who has left since the last one, and that they have changed.

        `start` is another epoch at which this node began to join. `since` is the view before the table was read: of two
        that were read at once, the older one says nothing. Else an older one is right: a backup was put back.
        """
        old = self._view
        if table.epoch < old.epoch and since is not old and since is not None:
            return
        new = {one.uuid: one for one in table.members if one.running}
        changed = _starts(new) != _starts(old.members)
        ring = Ring(new, even=self.mode.even) if changed else old.ring
        self._view = View(old.start if start is None else start, table.epoch, new, ring)
        if not changed:
            return
        gone = [uuid for uuid, _ in sorted(_starts(old.members) - _starts(new)) if uuid != self.uuid]
        for uuid in gone:
            self._tell(self._on_left, uuid)
        self._tell(self._on_change)

    def _tell(self, callbacks: Sequence[Callable[..., None]], *about: str) -> None:
        for callback in callbacks:
            try:
                callback(*about)
            except Exception:
                logger.exception("a listener to the members failed")


def _other_mode(one: Member, ours: Mode) -> OtherMode:
    return OtherMode(host_and_port(one.host, one.port), str(one.mode), ours.name)


def _most_silent(one: Member) -> float:
    """Return the seconds after which the mode of a node takes it for dead; one that is starting may be busy longer."""
    mode = MODES.get(str(one.mode))
    return STARTING_SECONDS if mode is None or not one.running else mode.silent


def _starts(members: Mapping[str, Member]) -> set[tuple[str, int]]:
    return {(one.uuid, one.epoch) for one in members.values()}
