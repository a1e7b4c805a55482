"""The HTTP application of a node, and the gate that answers 503 while the node starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from imagestore_sim import lab_api
from imagestore_sim.api import Services
from imagestore_sim.cluster import FollowedState
from imagestore_sim.cluster.bus import PATH as CLOUD_BUS
from imagestore_sim.cluster.bus import Content
from imagestore_sim.console import pages
from imagestore_sim.database import Database
from imagestore_sim.images.stored_sources import StoredSources
from imagestore_sim.images.uploads import PATH as UPLOADS
from imagestore_sim.in_flight import moved
from imagestore_sim.lab_api import LabTime
from imagestore_sim.lab_api.guard import NotAdmitted
from imagestore_sim.lab_api.lab_time import TIME_HEADER
from imagestore_sim.node.errors import StartError, cannot_listen
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.from_settings import leniency, zstack_version
from imagestore_sim.node.image_uploads import receive_image
from imagestore_sim.node.parts import Parts
from imagestore_sim.openapi.served import ServedDocument
from imagestore_sim.rest.authentication import SESSION_SCHEME
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.rest.journal import RawHeaders
from imagestore_sim.rest.origins import is_foreign
from imagestore_sim.rest.server import BODY_LIMIT, RestServer
from imagestore_sim.virtual_clock import VirtualEventLoop
from imagestore_sim.web_server import (
    AnswerAtOnce,
    Connection,
    Handle,
    LateRoutes,
    Request,
    Runner,
    allowing,
    http_url,
    json_line,
)

if TYPE_CHECKING:
    from imagestore_sim.lab_api import (
        LabHosts,
        NodesView,
        OpenStories,
        RecordKeeper,
        StorageHistory,
        StorageOwners,
        StoragesRoutes,
        StoryWriter,
    )
    from imagestore_sim.lab_api.routes import Route

SHUTDOWN_SECONDS = 0.5
MESSAGE_BYTES = 16 * 2**20
"""Bytes of a message of another management node: sealed, the largest body of a call takes three times its size."""
STEPS = ("database", "bootstrap", "first connects")
API_PATHS = ("/zstack/v1/", "/v1/")
GET_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/docs")
"""Pages that nothing but GET and HEAD reads."""
CONNECTION_PATHS = ("/zstack/", "/v1/")
"""Paths of ZStack's APIs: REST and messages."""


class StartGate:
    """The steps of a start that are still to be done. The node is ready when none is left."""

    def __init__(self) -> None:
        self.waiting_for = list(STEPS)

    @property
    def is_open(self) -> bool:
        """Whether all steps are done."""
        return not self.waiting_for

    def done(self, step: str) -> None:
        """Cross off a step."""
        self.waiting_for.remove(step)


