"""The composition root: a management node, built from its parts, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from imagestore_sim import open_files
from imagestore_sim.api import NewResourceTags, NodeRecord, Services, all_handlers, translate
from imagestore_sim.api.rights import Rights
from imagestore_sim.backup_storage.capacity import CapacityStore
from imagestore_sim.backup_storage.connector import Connector
from imagestore_sim.backup_storage.event_web_hooks import EventWebHooks
from imagestore_sim.backup_storage.events import EventLog, Events
from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.backup_storage.global_config import PING_INTERVAL
from imagestore_sim.backup_storage.images import Images
from imagestore_sim.backup_storage.lifecycle import Lifecycle, Release, keep
from imagestore_sim.backup_storage.ping_tracker import Tracker
from imagestore_sim.backup_storage.records import StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.backup_storage.zones import Zones
from imagestore_sim.bootstrap import Bootstrap, BootstrapLoader, Snapshots, read_bootstrap
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.global_config import ConfigOption, GlobalConfiguration
from imagestore_sim.database.location import file_of
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.exposure import DEFAULT_PASSWORD, LAB_API, NO_TLS, is_exposed
from imagestore_sim.host_names import check_allowed
from imagestore_sim.ids import seed_uuids
from imagestore_sim.in_flight import moved
from imagestore_sim.lab_api import (
    ClockRoutes,
    EventsQuery,
    EventStream,
    Guard,
    HostsRoutes,
    LabHosts,
    Metrics,
    MetricsPage,
    RecordsRoutes,
    RequestsRoutes,
    SimulatedHostsRoutes,
)
from imagestore_sim.lab_api.clock import is_lab_clock
from imagestore_sim.lab_api.openapi import lab_api
from imagestore_sim.lab_api.routes import Handler, Route
from imagestore_sim.probe import HostKeyPolicy, Observe, Prober, Resolve
from imagestore_sim.query import BACKUP_STORAGE, QueryEngine, prepare
from imagestore_sim.query.folding import fold_padded
from imagestore_sim.query.inventories import SSH_HOST
from imagestore_sim.rest.authentication import Authentication
from imagestore_sim.rest.dispatch import Dispatcher, Rules
from imagestore_sim.rest.encoding import without_nulls, write_stored_date
from imagestore_sim.rest.errors import ErrorCode
from imagestore_sim.rest.job_web_hooks import JobWebHooks
from imagestore_sim.rest.jobs import Jobs
from imagestore_sim.rest.journal import Journal
from imagestore_sim.rest.legacy_api import LegacyApi
from imagestore_sim.rest.leniency import LENIENT, STRICT, Leniency
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.server import BODY_LIMIT, Dependencies, RestServer
from imagestore_sim.rest.sessions import Sessions
from imagestore_sim.settings import Settings
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks
from imagestore_sim.virtual_clock import VirtualEventLoop
from imagestore_sim.watchdog import Watchdog
from imagestore_sim.web_server import Handle, Runner, authority, http_url

logger = logging.getLogger(__name__)
SHUTDOWN_SECONDS = 0.5
STEPS = ("database", "bootstrap", "first connects")
API_PATHS = ("/zstack/v1/", "/v1/")
BeforeConnecting = Callable[["ManagementNode"], Awaitable[None]]


class StartError(Exception):
    """The node cannot start; the text is one line for people, and says what to do."""


class ManagementNode:
    """A management node over one database. `resolve` tells where a hostname is reached; without it, DNS does."""

    events: Events
    records: StorageRecords
    status: StatusStore
    capacities: CapacityStore
    lifecycle: Lifecycle
    snapshots: Snapshots

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        resolve: Resolve | None = None,
        hosts: LabHosts | None = None,
        release: Release = keep,
    ) -> None:
        """`hosts` are those that `/lab/v1` is to command; `release` hears of those that no record may name any more.
        Raises StartError for a file of the prober's that cannot be
        used.
        """
        self.settings = settings
        self.clock = clock or RealClock()
        self.events = Events(self.clock)
        self._hosts = hosts
        self._release = release
        self._metrics = Metrics()
        self._supervisor = Supervisor(self.clock.sleep, self._metrics.loop)
        self._watchdog = Watchdog(self._metrics.loop, self._supervisor.look)
        self._journal = Journal()
        try:
            self._guard = new_guard(settings)
            self._prober = new_prober(settings, self.clock, resolve, self._metrics.probed)
        except ValueError as error:
            raise StartError(str(error)) from None
        self._waiting_for = list(STEPS)
        self._runner: Runner | None = None
        self._rest: RestServer[Services] | None = None
        self._event_stream: EventStream | None = None
        self._metrics_page: MetricsPage | None = None
        self._stops: list[Callable[[], Awaitable[None]]] = [self._prober.close]
        self._tasks = Tasks()
        self._one_replacement = asyncio.Lock()
        self.url = ""

    @property
    def _leniency(self) -> Leniency:
        return STRICT if self.settings.strict else LENIENT

    @property
    def ready(self) -> bool:
        """Whether it is migrated and bootstrapped, and has tried to connect every storage once."""
        return not self._waiting_for

    async def problems(self) -> list[str]:
        """A line for each thing that keeps a node that has started from doing all its work."""
        store = await self._database.check() if hasattr(self, "_database") else None
        return [*([store] if store else []), *self._supervisor.problems(), *self._watchdog.problems()]

    async def start(
        self,
        bootstrap: Bootstrap | None = None,
        *,
        before_connecting: BeforeConnecting | None = None,
        before_reset: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Listen, migrate, load the bootstrap, connect every storage once; then it is ready.

        `before_connecting` is called whenever there are new records, `before_reset` when they are those of the start.
        Raises StartError, DatabaseError, BootstrapError; what had been begun is stopped again.
        """
        self._before_connecting = before_connecting
        self._before_reset = before_reset
        try:
            await self._listen()
            self._bootstrap = bootstrap or await self._read_bootstrap()
            await self._open_database()
            await self._load(self._bootstrap)
            if before_connecting is not None:
                await before_connecting(self)
            await self.lifecycle.start()
            await self.lifecycle.reconnect_all()
            self._done("first connects")
            if isinstance(self.clock, RealClock):  # in virtual time nothing may happen that depends on real time
                self._watchdog.start()
                self._stops.append(self._stop_watchdog)
        except OSError as error:
            await self.stop()
            raise StartError(cannot_start(error)) from None
        except BaseException:
            await self.stop()
            raise

    async def _stop_watchdog(self) -> None:
        self._watchdog.stop()

    async def replace_records(self, records: Bootstrap | None = None, *, wait: bool = False) -> None:
        """Put records in the place of all there is: the bootstrap's, unless others are given.

        Storages are connected from then on; to `wait` is until each of them has been tried. Raises BootstrapError, and
        has changed nothing then.
        """
        async with self._one_replacement:
            if records is None:
                seed_uuids(self._seed)
            hostnames = [storage.hostname for storage in await self.records.tracked()]
            new = self._bootstrap if records is None else records
            async with self._database.atomic():  # a kill leaves all that there was, or all that there is to be
                await self._bootstrapper.load(self._with_interval(new), replace=True)
                await self._jobs.fail_running()
                if records is None:
                    await self._forget_what_was()
            await self._jobs.cut_off()
            await self._tracker.restart()
            self.status.last_probes.clear()
            await self.lifecycle.release_hosts(hostnames)
            await self._sessions.recall()
            await self._event_hooks.read()
            if records is None:
                await self._begin_anew()
            if records is None and self._before_reset is not None:
                await self._before_reset()
            if self._before_connecting is not None:
                await self._before_connecting(self)
            connecting = self._connect_new()
        if wait:
            await asyncio.wait([connecting])

    async def _forget_what_was(self) -> None:
        """Delete what has been stored since the start beside the records: sessions, jobs and events."""
        await self._sessions.end_all()
        await self._jobs.forget()
        await EventLog(self._database).clear()

    async def _begin_anew(self) -> None:
        """Forget what is kept in memory since the start: who listens, requests, counts, keys of hosts, time."""
        await EventLog(self._database).clear()  # of what was still under way
        self.events.restart()
        await self._prober.restart()
        self._journal.restart()
        self._metrics.restart()
        self._response_cache.hits.clear()
        if is_lab_clock(self.clock):
            self.clock.restart()

    @property
    def _seed(self) -> int | None:
        """The seed that was asked for."""
        return self.settings.seed if "seed" in self.settings.model_fields_set else None

    async def add_records(self, records: Bootstrap, *, wait: bool = False) -> None:
        """Add records to those that there are, which stay as they are, also where one of the new is the same.

        New storages are connected from then on; to `wait` is until each of them has been tried. Raises BootstrapError,
        and has changed nothing then.
        """
        async with self._one_replacement:
            there = {storage.uuid for storage in await self.records.tracked()}
            await self._bootstrapper.load(records)
            if self._before_connecting is not None:
                await self._before_connecting(self)
            connecting = self._connect_new(but=there)
        if wait:
            await asyncio.wait([connecting])

    def _connect_new(self, *, but: Container[str] = ()) -> asyncio.Task[None]:
        return self._tasks.begin(self.lifecycle.reconnect_all(but=but), "connects of new records")

    async def openings(self) -> list[str]:
        """What other machines can do here, a line each; none if it listens on loopback alone."""
        if self._runner is None or not is_exposed(self._runner.addresses):
            return []
        found = [NO_TLS]
        if await self._sessions.has_default_password():
            found.append(DEFAULT_PASSWORD)
        if self.settings.lab_api and self.settings.lab_token is None:
            found.append(f"{LAB_API} --lab-token or --no-lab-api")
        return found

    @property
    def addresses(self) -> list[Any]:
        """The addresses that it listens at: host and port at least."""
        return [] if self._runner is None else self._runner.addresses

    async def stop(self) -> None:
        """Stop listening, cancel what runs, close every connection; may be called again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        while self._stops:
            await self._stops.pop()()

    def _done(self, step: str) -> None:
        self._waiting_for.remove(step)

    async def _listen(self) -> None:
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._show_metrics)
        application.add_routes(lab_api(self._lab_routes(), self._guard))
        application.on_shutdown.append(self._end_streams)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = Runner(application, before=self._before_the_router, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        host, port = self.settings.host, self.settings.port
        try:
            self.url = http_url(host, await self._runner.listen(host, port))
        except OSError as error:
            raise StartError(_cannot_listen(host, port, error)) from None

    def _lab_routes(self) -> list[Route]:
        events = Route(
            "GET",
            "/lab/v1/events",
            "What happens, as it happens (server-sent events)",
            Handler(self._stream_events, query=EventsQuery),
            None,
            problems={400: "a number that is none", 503: "the node is starting"},
            gives_media="text/event-stream",
        )
        doors = (
            RecordsRoutes(self),
            HostsRoutes(self._hosts),
            SimulatedHostsRoutes(self._hosts),
            ClockRoutes(self.clock),
            RequestsRoutes(self._journal, self.clock),
        )
        return [events, *(route for door in doors for route in door.routes())]

    def _before_the_router(self, route: Handle) -> Handle:
        """The guard, and the API, whose paths go straight to it: aiohttp's router would take as long as a kept answer
        does."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            moved()
            if self._rest is not None and request.raw_path.startswith(API_PATHS):
                return await self._rest.answer(request)
            return await route(request)

        return self._guard.before(handle)

    async def _read_bootstrap(self) -> Bootstrap:
        if self.settings.bootstrap is None:
            return Bootstrap()
        return await asyncio.to_thread(read_bootstrap, self.settings.bootstrap)

    async def _open_database(self) -> None:
        location = self.settings.database
        database = await Database.open(location, prepare=prepare)
        self._stops.append(database.close)
        self._database = database
        self.events.defer = database.defer
        self._vault = await asyncio.to_thread(Vault.beside, location)
        self.snapshots = Snapshots(database, self._vault)
        await self._seed_uuids(database)
        self._build(database, self._vault)
        self._done("database")

    def _build(self, database: Database, vault: Vault) -> None:
        clock, prober = self.clock, self._prober
        self.configuration = GlobalConfiguration(database, _options(strict=self.settings.strict))
        self.records = StorageRecords(database, vault, clock)
        self.capacities = CapacityStore(database, self.records, self.events, clock)
        self.status = StatusStore(database, self.records, self.capacities, self.events, clock)
        connector = Connector(self.records, self.status, prober)
        self._tracker = Tracker(
            self.records,
            self.status,
            connector,
            prober,
            self.configuration,
            clock,
            self.settings.seed,
            self._metrics.ticked,
            self._supervisor,
        )
        self.lifecycle = Lifecycle(
            database, self.records, self.status, connector, self._tracker, prober, self.events, self._release
        )
        self._sessions = Sessions(database, vault, clock, self.configuration, self._supervisor)
        self._jobs = Jobs(database, vault, clock, self._metrics.job_ended, self._supervisor)
        self._response_cache = ResponseCache(lambda: database.revision)
        self._metrics_page = MetricsPage(self._metrics, database, self._response_cache)
        self._web_hooks = JobWebHooks(clock)
        self._this_node = NodeRecord(database, clock, self.settings.host, lambda: self.ready)
        queries = QueryEngine(database, write_moment=write_stored_date)
        self._event_hooks = EventWebHooks(
            database,
            self.events,
            clock,
            lambda: self._this_node.uuid,
            partial(_inventory, queries),
            self._supervisor,
        )
        self._event_stream = EventStream(self.events, EventLog(database))
        self._services = Services(
            clock=clock,
            database=database,
            queries=queries,
            sessions=self._sessions,
            lifecycle=self.lifecycle,
            zones=Zones(database, clock),
            images=Images(database, clock),
            tags=Tags(database, clock, fold_padded),
            configuration=self.configuration,
            node=self._this_node,
            web_hooks=self._event_hooks,
            rights=Rights(database),
            leniency=self._leniency,
        )

    async def _load(self, records: Bootstrap) -> None:
        await self.configuration.load()
        await self._apply_interval()
        self._bootstrapper = BootstrapLoader(self._database, self._vault, self.configuration, self.clock)
        await self._bootstrapper.load(records)
        await self._this_node.open()
        await self._sessions.open()
        await self._jobs.open()
        await self._event_hooks.open()
        # What is stopped first stands last: jobs and pings end before the prober and the database do.
        self._stops += [
            self._sessions.close,
            self._web_hooks.close,
            self._event_hooks.close,
            self._tracker.stop,
            self._tasks.close,
            self._jobs.close,
        ]
        self._rest = self._rest_server()
        self._done("bootstrap")

    def _with_interval(self, records: Bootstrap) -> Bootstrap:
        """The records, with the interval between pings that the node was started with unless they have their own."""
        own = records.globalConfig.get(PING_INTERVAL.category, {})
        if self.settings.ping_interval is None or PING_INTERVAL.name in own:
            return records
        options = {**own, PING_INTERVAL.name: str(self.settings.ping_interval)}
        return records.model_copy(update={"globalConfig": {**records.globalConfig, PING_INTERVAL.category: options}})

    async def _seed_uuids(self, database: Database) -> None:
        """Over a database that was kept uuids are new ones: those that follow from the seed are in it already."""
        kept = await NodeRecord.is_known(database)
        if not kept and self._seed is not None:
            seed_uuids(self._seed)
        elif kept and not isinstance(asyncio.get_running_loop(), VirtualEventLoop):
            seed_uuids(None)

    async def _apply_interval(self) -> None:
        if self.settings.ping_interval is not None:
            interval = str(self.settings.ping_interval)
            await self.configuration.change(PING_INTERVAL.category, PING_INTERVAL.name, interval)

    def _rest_server(self) -> RestServer[Services]:
        handlers = all_handlers()
        rules = Rules(
            missing=self._services.missing,
            tags=NewResourceTags(self._database, self.clock),
            translate=translate,
            leniency=self._leniency,
            rights=self._services.rights,
        )
        dispatcher = Dispatcher(handlers, self._services, self._sessions, rules)
        dependencies = Dependencies(
            clock=self.clock,
            authentication=Authentication(self._database, self._vault, self.clock, self._leniency),
            dispatcher=dispatcher,
            jobs=self._jobs,
            web_hooks=self._web_hooks,
            legacy_api=LegacyApi(handlers, dispatcher, self._jobs, self.clock),
            response_cache=self._response_cache,
            leniency=self._leniency,
            journal=self._journal,
            observe=self._metrics.answered,
        )
        return RestServer(handlers, dependencies)

    async def _answer(self, request: web.Request) -> web.Response:
        if self._rest is None:
            text = f"the management node is not ready yet, it waits for: {', '.join(self._waiting_for)}"
            return _json(503, {"error": ErrorCode("SYS.1010", text).to_json()})
        return await self._rest.answer(request)

    async def _stream_events(self, request: web.Request) -> web.StreamResponse:
        if self._event_stream is None:
            return _json(503, {"error": "the management node is starting", "waitingFor": self._waiting_for})
        return await self._event_stream.answer(request)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        if self._metrics_page is None:
            return _json(503, {"error": "the management node is starting", "waitingFor": self._waiting_for})
        return await self._metrics_page.answer(request)

    async def _end_streams(self, application: web.Application) -> None:
        if self._event_stream is not None:
            await self._event_stream.close()

    async def _healthz(self, request: web.Request) -> web.Response:
        return _json(200, {"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        problems = await self.problems()
        ready = self.ready and not problems
        return _json(200 if ready else 503, {"ready": ready, "waitingFor": self._waiting_for, "problems": problems})


def new_guard(settings: Settings) -> Guard:
    """The guard that settings ask for. The name that a node listens on is one of its names."""
    names = list(settings.allowed_host)
    with contextlib.suppress(ValueError):  # an address, which needs no permission
        names.append(check_allowed(settings.host))
    token = None if settings.lab_token is None else settings.lab_token.get_secret_value()
    return Guard(names, token=token, lab_api=settings.lab_api)


def new_prober(
    settings: Settings, clock: Clock, resolve: Resolve | None = None, observe: Observe = lambda _: None
) -> Prober:
    """The prober that settings ask for; raises ValueError for a file that cannot be used."""
    return Prober(
        clock,
        resolve=resolve,
        warm=settings.probe_connection == "warm",
        keep_alive=settings.probe_keep_alive,
        identity_file=settings.identity_file,
        host_keys=HostKeyPolicy(settings.host_keys),
        known_hosts=settings.known_hosts or _beside(settings.database),
        ssh_config=settings.ssh_config,
        read_only_hosts=settings.read_only_hosts,
        seed=settings.seed,
        observe=observe,
    )


def _options(*, strict: bool) -> tuple[ConfigOption[object], ...]:
    """Return the options of the global configuration; some defaults are this node's own unless it is strict."""
    options: dict[tuple[str, str], ConfigOption[object]] = dict(zstack_options())
    if not strict:
        options |= {(one.category, one.name): one for one in STORAGE_OPTIONS}
    return tuple(options.values())


def _beside(database: str) -> Path:
    """Where host keys are kept when nobody says where: `imagestore-sim.db.known_hosts`."""
    file = file_of(database) or Path("imagestore-sim.db")
    return file.with_name(f"{file.name}.known_hosts")


async def _inventory(queries: QueryEngine, storage_uuid: str) -> Mapping[str, object] | None:
    """Return what events tell of a storage: the inventory that every type has, without what is its host's."""
    found = await queries.find(BACKUP_STORAGE, storage_uuid)
    of_host = {field.name for field in SSH_HOST}
    inventory = without_nulls(found.rows[0]) if found.rows else {}
    return {name: value for name, value in inventory.items() if name not in of_host} or None


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def cannot_start(error: OSError) -> str:
    """What to say of a file or a socket that cannot be had at the start."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        most = open_files.limit()
        return f"more files are needed than may be open at once, which are {most}; raise the limit with ulimit -n"
    where = f"{error.filename}: " if error.filename else ""
    return f"cannot start: {where}{error.strerror or error}"


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port, or let --port 0 pick a free one"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be opened by this user; choose one above 1023 with --port"
    return f"cannot listen on {authority(host, port)}: {error.strerror or error}"
