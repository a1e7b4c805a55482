"""The world of a run: simulated hosts and a node, which are watched, and questioned in the end."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from sqlalchemy import select
from typing_extensions import override

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.clock import Clock
from imagestore_sim.database.models import Job as StoredJob
from imagestore_sim.explore.recorder import ErrorLines, EventReceiver, Recorder, census
from imagestore_sim.explore.runs import Disk, Job, Json, Played, Span
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.job_store import IS_SHOWN
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.node_steps import NEIGHBOURS
from imagestore_sim.scenario.play.world import NO_ANSWER, OnEvent
from imagestore_sim.scenario.worlds.programs import is_by_story
from imagestore_sim.scenario.worlds.simulated import SimulatedWorld
from imagestore_sim.scenario.worlds.simulated_cluster import SimulatedCluster
from imagestore_sim.settings import Settings

QUESTIONS = ("/backup-storage", "/backup-storage/sftp", "/backup-storage/image-store", "/images", "/zones", "/longjobs")
"""What the node is asked in the end."""
MEMBERS = "/management-nodes"
"""What several nodes are asked as well."""
PAGE = 2
"""Rows on a page of the storages, which are asked for in pages as well."""
MOST_EVENTS = 1_000_000


class ExploredWorld(SimulatedWorld):
    """Simulated hosts, and a node beside them that is watched; both are looked at before they are stopped."""

    def __init__(
        self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent, *, played: Played, errors: ErrorLines
    ) -> None:
        """Fill in `played`; `errors` collects what is logged."""

        def note(event: Event, node: str = "") -> None:
            self._recorder.tell(event, node)
            on_event(event, node)

        super().__init__(scenario, clock, seed, note)
        self._played = played
        self._errors = errors
        self._began = 0.0
        self._recorder = Recorder(played, self._now)
        self._receiver = EventReceiver(played.posts, self._now)

    def _now(self) -> float:
        return round(self.clock.monotonic() - self._began, 6)

    @override
    async def __aenter__(self) -> Self:
        await self._receiver.start()
        await super().__aenter__()
        hook = {"name": "explore", "type": "CanonicalEvent", "opaque": "*", "url": self._receiver.url}
        await self.request("POST", "/web-hooks", {"params": hook})
        self._played.storages, self._played.images = self.storages, self.images
        self._played.at_first = census()
        self._began = self.clock.monotonic()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._look()
        finally:
            await super().__aexit__(kind, error, trace)

    @override
    async def _stop(self) -> None:
        try:
            await super()._stop()
        finally:
            await self._receiver.stop()

    @override
    def _new_node(self, settings: Settings) -> ManagementNode:
        node = super()._new_node(settings)
        self._recorder.watch(node)
        return node

    @override
    async def run_program(self, command: str, within: float) -> tuple[int | None, str]:
        status, output = await super().run_program(command, within)
        self._played.exit_status, self._played.output = status, output
        return status, output

    @override
    async def stop_node(self) -> None:
        await super().stop_node()
        self._errors.is_deaf = False

    @override
    def _keep_database(self) -> None:
        super()._keep_database()
        self._played.kills.append(self._now())
        self._errors.is_deaf = True

    async def _look(self) -> None:
        """Look at what there is in the end."""
        await self.settle()
        played = self._played
        played.ended = self._now()
        played.at_last = census()
        journals = [node.foundation.journal.since(0) for node in self._running_nodes()]
        played.apis = sorted({one.api for entries in journals for one in entries if one.api and not is_by_story(one)})
        for question in (*QUESTIONS, *self._pages()):
            played.answers[question] = await self._ask(question)
        store = self._running_node().parts.store
        played.told_before_log = len(played.events)
        played.stored_events = await store.event_log.since(0, MOST_EVENTS)
        jobs = select(StoredJob.uuid, StoredJob.apiMessageName, StoredJob.state)
        rows = await store.database.read(jobs.where(IS_SHOWN))
        played.jobs = [Job(*row) for row in rows]
        played.connections = {name: len(host.links) for name, host in self.hosts.items()}
        played.disks = {name: _disk(host.disk) for name, host in self.hosts.items()}

    def _running_nodes(self) -> list[ManagementNode]:
        return [self._running_node()]

    def _pages(self) -> Iterator[str]:
        for start in range(0, max(1, len(self.storages)), PAGE):
            yield f"/backup-storage?sort=%2Buuid&start={start}&limit={PAGE}"

    async def _ask(self, question: str) -> Json:
        """Return the JSON of an answer; None if the node gives none."""
        try:
            return (await self.request("GET", question)).body
        except NO_ANSWER:
            return None


class ExploredCluster(ExploredWorld, SimulatedCluster):
    """Simulated hosts, and several nodes that are watched."""

    def __init__(
        self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent, *, played: Played, errors: ErrorLines
    ) -> None:
        """Fill in `played`; `errors` collects what is logged."""
        super().__init__(scenario, clock, seed, on_event, played=played, errors=errors)
        self._paused: dict[str, float] = {}
        """By node: since when it has been standing still."""

    @override
    def _running_nodes(self) -> list[ManagementNode]:
        return list(self._cluster.nodes.values())

    @override
    def _watch(self, name: str, node: ManagementNode) -> None:
        super()._watch(name, node)
        self._recorder.watch(node, name)

    @override
    def _on_killed(self, name: str) -> None:
        super()._on_killed(name)
        self._note_end_of_pause(name)
        self._played.kills.append(self._now())
        self._errors.is_deaf = True

    @override
    async def kill_one(self, node: str, commits: int, within: float) -> None:
        await super().kill_one(node, commits, within)
        self._errors.is_deaf = False

    @override
    def pause(self, node: str) -> None:
        super().pause(node)
        self._paused.setdefault(node, self._now())

    @override
    def resume(self, node: str) -> None:
        self._note_end_of_pause(node)
        super().resume(node)

    @override
    async def _look(self) -> None:
        for node in self.nodes:  # a node that stands still answers nothing
            self.resume(node)
            self.join(node, NEIGHBOURS)
        await super()._look()
        self._played.running = list(self._cluster.nodes)
        self._played.answers[MEMBERS] = await self._ask(MEMBERS)

    def _note_end_of_pause(self, node: str) -> None:
        if (began := self._paused.pop(node, None)) is not None:
            self._played.pauses.append(Span(node, began, self._now()))


def _disk(root: VirtualDisk) -> Disk:
    disk = root.storage_disk()
    return Disk(disk.size, disk.available, dict(_files(disk, "/")))


def _files(disk: VirtualDisk, path: str) -> Iterator[tuple[str, int]]:
    for name in disk.listdir(path):
        below = f"{path.rstrip('/')}/{name}"
        if disk.is_directory(below):
            yield from _files(disk, below)
        else:
            yield below, disk.stat(below).size
