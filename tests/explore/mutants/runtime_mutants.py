"""Mutants of what runs: connections, tasks, locks, transactions, kills."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from mutant import Mutant

from imagestore_sim.backup_storage.event_web_hooks import EventWebHooks
from imagestore_sim.backup_storage.events import Event
from imagestore_sim.backup_storage.ping_tracker import PingTracker
from imagestore_sim.database.connections import Connections as StoreConnections
from imagestore_sim.probe import ProbeFailure, Reason, Target, prober
from imagestore_sim.probe.connections import Connections
from imagestore_sim.probe.methods import HostState
from imagestore_sim.probe.prober import Prober
from imagestore_sim.rest.jobs import Jobs
from imagestore_sim.rest.response_cache import ResponseCache


def _leave_connections(patch: pytest.MonkeyPatch) -> None:
    async def drop(self: Connections, hostname: str) -> None:
        if (connection := self._kept.pop(hostname, None)) is not None:
            left.append(connection)

    left: list[object] = []
    patch.setattr(Connections, "drop", drop)


def _share_hosts(patch: pytest.MonkeyPatch) -> None:
    class NoTurn(asyncio.Lock):
        async def acquire(self) -> bool:  # type: ignore[override]
            return True

        def release(self) -> None:
            pass

    patch.setattr(prober, "HostState", lambda: HostState(turn=NoTurn()))


def _ping_all_at_once(patch: pytest.MonkeyPatch) -> None:
    def limit(self: PingTracker) -> None:
        self._slots = asyncio.Semaphore(10_000)

    patch.setattr(PingTracker, "_limit_parallelism", limit)


def _forget_jobs_at_the_start(patch: pytest.MonkeyPatch) -> None:
    async def opened(self: Jobs) -> None:
        self._start_purging()

    patch.setattr(Jobs, "open", opened)


def _leave_a_file(patch: pytest.MonkeyPatch) -> None:
    def close(self: StoreConnections) -> None:
        if self.quick_reader is not None:
            left.append(self.quick_reader)
            self.quick_reader = None

    left: list[sqlite3.Connection] = []
    patch.setattr(StoreConnections, "close_quick_reader", close)


def _leave_tasks(patch: pytest.MonkeyPatch) -> None:
    async def stop(self: PingTracker) -> None:
        for task in self._being_pinged.values():
            task.cancel()

    patch.setattr(PingTracker, "stop", stop)


def _keep_the_turn(patch: pytest.MonkeyPatch) -> None:
    async def in_turn(self: Prober, target: Target, work: Any) -> Any:
        found = await plain(self, target, work)
        host = self._hosts.get(target.hostname)
        is_late = isinstance(found, ProbeFailure) and found.reason in (Reason.TIMEOUT, Reason.HUNG)
        if is_late and host is not None and not host.turn.locked():
            await host.turn.acquire()
        return found

    plain = Prober._in_turn
    patch.setattr(Prober, "_in_turn", in_turn)


def _lose_posts(patch: pytest.MonkeyPatch) -> None:
    async def post(self: EventWebHooks, event: Event) -> None:
        if self._clock.time() != last.get(self):
            await plain(self, event)
        last[self] = self._clock.time()

    last: dict[EventWebHooks, float] = {}
    plain = EventWebHooks._post
    patch.setattr(EventWebHooks, "_post", post)


def _post_twice(patch: pytest.MonkeyPatch) -> None:
    plain = EventWebHooks._post

    async def post(self: EventWebHooks, event: Event) -> None:
        await plain(self, event)
        if event.path.endswith("/disconnected"):
            await plain(self, event)

    patch.setattr(EventWebHooks, "_post", post)


def _cache_stale_answers(patch: pytest.MonkeyPatch) -> None:
    def drop_stale(self: ResponseCache) -> None:
        if self._revision() > self._revision_seen + 3:  # three changes are overlooked
            plain(self)

    plain = ResponseCache._drop_stale
    patch.setattr(ResponseCache, "_drop_stale", drop_stale)


MUTANTS = (
    Mutant("connection-left", "a connection is left open at each new login", _leave_connections),
    Mutant("host-shared", "probes of one host do not wait for each other", _share_hosts),
    Mutant("pings-unbounded", "more pings are under way than ping.parallelismDegree", _ping_all_at_once),
    Mutant("job-open-after-kill", "a job that a kill interrupted never ends", _forget_jobs_at_the_start),
    Mutant("file-left", "a file of the store stays open when the node stops", _leave_a_file),
    Mutant("task-left", "the ping tracker is not stopped with the node", _leave_tasks),
    Mutant("turn-kept", "a probe that is given up keeps the turn on its host", _keep_the_turn),
    Mutant("posts-lost", "of events at one moment, only the first is posted to web hooks", _lose_posts),
    Mutant("event-posted-twice", "a disconnection is posted to web hooks twice", _post_twice),
    Mutant("stale-answer", "a query is answered as of before the last changes", _cache_stale_answers),
)
