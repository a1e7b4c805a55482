"""The embedded lab: a management node and simulated ImageStore hosts in one process, with their storages added."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagestore_sim import lab_api, open_files
from imagestore_sim.backup_storage.records import Status, Storage, checked_status
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.context_managers import Startable
from imagestore_sim.faults import read_node_fault
from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.hosts.default_hosts import default_host, spot_host
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.images.bits import Place, place_of
from imagestore_sim.lab_api import LabHosts
from imagestore_sim.node.errors import StartError, cannot_start
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.node_faults import AppliedNodeFault
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import new_event_loop
from imagestore_sim.temporary_folders import TemporaryFolder
from imagestore_sim.virtual_clock import VirtualClock, VirtualEventLoop

if TYPE_CHECKING:
    from imagestore_sim.lab_api import OpenStories, RequestLog, StoryWriter

logger = logging.getLogger(__name__)
ZONE_NAME = "zone-1"
URL = "/Cloud_bs"
FOLDERS = ("registry", "export")
FILES_OF_A_NODE = 32
FILES_OF_A_HOST = 3
"""The listening socket, and both ends of the connection that a probe keeps."""


def lab_loop(settings: Settings) -> asyncio.AbstractEventLoop:
    """Return an event loop for a lab: in virtual time that stands still at first, if its clock is to."""
    if settings.stopped_at is None:
        return new_event_loop()
    clock = VirtualClock(settings.stopped_at)
    clock.stop_at_start()
    return VirtualEventLoop(clock, settings.seed)


def clock_of_loop() -> VirtualClock | None:
    """Return the clock of the running event loop; None if that runs in real time."""
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualEventLoop) else None


def host_names(count: int) -> list[str]:
    """Return the names of the first `count` hosts: `imagestore-1`, `imagestore-2`, …."""
    return [f"imagestore-{number}" for number in range(1, count + 1)]


def _storage(number: int, name: str, zone: str) -> BackupStorageRecord:
    """Return the record of an initial host. Its uuid begins with its number, so that lists by uuid are in order."""
    return BackupStorageRecord(
        uuid=f"{number:08x}{stable_uuid('backup-storage', name)[8:]}",
        name=name,
        description=f"ImageStore on the simulated host {name}",
        hostname=name,
        url=URL,
        attachedZoneUuids=(zone,),
    )


def check_files(hosts: int, otherwise: str = "give --hosts fewer") -> None:
    """Raise StartError, with what to do, if `hosts` hosts need more open files than the process may have."""
    needed, allowed = FILES_OF_A_NODE + FILES_OF_A_HOST * hosts, open_files.limit()
    if needed > allowed:
        raise StartError(
            f"{hosts} hosts need about {needed} open files, and {allowed} are allowed; raise the limit with ulimit -n,"
            f" or {otherwise}"
        )


class Lab(Startable):
    """A management node and its own network of simulated hosts. It starts and stops once.

    With a database that is kept, the storages of earlier runs come back.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        story_writer: StoryWriter | None = None,
        stories: OpenStories | None = None,
    ) -> None:
        """`story_writer` writes what was done by hand as a scenario (`scenario.recording.by_hand`).

        `/lab/v1` offers `stories`, which are to be played on this lab.
        """
        self._story_writer = story_writer
        self.settings = settings
        self.clock = clock or RealClock()
        self._new_host = partial(default_host, clock=self.clock, seed=settings.seed)
        on_the_spot = partial(spot_host, clock=self.clock, seed=settings.seed)
        self.network = HostNetwork(any_host=on_the_spot if settings.any_host else None)
        self._folder: TemporaryFolder | None = None
        self._node: ManagementNode | None = None
        self._stories = stories
        self._ssh_config: Path | None = None

    @property
    def node(self) -> ManagementNode:
        """The management node. Raise RuntimeError before the start."""
        if self._node is None:
            raise RuntimeError("the lab has not started")
        return self._node

    @property
    def ssh_config(self) -> Path:
        """The file with which `ssh -F FILE NAME` reaches each host. Raise RuntimeError before the start."""
        if self._ssh_config is None:
            raise RuntimeError("the lab has not started")
        return self._ssh_config

    @property
    def url(self) -> str:
        """The URL of the management node, `http://HOST:PORT`."""
        return self.node.url

    @property
    def requests(self) -> RequestLog:
        """The requests that clients have made: find, count and wait for them, and assert what came."""
        return lab_api.RequestLog(self.node.foundation.journal, self.clock)

    async def start(self) -> None:
        """Start the hosts, then the node. Return when every storage has been tried once.

        Raise StartError, DatabaseError, BootstrapError; what had started by then is stopped.
        """
        check_files(self.settings.hosts)
        if self.settings.stopped_at is not None and not isinstance(self.clock, VirtualClock):
            raise StartError("clock: a lab whose clock stands still needs the event loop that `lab_loop` returns")
        try:
            self._folder = TemporaryFolder()
        except OSError as error:
            raise StartError(f"no temporary folder can be made: {error.strerror}; set TMPDIR to one") from None
        try:
            await self._start_in(Path(self._folder.name))
        except OSError as error:
            await self.stop()
            raise StartError(cannot_start(error)) from None
        except BaseException:
            await self.stop()
            raise

    def describe_lab_api(self) -> dict[str, Any]:
        """Return the OpenAPI document of `/lab/v1`, which a lab need not run for. Call it on an event loop."""
        return lab_api.document(list(self._new_node(self.settings).http.lab_routes()))

    def _new_node(self, settings: Settings) -> ManagementNode:
        return ManagementNode(
            settings,
            clock=self.clock,
            resolve=self.network.resolve,
            hosts=LabHosts(self.network, self._new_host),
            release=self.network.release,
            story_writer=self._story_writer,
            stories=self._stories,
        )

    async def _start_in(self, folder: Path) -> None:
        settings = self.settings
        if "database" not in settings.model_fields_set:
            settings = settings.model_copy(update={"database": str(folder / "lab.db")})
        self._node = self._new_node(settings)
        for name in host_names(settings.hosts):
            await self.network.add(self._new_host(name))
        self._ssh_config = await self.network.write_ssh_config(folder)
        bootstrap = await asyncio.to_thread(self._bootstrap)
        await self._node.start(bootstrap, before_connecting=self._make_folders, before_reset=self._reset_hosts)

    @asynccontextmanager
    async def fault(self, kind: str, **parameters: Any) -> AsyncIterator[AppliedNodeFault]:
        """Let the management plane fail during the block; yield the fault, whose `hits` and `id` can be read.

        `when` is a mapping, and `lasts` how long it lasts at most, as `for` elsewhere. Raise FaultProblem.
        """
        faults = self.node.foundation.node_faults
        applied = await faults.apply(read_node_fault(kind, parameters))
        try:
            yield applied
        finally:
            await faults.heal(applied)

    async def stop(self) -> None:
        """Stop the node and the hosts, and delete the temporary folder. May be called again."""
        if self._node is not None:
            await self._node.stop()
        await self.network.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _bootstrap(self) -> Bootstrap:
        """Return the records of the bootstrap file with the zone and the storages of the initial hosts added."""
        given = Bootstrap.model_construct()
        if self.settings.bootstrap is not None:
            from imagestore_sim.bootstrap import read_bootstrap

            given = read_bootstrap(self.settings.bootstrap)
        zone = ZoneRecord(uuid=stable_uuid("zone", ZONE_NAME), name=ZONE_NAME, isDefault=not given.zones)
        taken = {one.hostname for one in given.backupStorages}
        storages = [
            _storage(number, name, str(zone.uuid))
            for number, name in enumerate(host_names(self.settings.hosts), start=1)
            if name not in taken
        ]
        return given.model_copy(
            update={"zones": (*given.zones, zone), "backupStorages": (*given.backupStorages, *storages)}
        )

    async def _reset_hosts(self) -> None:
        """Renew the initial hosts, add those that were removed, remove all others."""
        await self.network.renew([self._new_host(name) for name in host_names(self.settings.hosts)])

    async def _make_folders(self) -> None:
        """Make the folders, images and trash that storages of an earlier run had on their hosts.

        Simulated disks are not kept. Images and trash of a bootstrap file are on their hosts as well.
        """
        parts = self.node.parts.images
        storages = await self.node.storages.records.tracked()
        carrying = {storage.uuid: storage.target for storage in storages if parts.garbage.carries(storage)}
        by_storage: defaultdict[str, dict[Place, int]] = defaultdict(dict)
        if carrying:
            for stored in (*await parts.images.stored_bits(), *await parts.trash.stored_bits()):
                target = carrying.get(stored.storage)
                if target is not None and (place := place_of(target, stored.path)) is not None:
                    by_storage[stored.storage][place] = stored.size
        for storage in storages:
            bits = by_storage.get(storage.uuid, {})
            if (storage.total or bits) and (host := await _host_of(storage, self.network)) is not None:
                for folder in FOLDERS:
                    host.disk.make_directory(f"{storage.url}/{folder}", parents=True)
                for place, size in bits.items():
                    _make_image(host.disk, place, size)

    async def wait_for(self, name: str, status: str, *, within: float = 5.0) -> Storage:
        """Return the storage called `name` (or with that uuid) as soon as it has `status`.

        Raise TimeoutError, which names the status at the time, after `within` seconds of the lab's clock, and
        ValueError for a status that no storage can have.
        """
        expected = checked_status(status)
        try:
            return await self.clock.wait_for(self._when(name, expected), within)
        except TimeoutError:
            now = await self.node.storages.records.find(name)
            found = now.status if now else "not there"
            raise TimeoutError(f"{name} is {found}, and was not {expected} within {within:g} s") from None

    async def _when(self, name: str, expected: Status) -> Storage:
        with self.node.events.subscribe() as events:
            while True:
                storage = await self.node.storages.records.find(name)
                if storage is not None and storage.status is expected:
                    return storage
                await events.get()


def _make_image(disk: VirtualDisk, place: Place, size: int) -> None:
    """Make the file of an image, unless it is there; a disk that is too small for it stays without."""
    if disk.exists(place.file):
        return
    try:
        disk.make_directory(place.folder, parents=True)
        disk.open(place.file, write=True, create=True).truncate(size)
    except OSError as error:
        logger.warning("an image cannot be on its host: %s", error)


async def _host_of(storage: Storage, network: HostNetwork) -> SimulatedHost | None:
    """Return the simulated host of a storage, added on the spot if need be; None if its name does not resolve."""
    try:
        await network.resolve(storage.hostname, storage.port)
    except OSError:
        return None
    return network.get(storage.hostname)
