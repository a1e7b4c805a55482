"""Changes of all records of a running node: add some, replace all, go back to those of the start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Coroutine, Sequence
from functools import partial

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.bootstrap.loader import TURN
from imagestore_sim.cluster.bus import Content
from imagestore_sim.database.turns import take_turn
from imagestore_sim.ids import seed_uuids
from imagestore_sim.lab_api import LabTime
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import requested_seed, with_ping_options
from imagestore_sim.node.parts import Parts
from imagestore_sim.tasks import Tasks

Callback = Callable[[], Awaitable[None]]
SERVICE = "records"
ADDED, REPLACED, RESET = "added", "replaced", "reset"
FOLLOWING_SECONDS = 30.0
"""How long another node may take to follow a change."""
WAITING_SECONDS = 600.0
"""How long it may take to try each storage as well."""


async def no_callback() -> None:
    """Wait for nothing: the default of a callback."""


class RecordChanges:
    """Changes the records of a running node, one change at a time. A change that fails changes nothing."""

    def __init__(
        self,
        foundation: Foundation,
        parts: Parts,
        initial: Bootstrap,
        lab_time: LabTime,
        *,
        before_connecting: Callback = no_callback,
        before_reset: Callback = no_callback,
    ) -> None:
        """`before_connecting` is awaited when new records are stored; `before_reset` before that, at a reset only."""
        self._foundation = foundation
        self._parts = parts
        self._initial = initial
        self._lab_time = lab_time
        self._before_connecting = before_connecting
        self._before_reset = before_reset
        self._one_change = asyncio.Lock()
        self._tasks = Tasks()
        parts.bus.serve(SERVICE, self._follow)

    async def close(self) -> None:
        """Cancel the connects of new storages."""
        await self._tasks.close()

    async def snapshot(self) -> Bootstrap:
        """Return all records."""
        return await self._parts.store.snapshots.take()

    async def add(self, records: Bootstrap, *, wait: bool = False) -> None:
        """Add records; one that exists already stays as it is.

        New storages are connected in the background; `wait` waits until each has been tried. Raise BootstrapError.
        """
        async with self._one_change:
            load = partial(self._parts.store.bootstrap_loader.load, records)
            tracked = await self._parts.store.database.atomically(load)
            if records.webHooks:
                await self._parts.services.web_hooks.read()
            await self._before_connecting()
            connecting = self._begin(self._parts.storages.lifecycle.connect(tracked))
        await self._tell_others(ADDED, wait=wait)
        if wait:
            await asyncio.wait([connecting])

    async def replace(self, records: Bootstrap, *, wait: bool = False) -> None:
        """Replace all records.

        Storages are connected in the background; `wait` waits until each has been tried. Raise BootstrapError.
        """
        async with self._one_change:
            hostnames = await self._replace(records)
            await self._before_connecting()
            connecting = self._connect()
        await self._tell_others(REPLACED, hostnames, wait=wait)
        if wait:
            await asyncio.wait([connecting])

    async def restart(self) -> None:
        """Leave the node as a kill and a start leave it; storages are connected in the background."""
        async with self._one_change:
            await self._parts.restart()
            self._connect()

    async def reset(self, *, wait: bool = False) -> None:
        """Go back to the records of the start, and forget all that has been stored and counted since.

        Storages are connected in the background; `wait` waits until each has been tried.
        """
        async with self._one_change:
            await self._lab_time.end_steps()  # no minutes of the lab are to pass meanwhile
            renewed = self._before_reset is not no_callback
            hostnames = await self._replace(self._initial, renewed_hosts=renewed, resets=True)
            await self._restart_parts()
            await self._before_reset()
            await self._before_connecting()
            connecting = self._connect()
        await self._tell_others(RESET, hostnames, wait=wait)
        if wait:
            await asyncio.wait([connecting])

    async def _tell_others(self, what: str, hostnames: Sequence[str] = (), *, wait: bool) -> None:
        """Have the other nodes of the store follow a change that is committed, and connect what they own."""
        if self._parts.cluster.peers.is_alone:
            return
        content = {"what": what, "hostnames": list(hostnames), "wait": wait}
        await self._parts.bus.tell_all(SERVICE, content, seconds=WAITING_SECONDS if wait else FOLLOWING_SECONDS)

    async def _follow(self, content: Content) -> Content:
        """Follow a change of all records that another node has made. The store has the new ones already."""
        async with self._one_change:
            if content["what"] == ADDED:
                connecting = self._connect(but=set(self._parts.storages.tracker.owned()))
            else:
                await self._drop_old(content["hostnames"], collects=True)
                if content["what"] == RESET:
                    await self._restart_parts(deletes=False)
                connecting = self._connect()
        if content["wait"]:
            await asyncio.wait([connecting])
        return {}

    async def _replace(self, records: Bootstrap, *, renewed_hosts: bool = False, resets: bool = False) -> Sequence[str]:
        """Store the records in place of all others, and return the names of the hosts that the others used.

        Bits of images that are not among them are removed, unless their hosts are renewed. `resets` deletes what else
        has been stored since the start, and begins the seed again.
        """
        # One transaction, so that a kill leaves all of the old records or all of the new ones. What is kept in memory
        # follows once it is committed.
        work = partial(self._store, records, renewed_hosts=renewed_hosts, resets=resets)
        hostnames, leaves_bits = await self._parts.store.database.atomically(work)
        await self._drop_old(hostnames, collects=leaves_bits)
        return hostnames

    async def _store(self, records: Bootstrap, *, renewed_hosts: bool, resets: bool) -> tuple[Sequence[str], bool]:
        """Do the part of `_replace` that is one transaction; return whether there were bits of images, too.

        It changes nothing but the store, and the seed, with which it begins: it may be made again.
        """
        parts, garbage = self._parts, self._parts.images.garbage
        if resets:
            seed_uuids(requested_seed(self._foundation.settings))
        async with parts.store.database.transaction() as connection:
            if parts.store.database.is_shared:
                await take_turn(connection, TURN)  # before anything is read that another node may be replacing
            before = set() if renewed_hosts else await garbage.all_bits(connection)
        hostnames = [storage.hostname for storage in await parts.storages.records.tracked()]
        new = with_ping_options(records, self._foundation.settings)
        await parts.store.bootstrap_loader.load(new, replace=True)
        async with parts.store.database.transaction() as connection:
            after = await garbage.all_bits(connection) if before else set()
            for image, storage, path in sorted(before - after):
                await garbage.note(connection, image, [(storage, path)])
        await parts.jobs.fail_running()
        if resets:
            await self._delete_history()
        return hostnames, bool(before)

    async def _drop_old(self, hostnames: Sequence[str], *, collects: bool) -> None:
        """Forget what is kept in memory of records that were replaced, and end what runs for them.

        `collects`: images may have left bits behind.
        """
        parts = self._parts
        await parts.jobs.cut_off()
        await parts.services.long_jobs.cut_off()
        await parts.services.uploads.close()
        if collects:
            parts.images.garbage.collect_later()
        await parts.storages.tracker.restart()
        parts.storages.status.last_probes.clear()
        parts.storages.capacities.restart()
        await parts.storages.lifecycle.hosts.release_all(hostnames)
        await parts.sessions.recall()
        await parts.services.web_hooks.read()
        await parts.services.uploads.open()  # of images that were added meanwhile

    async def _delete_history(self) -> None:
        """Delete what has been stored since the start beside the records: sessions, jobs and events."""
        await self._parts.sessions.end_all()
        await self._parts.jobs.forget()
        await self._parts.store.event_log.clear()

    async def _restart_parts(self, *, deletes: bool = True) -> None:
        """Forget what is kept in memory since the start: requests, counters, host keys, kept answers, the clock."""
        if deletes:
            await self._parts.store.event_log.clear()  # events of jobs that had not ended when the others were deleted
        self._foundation.events.restart()
        await self._foundation.prober.restart()
        self._foundation.journal.restart()
        self._foundation.calls.clear()
        await self._foundation.node_faults.restart()
        self._foundation.metrics.restart()
        self._parts.response_cache.hits.clear()
        await self._lab_time.restart()

    def _connect(self, *, but: Container[str] = ()) -> asyncio.Task[None]:
        return self._begin(self._parts.storages.lifecycle.reconnect_all(but=but))

    def _begin(self, connects: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return self._tasks.begin(connects, "connects of new records")
