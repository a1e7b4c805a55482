"""Backup storages as the lab sees them: `/lab/v1/probes` and `/lab/v1/storages/{uuid}`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from aiohttp import web

from imagestore_sim.backup_storage.errors import NoSuchStorage
from imagestore_sim.cluster import PastOwner
from imagestore_sim.cluster.bus import Content
from imagestore_sim.lab_api.lab_hosts import LabHosts
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_body, with_query
from imagestore_sim.lab_api.storage_history import StorageHistory
from imagestore_sim.lab_api.storage_owners import StorageOwners
from imagestore_sim.lab_api.storage_shapes import (
    HistoryQuery,
    HistoryShape,
    PingShape,
    ProbeNow,
    ProbeOfStorage,
    ProbeShape,
    ProbesQuery,
    ProbesShape,
    StorageShape,
    probe_of_storage,
    probe_shape,
)

PATIENCE_SECONDS = 60.0
"""How long a call waits for a host, in real time: with the clock paused, no probe runs into its time-out."""
STARTING = {503: "the node is starting"}
NO_STORAGE = {404: "there is no such backup storage"}
LATE = {409: "it cannot be asked as it is, or it has not answered within a minute: is the clock paused?"}
T = TypeVar("T")
S = TypeVar("S", bound=Shape)


class StoragesRoutes:
    """Serves `/lab/v1/probes` and `/lab/v1/storages/{uuid}`."""

    def __init__(
        self,
        history: Callable[[], StorageHistory | None],
        hosts: LabHosts | None,
        owners: Callable[[], StorageOwners | None] = lambda: None,
    ) -> None:
        """`history` and `owners` return None while the node starts."""
        self._history_or_none = history
        self._hosts = hosts
        self._owners = owners

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        one = "/lab/v1/storages/{uuid}"
        problems = {400: "a field cannot be used"} | NO_STORAGE | STARTING
        return [
            Route(
                "GET",
                "/lab/v1/probes",
                "The latest probe of each backup storage, with its phases",
                with_query(ProbesQuery, self.probes),
                ProbesShape,
                problems={400: "a field cannot be used"} | STARTING,
            ),
            Route(
                "GET",
                "/lab/v1/storages/{name}",
                "A backup storage and its status, by its name or uuid",
                Handler(self.show),
                StorageShape,
                problems=NO_STORAGE | STARTING,
                private=True,
            ),
            Route(
                "GET",
                f"{one}/history",
                "What a backup storage has been through: statuses, capacities, probes, faults of its host",
                with_query(HistoryQuery, self.history),
                HistoryShape,
                problems=problems,
            ),
            Route(
                "POST",
                f"{one}/probe",
                "Probe the host of a backup storage now; its status and capacity stay as they are",
                with_body(ProbeNow, self.probe),
                ProbeShape,
                problems=problems | LATE,
            ),
            Route(
                "POST",
                f"{one}/ping",
                "Ping a backup storage now, with all that a ping causes",
                Handler(self.ping),
                PingShape,
                problems=NO_STORAGE | STARTING | LATE,
            ),
        ]

    async def probes(self, request: web.Request, asked: ProbesQuery) -> Answer:
        """Return the latest probe of each storage, with the milliseconds of its phases.

        Of several management nodes each knows those of its own storages. What a node knows that does not answer within
        two seconds is left out, and the node is named.
        """
        mine = self._probes(asked)
        owners = self._owners()
        theirs = {} if owners is None else await owners.ask_others("probes", asked.model_dump(), ProbesShape)
        answered = [one for one in theirs.values() if one is not None]
        latest = {one.storage_uuid: one for one in sorted(_all(mine, answered), key=lambda one: one.time)}
        silent = sorted(node for node, one in theirs.items() if one is None)
        return ProbesShape(at=mine.at, probes=[latest[uuid] for uuid in sorted(latest)], silent_nodes=silent)

    def _probes(self, asked: ProbesQuery) -> ProbesShape:
        history = self._history()
        probes = history.status.last_probes.items()
        found = [probe_of_storage(uuid, one) for uuid, one in sorted(probes) if one.time >= asked.since]
        return ProbesShape(at=history.clock.time(), probes=found)

    async def show(self, request: web.Request) -> Answer:
        """Return the storage with that uuid, else the first of that name. Any node knows it: the store has it."""
        name = request.match_info["name"]
        found = await self._history().records.find(name)
        if found is None:
            raise Refused(404, f"there is no backup storage {name}")
        return StorageShape(
            uuid=found.uuid,
            name=found.name,
            type=found.type,
            hostname=found.hostname,
            status=found.status,
            tracked=found.tracked,
        )

    async def history(self, request: web.Request, asked: HistoryQuery) -> Answer:
        """Return the statuses, capacities and probes of a storage, and the faults of its host, over a time."""
        uuid = request.match_info["uuid"]
        return await (self._elsewhere(uuid, "history", asked, HistoryShape) or self._history_of(uuid, asked))

    async def probe(self, request: web.Request, how: ProbeNow) -> Answer:
        """Probe a storage's host. A failure is an answer, not a refusal."""
        uuid = request.match_info["uuid"]
        return await (self._elsewhere(uuid, "probe", how, ProbeShape) or self._probe(uuid, how))

    async def ping(self, request: web.Request) -> Answer:
        """Ping a storage, or wait for the ping that is under way."""
        uuid = request.match_info["uuid"]
        return await (self._elsewhere(uuid, "ping", Shape(), PingShape) or self._ping(uuid))

    async def serve(self, content: Content) -> Content:
        """Answer what another node asks about a storage of this one, or about all that it has probed."""
        try:
            answer = await self._answer(content["call"], content["storage"], content["asked"])
        except Refused as refusal:
            return {"refused": [refusal.status, str(refusal)]}
        return {"answer": answer.model_dump(mode="json")}

    async def _answer(self, call: str, uuid: str, asked: Mapping[str, Any]) -> Shape:
        match call:
            case "probes":
                return self._probes(ProbesQuery(**asked))
            case "history":
                return await self._history_of(uuid, HistoryQuery(**asked))
            case "probe":
                return await self._probe(uuid, ProbeNow(**asked))
        return await self._ping(uuid)

    def _elsewhere(self, uuid: str, call: str, asked: Shape, shape: type[S]) -> Coroutine[object, object, S] | None:
        """Return what has the owner of a storage answer; None if this node owns it."""
        owners = self._owners()
        node = None if owners is None else owners.elsewhere(uuid)
        if owners is None or node is None:
            return None
        return owners.ask(node, call, asked.model_dump(), shape, uuid)

    async def _history_of(self, uuid: str, asked: HistoryQuery) -> HistoryShape:
        return await _finding(self._history().of(uuid, asked, self._hosts))

    async def _probe(self, uuid: str, how: ProbeNow) -> ProbeShape:
        tracker = self._history().tracker
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):  # real: see PATIENCE_SECONDS
                found = await _finding(tracker.probe_now(uuid, fresh=how.fresh))
        except TimeoutError:
            raise Refused(409, LATE[409]) from None
        if found is None:
            raise Refused(409, "the backup storage has no host")
        return probe_shape(found)

    async def _ping(self, uuid: str) -> PingShape:
        history = self._history()
        ping = await _finding(history.tracker.ping_now(uuid))
        if ping is None:
            raise Refused(409, "the backup storage is not tracked: it is never pinged")
        await asyncio.wait([ping], timeout=PATIENCE_SECONDS)  # real: see PATIENCE_SECONDS
        if not ping.done():
            raise Refused(409, LATE[409])
        last = history.status.last_probes.get(uuid)
        status = await _finding(history.status.current(uuid))
        return PingShape(status=status, last_probe=None if last is None else probe_shape(last))

    def _history(self) -> StorageHistory:
        history = self._history_or_none()
        if history is None:
            raise Refused(503, "the management node is starting")
        return history


def _all(mine: ProbesShape, theirs: list[ProbesShape]) -> Iterator[ProbeOfStorage]:
    for shape in (mine, *theirs):
        yield from shape.probes


async def _finding(work: Awaitable[T]) -> T:
    """Return the result of `work`. Raise Refused: 404 for a storage that does not exist, 503 for one that was lost."""
    try:
        return await work
    except NoSuchStorage as error:
        raise Refused(404, str(error)) from None
    except PastOwner as error:
        raise Refused(503, str(error)) from None
