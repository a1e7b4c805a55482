"""A management node: built from its settings, started and stopped."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from imagestore_sim.backup_storage.events import Events
from imagestore_sim.backup_storage.host_usage import Release, keep_host
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.cluster import Link, Links, OtherMode
from imagestore_sim.exposure import DEFAULT_PASSWORD, LAB_API, NO_TLS, PROBES, is_exposed
from imagestore_sim.faults import parse_node_fault
from imagestore_sim.lab_api import CallHistory
from imagestore_sim.node.errors import StartError, cannot_start
from imagestore_sim.node.fault_actions import FaultActions
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.http import HttpServer, StartGate
from imagestore_sim.node.parts import Parts, wire
from imagestore_sim.node.records import Callback, RecordChanges, no_callback
from imagestore_sim.node.storages import StorageParts
from imagestore_sim.node.store import open_store
from imagestore_sim.probe import Resolve
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import until_done_or_set

if TYPE_CHECKING:
    from imagestore_sim.lab_api import LabHosts, OpenStories, StoryWriter


class ManagementNode:
    """A management node over one database. It starts and stops once."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        resolve: Resolve | None = None,
        hosts: LabHosts | None = None,
        release: Release = keep_host,
        story_writer: StoryWriter | None = None,
        stories: OpenStories | None = None,
        links: Links | None = None,
    ) -> None:
        """`resolve` finds the address of a host name; the default is DNS.

        `/lab/v1` controls `hosts`, and offers `stories`. `release` is called with the host names that no record uses
        any more. `story_writer` writes what was done by hand as a scenario. With `links` it shares a database file
        with other nodes of this process, and can be cut off. Raise StartError for a setting that cannot be used,
        BootstrapError for a file of modules of `/probe`.
        """
        try:
            self._first_faults = [parse_node_fault(line) for line in settings.fault]
            self.foundation = Foundation.lay(settings, clock or RealClock(), resolve, release, links)
        except ValueError as error:
            raise StartError(str(error)) from None
        if links is not None:
            links.on_change(self._links_changed)
        self._gate = StartGate()
        self.http = HttpServer(
            self.foundation, self._gate, hosts, lambda: self._changes, self.problems, story_writer, stories
        )
        self._parts: Parts | None = None
        self._changes: RecordChanges | None = None
        self._exits = AsyncExitStack()
        self._exits.push_async_callback(self.foundation.prober.close)
        self._exits.push_async_callback(self.foundation.probe_page.close)
        calls = self.foundation.calls
        journal = self.foundation.journal
        self._exits.enter_context(journal.watching(CallHistory, calls.concerns, calls.add, lasting=True))
        self.url = ""

    @property
    def events(self) -> Events:
        """The events of its storages. They can be listened to before the start."""
        return self.foundation.events

    @property
    def is_open(self) -> bool:
        """Whether its database is open, so that it has its parts."""
        return self._parts is not None

    @property
    def parts(self) -> Parts:
        """Its parts, from the moment that its database is open. Raise RuntimeError before."""
        if self._parts is None:
            raise RuntimeError("the management node has not opened its database")
        return self._parts

    @property
    def storages(self) -> StorageParts:
        """The parts that keep backup storages. Raise RuntimeError before the database is open."""
        return self.parts.storages

    @property
    def changes(self) -> RecordChanges:
        """Adds, replaces and resets records. Raise RuntimeError before the bootstrap is loaded."""
        if self._changes is None:
            raise RuntimeError("the management node has no records yet")
        return self._changes

    @property
    def ready(self) -> bool:
        """Whether it is migrated and bootstrapped, and has tried to connect every storage once."""
        return self._gate.is_open

    async def problems(self) -> list[str]:
        """Return a line for each thing that keeps a node that has started from doing all its work."""
        store = None if self._parts is None else await self._parts.store.database.check()
        base = self.foundation
        return [*([store] if store else []), *base.supervisor.problems(), *base.watchdog.problems()]

    async def start(
        self,
        bootstrap: Bootstrap | None = None,
        *,
        before_connecting: Callback = no_callback,
        before_reset: Callback = no_callback,
    ) -> None:
        """Listen, migrate, load the bootstrap, connect every storage once; then the node is ready.

        `before_connecting` is awaited whenever there are new records; `before_reset` before that, at a reset. Raise
        StartError, DatabaseError, BootstrapError; what had started by then is stopped.
        """
        try:
            settings = self.foundation.settings
            self.url = await self.http.listen(settings.host, settings.port)
            initial = bootstrap or await _read_bootstrap(settings)
            parts = await self._open()
            await parts.cluster.join()
            await parts.load(initial, settings)
            self._changes = RecordChanges(
                self.foundation,
                parts,
                initial.coming_from(None),  # they can be stored, so that no error of theirs has to name a line
                self.http.lab_time,
                before_connecting=before_connecting,
                before_reset=before_reset,
            )
            self._exits.push_async_callback(self._changes.close)
            self.foundation.node_faults.actions = FaultActions(parts, self._changes, self.http)
            await self._set_first_faults()
            self.http.serve_rest(parts)
            self._gate.done("bootstrap")
            await before_connecting()
            await parts.cluster.run()
            await parts.services.uploads.open()  # who the members are says which of them are sent to this node
            await parts.storages.lifecycle.start()
            if parts.storages.takeover is not None:
                await parts.storages.takeover.open()
            await parts.images.garbage.open()
            await parts.storages.lifecycle.reconnect_all()
            self._gate.done("first connects")
            if isinstance(self.foundation.clock, RealClock):  # virtual time must not depend on real time
                self.foundation.watchdog.start()
                self._exits.callback(self.foundation.watchdog.stop)
        except OSError as error:
            await self.stop()
            raise StartError(cannot_start(error)) from None
        except OtherMode as error:
            await self.stop()
            raise StartError(str(error)) from None
        except BaseException:
            await self.stop()
            raise

    async def _open(self) -> Parts:
        """Open the store and wire the parts over it. What has been opened is closed at the stop."""
        store = await open_store(self.foundation, lambda database: self._exits.push_async_callback(database.close))
        self._parts = parts = wire(self.foundation, store, lambda: self.ready, self.url)
        self._exits.push_async_callback(parts.close)
        self.http.serve_store(parts)
        self._gate.done("database")
        return parts

    async def _set_first_faults(self) -> None:
        """Set the faults of the settings. Raise StartError for one that no API matches, and for too many."""
        try:
            for fault in self._first_faults:
                await self.foundation.node_faults.apply(fault)
        except ValueError as error:
            raise StartError(str(error)) from None

    def cut_off(self) -> None:
        """Let nothing out any more, at once, as a kill -9 would: no answer, post, probe or change of files.

        What still runs inside has no effect but on its database. Call `stop` after it.
        """
        self.http.cut_off()
        self.foundation.prober.cut_off()
        if self._parts is not None:
            self._parts.cut_off()

    @property
    def why_excluded(self) -> str:
        """Why this node is to stop, since the others took it for dead; empty if it is not."""
        membership = None if self._parts is None else self._parts.cluster.membership
        return "" if membership is None else membership.why_excluded

    async def until_excluded(self, stopped: asyncio.Event) -> None:
        """Wait until `stopped` is set, or this node is to stop since the others took it for dead."""
        membership = self.parts.cluster.membership
        if membership is None:
            await stopped.wait()
        else:
            excluded = asyncio.ensure_future(membership.excluded.wait())
            try:
                await until_done_or_set(excluded, stopped)
            finally:
                excluded.cancel()

    def _links_changed(self) -> None:
        links = self.foundation.links
        if links is not None and links.is_cut(Link.HOSTS):
            self.foundation.prober.drop_connections()

    async def kill(self) -> None:
        """End as by a kill -9: the others find its heartbeat standing still."""
        self.cut_off()
        await self.stop()

    async def stop(self) -> None:
        """Stop listening, cancel what runs, close every connection. May be called again."""
        await self.foundation.node_faults.close()
        await self.http.close()
        await self._exits.aclose()

    async def openings(self) -> list[str]:
        """Return a line for each thing that other machines can do here; none if it listens on loopback alone."""
        settings = self.foundation.settings
        if not is_exposed(self.http.addresses):
            return []
        found = [NO_TLS]
        if await self.parts.sessions.has_default_password():
            found.append(DEFAULT_PASSWORD)
        if settings.lab_api and settings.lab_token is None:
            found.append(f"{LAB_API} --lab-token or --no-lab-api")
        if settings.probe_modules is not None:
            found.append(PROBES)
        return found


async def _read_bootstrap(settings: Settings) -> Bootstrap:
    if settings.bootstrap is None:
        return Bootstrap()
    from imagestore_sim.bootstrap import read_bootstrap

    return await asyncio.to_thread(read_bootstrap, settings.bootstrap)