class HttpServer:
    """Listens from the first moment of a start. A path answers 503 until the parts behind it are there."""

    def __init__(
        self,
        foundation: Foundation,
        gate: StartGate,
        hosts: LabHosts | None,
        records: Callable[[], RecordKeeper | None],
        problems: Callable[[], Awaitable[list[str]]],
        story_writer: StoryWriter | None = None,
        stories: OpenStories | None = None,
    ) -> None:
        """Build the application. `records` returns what changes all records, None before the bootstrap is loaded.

        `problems` returns a line for each thing that is wrong with a node that has started. Without `story_writer`,
        no scenario can be written.
        """
        self._foundation = foundation
        self._gate = gate
        self._hosts = hosts
        self._records = records
        self._problems = problems
        self._story_writer = story_writer
        self._stories = stories
        self._lab_time = LabTime(foundation.clock)
        self._parts: Parts | None = None
        self._followed: FollowedState | None = None
        """What has to catch up before each request; None where no other node changes the store."""
        self._rest: RestServer[Services] | None = None
        self.around_rest: Callable[[Handle], Handle] = _unchanged
        """Wraps what answers ZStack's API, from the moment that it is served."""
        self._answer_rest: Handle | None = None
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.register_resource(LateRoutes("/lab/v1", self._register_lab_routes))
        application.router.register_resource(LateRoutes("/", self._register_routes))
        application.on_shutdown.append(self._end_streams)
        self._runner: Runner | None = None
        self.application = application

    def _register_routes(self, router: web.UrlDispatcher) -> None:
        """Add every route but those that the router never sees, which are ZStack's API as soon as it is served."""
        router.add_get("/healthz", self._healthz)
        router.add_get("/readyz", self._readyz)
        router.add_get("/metrics", self._show_metrics)
        router.add_get("/probe", self._foundation.probe_page.answer, allow_head=False)
        router.add_route("*", "/probe", allowing("GET"))
        settings = self._foundation.settings
        router.add_routes(ServedDocument(zstack_version(settings), leniency(settings)).routes())
        router.add_routes(pages())
        for method in ("POST", "PUT"):
            router.add_route(method, f"{UPLOADS}/{{storage}}", self._receive_image)
        router.add_post(CLOUD_BUS, self._receive_message)
        for path in GET_PATHS:
            router.add_route("*", path, allowing("GET", "HEAD"))
        router.add_route("*", "/{path:.*}", self._answer)

    def _register_lab_routes(self, router: web.UrlDispatcher) -> None:
        router.add_routes(lab_api.lab_api_routes(list(self.lab_routes()), self._foundation.guard))

    async def listen(self, host: str, port: int) -> str:
        """Listen, and return the URL. Port 0 picks a free one. Raise StartError."""
        self._runner = Runner(
            self.application,
            before=self._before_the_router,
            at_once=None if isinstance(asyncio.get_running_loop(), VirtualEventLoop) else self._answers_at_once,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        try:
            return http_url(host, await self._runner.listen(host, port))
        except OSError as error:
            raise StartError(cannot_listen(host, port, error)) from None

    @property
    def addresses(self) -> list[Any]:
        """The addresses that it listens on, each with host and port at least; none before and after."""
        return [] if self._runner is None else self._runner.addresses

    def serve_store(self, parts: Parts) -> None:
        """Answer `/metrics` and the stream of events from now on."""
        self._parts = parts
        if parts.followed.is_shared:
            self._followed = parts.followed

    def serve_rest(self, parts: Parts) -> None:
        """Answer ZStack's API from now on."""
        self._rest = parts.rest
        parts.bus.serve(lab_api.LAB_STORAGES, self._serve_storages)
        self._answer_rest = self.around_rest(parts.rest.answer)

    def reset_connections(self, but: Connection) -> None:
        """Reset the connections that carry ZStack's API, but for one."""
        if self._runner is not None:
            self._runner.reset_connections(CONNECTION_PATHS, but)

    def cut_off(self) -> None:
        """Reset every connection, as a kill -9 would."""
        if self._runner is not None:
            self._runner.cut_off()

    async def close(self) -> None:
        """Stop listening, and close every connection. May be called again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _before_the_router(self, route: Handle) -> Handle:
        """Return the guard and, behind it, ZStack's API; `route` gets all else.

        aiohttp's router would take as long as the API takes to find a kept answer.
        """
        links = self._foundation.links

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            moved()
            if links is not None:
                await links.until_running()
            if self._followed is not None:
                await self._followed.catch_up()
            if self._answer_rest is not None and request.raw_path.startswith(API_PATHS):
                return await self._answer_rest(request)
            return await route(request)

        guard = self._foundation.guard
        return guard.before(self._lab_time.before(guard, lambda: self._gate.is_open, handle))

    def _answers_at_once(self, request: Request) -> AnswerAtOnce | None:
        """Return what answers GETs of ZStack's API that have the headers of a request; None if it is not admitted.

        None for a request that asks for something special, too. In virtual time no request is answered so: the turns
        that an answer takes count there.
        """
        session = self._session_of(request)
        return None if session is None else partial(self._answer_at_once, session, request.raw_headers)

    def _answer_at_once(self, session: str, headers: RawHeaders, path: str, connection: Connection) -> bytes | None:
        """Return the answer of ZStack's API to a request that nothing has to be waited for; None for all others."""
        rest = self._rest
        if rest is None or not path.startswith(API_PATHS) or self._lab_time.is_followed or self._waits_before_rest:
            return None
        moved()
        return rest.answer_at_once(path, headers, session, connection.client)

    @property
    def _waits_before_rest(self) -> bool:
        """Whether a request may have to wait before it gets to ZStack's API, or something is around that."""
        return self._followed is not None or self._foundation.links is not None or self.around_rest is not _unchanged

    def _session_of(self, request: Request) -> str | None:
        """Return the session of a request that the guard admits and that asks for nothing special; None for others.

        For a path of ZStack's API it depends on the headers alone.
        """
        authorization = request.headers.get("Authorization", "")
        if request.refusal is not None or request.waits_for_us or TIME_HEADER in request.headers:
            return None
        try:
            self._foundation.guard.check(request)
        except NotAdmitted:
            return None
        is_session = authorization.startswith(SESSION_SCHEME) and not is_foreign(request)
        return authorization.removeprefix(SESSION_SCHEME).strip() if is_session else None

    @property
    def lab_time(self) -> LabTime:
        """What moves the node's clock for its clients."""
        return self._lab_time

    def lab_routes(self) -> Iterator[Route]:
        """Yield the declarations of the calls of the lab's API. They can be described before the start.

        A start imports nothing of what answers them.
        """
        base = self._foundation
        clock, settings = base.clock, base.settings
        yield from lab_api.AboutRoutes(
            base.guard,
            clock,
            zstack=settings.zstack,
            strict=settings.strict,
            seed=settings.seed,
            has_hosts=self._hosts is not None,
            ready=lambda: self._gate.is_open,
            shares_store=lambda: self._followed is not None,
        ).routes()
        yield from lab_api.NodesRoutes(self._nodes).routes()
        yield from lab_api.SessionsRoutes(
            lambda: None if self._rest is None or self._parts is None else self._parts.sessions
        ).routes()
        yield from lab_api.EventsRoutes(self._stream_events).routes()
        yield from lab_api.RecordsRoutes(lambda: self._records() if self._gate.is_open else None).routes()
        yield from lab_api.HostsRoutes(self._hosts, self._foundation.node_faults).routes()
        yield from lab_api.NodeFaultsRoutes(self._foundation.node_faults).routes()
        yield from lab_api.SimulatedHostsRoutes(self._hosts).routes()
        yield from self._storages.routes()
        yield from lab_api.ImageSourcesRoutes(self._foundation.image_sources, self._source_keeper).routes()
        yield from lab_api.ClockRoutes(self._lab_time).routes()
        yield from lab_api.StoriesRoutes(self._stories).routes()
        yield from lab_api.RequestsRoutes(self._foundation.journal, clock).routes()
        yield from lab_api.RequestDetailRoutes(base.journal, clock, self._database, self._history).routes()
        yield from lab_api.TimelineRoutes(self._database, self._hosts, self._foundation.journal, clock).routes()
        yield from lab_api.ScenarioRoutes(self._story_writer, self._hosts, base.calls, settings, clock).routes()

    @cached_property
    def _storages(self) -> StoragesRoutes:
        return lab_api.StoragesRoutes(self._history, self._hosts, self._owners)

    async def _serve_storages(self, content: Content) -> Content:
        """Answer another node that asks about a storage of this one."""
        return await self._storages.serve(content)

    def _owners(self) -> StorageOwners | None:
        return None if self._parts is None else lab_api.StorageOwners(self._parts.cluster.peers, self._parts.bus)

    def _source_keeper(self) -> StoredSources | None:
        return None if self._parts is None else self._parts.store.image_sources

    def _nodes(self) -> NodesView | None:
        parts = self._parts
        if parts is None:
            return None
        return lab_api.NodesView(
            database=parts.store.database,
            log=parts.store.event_log,
            clock=self._foundation.clock,
            peers=parts.cluster.peers,
            mode=None if parts.cluster.membership is None else parts.cluster.membership.mode,
            beat=parts.node_record.beat,
        )

    def _database(self) -> Database | None:
        return None if self._parts is None else self._parts.store.database

    def _history(self) -> StorageHistory | None:
        parts = self._parts
        if parts is None or self._rest is None:
            return None
        return lab_api.StorageHistory(
            records=parts.storages.records,
            status=parts.storages.status,
            capacities=parts.storages.capacities,
            tracker=parts.storages.tracker,
            log=parts.store.event_log,
            clock=self._foundation.clock,
        )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._rest is None:
            text = f"the management node is not ready yet, it waits for: {', '.join(self._gate.waiting_for)}"
            error = orjson.dumps({"error": ErrorCode("SYS.1010", text).to_json()})
            return web.Response(status=503, body=error, content_type="application/json")
        return await self._rest.answer(request)

    async def _receive_message(self, request: web.Request) -> web.Response:
        """Take a message of another management node."""
        if isinstance(request, Request):
            request.allow(MESSAGE_BYTES)
        return self._starting() if self._parts is None else await self._parts.bus.receive(request)

    async def _receive_image(self, request: web.Request) -> web.Response:
        return self._starting() if self._parts is None else await receive_image(self._parts.services.uploads, request)

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        """Send each event once, as a server-sent event, until one side ends the stream.

        `Last-Event-ID`, or `lastEventId`, is the number of the last event that a client has seen: the stream begins
        with the stored ones after it.
        """
        return self._starting() if self._parts is None else await self._parts.event_stream.answer(request)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return self._starting() if self._parts is None else await self._parts.metrics_page.answer(request)

    def _starting(self) -> web.Response:
        return json_line(503, {"error": "the management node is starting", "waitingFor": self._gate.waiting_for})

    async def _end_streams(self, application: web.Application) -> None:
        if self._parts is not None:
            await self._parts.event_stream.close()

    async def _healthz(self, request: web.Request) -> web.Response:
        return json_line(200, {"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        problems = await self._problems()
        ready = self._gate.is_open and not problems
        body = {"ready": ready, "waitingFor": self._gate.waiting_for, "problems": problems}
        return json_line(200 if ready else 503, body)


def _unchanged(handle: Handle) -> Handle:
    return handle
