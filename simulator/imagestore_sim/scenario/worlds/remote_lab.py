"""A scenario on a lab that is running, perhaps in another process: its hosts over /lab/v1, its clock, its node.

What the scenario needs is added, and removed in the end; what was there before is restored. A storage that is there
already, at the same host and url, is taken for the scenario's, and stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from imagestore_sim.api.long_job_runner import ENDED
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.faults import FaultProblem, NodeFault
from imagestore_sim.rest.faulted_request import HEADER, PAST_FAULTS
from imagestore_sim.scenario.format.api_steps import ADMIN, LONG_JOBS, ApiCall
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.play.world import NO_ANSWER, OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.event_stream import follow_events
from imagestore_sim.scenario.worlds.lab_client import LabClient, LabRefused
from imagestore_sim.scenario.worlds.lab_clock import FollowingClock, LabTimeFollower
from imagestore_sim.scenario.worlds.node_client import NodeClient
from imagestore_sim.scenario.worlds.one_node import OneNode
from imagestore_sim.scenario.worlds.remote_host import RemoteHost
from imagestore_sim.scenario.worlds.remote_lab_rules import (
    IMAGE_STORES,
    IMAGES,
    NO_FILES,
    REMOVABLE,
    check_calls,
    check_hosts,
)
from imagestore_sim.scenario.worlds.remote_lab_setup import RemoteLabSetup
from imagestore_sim.tasks import Tasks, until_done_or_set
from imagestore_sim.testing.client import Answer, CallFailed, Client, plain_reason
from imagestore_sim.web_client import http_url

# Real seconds: they are about another process, which lives in the machine's time.
SETTLE_SECONDS = 0.03
LONGEST_SETUP = 120.0


async def check_lab(url: str, account: str, password: str, lab_token: str | None) -> None:
    """Raise WorldProblem if no scenario can be played on the lab at `url`: it is no lab, or refuses the login."""
    try:
        http_url(url)
        async with LabClient(url, lab_token) as lab, Client(url, timeout=LONGEST_SETUP) as client:
            await lab.hosts()
            await lab.time()
            await client.log_in(account, password)
            await client.log_out()
    except (WorldProblem, ValueError, *NO_ANSWER) as error:
        raise WorldProblem(f"{url}: {plain_reason(error)}") from error


@dataclass(frozen=True, slots=True)
class _Clients:
    """The clients of the node and of the lab's API, once the lab has been prepared."""

    of_scenario: NodeClient
    of_setup: Client
    of_lab: LabClient


class RemoteLab(OneNode):
    """A lab that is running, while a scenario is played on it."""

    folder = Path("/no files of the scenario's own")

    def __init__(
        self,
        url: str,
        account: str,
        password: str,
        scenario: Scenario,
        clock: FollowingClock,
        on_event: OnEvent,
        lab_token: str | None = None,
    ) -> None:
        self.hosts: dict[str, RemoteHost] = {}
        self.zones: dict[str, str] = {}
        self.storages = {one.name: stable_uuid("backup-storage", one.name) for one in scenario.all_storages()}
        self.images: dict[str, str] = {}
        self.long_jobs: dict[str, str] = {}
        self._scenario = scenario
        self._clock = clock
        self._url = url
        self._account = account
        self._password = password
        self._lab_token = lab_token
        self._on_event = on_event
        self._made: set[str] = set()
        self._node_faults: set[str] = set()
        self._called: set[tuple[str, str]] = set()
        """What clients under test have been asked to make: path and name."""
        self._undo = AsyncExitStack()
        self._tasks = Tasks()
        self._playing: asyncio.Task[Any] | None = None
        self._lost = ""
        self._clients: _Clients | None = None

    async def __aenter__(self) -> Self:
        self._playing = asyncio.current_task()
        try:
            async with asyncio.timeout(LONGEST_SETUP):  # real: another process is waited for
                await self._prepare()
        except BaseException as error:
            await self._leave(error)
            if isinstance(error, CallFailed | aiohttp.ClientError | TimeoutError):
                raise WorldProblem(f"{self._url}: {plain_reason(error)}") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        """Undo every change. Raise WorldProblem when the lab was lost, or could not be restored."""
        if self._lost and isinstance(error, asyncio.CancelledError):
            assert self._playing is not None
            self._playing.uncancel()  # it was cancelled by _until_lost, and ends with WorldProblem instead
        await self._tasks.close()
        try:
            await self._undo.aclose()
        except (WorldProblem, *NO_ANSWER) as problem:
            text = f"{self._url} could not be restored completely: {plain_reason(problem)}"
            raise WorldProblem(f"{self._lost}; {text}" if self._lost else text) from problem
        if self._lost:
            raise WorldProblem(self._lost) from error

    async def _until_lost(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the scenario; cancel the scenario when it raises WorldProblem."""
        try:
            await work
        except WorldProblem as problem:
            self._lost = self._lost or str(problem)
            if self._playing is not None:
                self._playing.cancel()

    async def _prepare(self) -> None:
        """Make the lab what the scenario needs. Each change has its undoing pushed on the stack, undone last first."""
        undo = self._undo
        lab = await undo.enter_async_context(LabClient(self._url, self._lab_token))
        client = await undo.enter_async_context(Client(self._url, timeout=LONGEST_SETUP, headers={HEADER: PAST_FAULTS}))
        hosts = await lab.hosts()
        time = LabTimeFollower(self._url, lab, self._clock)
        await time.begin(undo)
        await client.log_in(self._account, self._password)
        undo.push_async_callback(client.log_out)
        inventories = await client.query("/backup-storage")
        present = {one["uuid"] for one in inventories}
        setup = RemoteLabSetup(self._scenario, lab, client, undo)
        self.storages |= setup.adopt_storages(inventories)
        check_hosts(self._scenario, hosts)
        check_calls(self._scenario, self.storages, present)
        await setup.keep_settings()
        self.hosts = await setup.prepare_hosts(hosts, self._clock)
        self.zones |= await setup.prepare_zones()
        await setup.prepare_image_sources()
        await self._listen()
        await setup.prepare_storages(self.storages, self.zones, present)
        await setup.change_settings()
        node = NodeClient(self._url, self._clock, self._account, self._password, self._lab_token)
        undo.push_async_callback(node.close)
        undo.push_async_callback(node.log_out)
        self._clients = _Clients(node, client, lab)
        await time.refresh()
        self._tasks.begin(self._until_lost(time.follow()), "time of a lab")

    async def _listen(self) -> None:
        """Listen to every event from now on."""
        listening = asyncio.Event()
        following = follow_events(self._url, self.concerns, self._on_event, listening, lab_token=self._lab_token)
        await until_done_or_set(self._tasks.begin(self._until_lost(following), "events of a lab"), listening)

    def concerns(self, uuid: str) -> bool:
        """Return whether the storage or image is the scenario's, or was made by one of its calls."""
        known = (self._made, self._node_faults, self.storages.values(), self.images.values())
        return any(uuid in one for one in known)

    async def settle(self) -> None:
        """Wait a moment: events are reported by another process."""
        await asyncio.sleep(SETTLE_SECONDS)  # real: see above

    async def request(
        self, method: str, path: str, body: Any = None, *, account: str = ADMIN, node: str = ""
    ) -> Answer:
        """Call the API as NodeClient does, as the account of this world; what the call makes is deleted in the end."""
        clients = self._entered()
        answer = await clients.of_scenario.request(method, path, body)
        if answer.status == 200 and method != "GET" and isinstance(inventory := answer.body.get("inventory"), dict):
            self._remove_in_the_end(clients.of_setup, path, inventory)
        return answer

    def _remove_in_the_end(self, client: Client, path: str, inventory: Mapping[str, Any]) -> None:
        """Remove in the end what a call has made, if it has made something."""
        uuid = str(inventory.get("uuid"))
        is_image = "backupStorageRefs" in inventory and uuid not in path  # it was added, or is a copy
        if path == LONG_JOBS:
            self._undo.push_async_callback(self._remove_long_job, client, uuid)
        elif is_image or path in REMOVABLE:
            self._made.add(uuid)
            if is_image:
                self._undo.push_async_callback(self._remove_image, client, uuid)
            else:
                resource = "/backup-storage" if path == IMAGE_STORES else path
                self._undo.push_async_callback(client.call, "DELETE", f"{resource}/{uuid}")

    async def _remove_image(self, client: Client, uuid: str) -> None:
        """Remove an image with its bits, if it is there."""
        await client.call("DELETE", f"{IMAGES}/{uuid}")
        if await client.query(IMAGES, f"uuid={uuid}"):
            await client.call("PUT", f"{IMAGES}/{uuid}/actions", {"expungeImage": {}})

    async def _remove_long_job(self, client: Client, uuid: str) -> None:
        """Cancel a long job, wait for its end, and remove it with the image that it has made."""
        await client.request("PUT", f"{LONG_JOBS}/{uuid}/actions", {"cancelLongJob": {}})  # refused after its end
        async with asyncio.timeout(LONGEST_SETUP):  # real: another process is waited for
            open_ones = (f"uuid={uuid}", f"state!?={','.join(ENDED)}")
            while await client.query(LONG_JOBS, *open_ones):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(SETTLE_SECONDS)  # real: as above
        for job in await client.query(LONG_JOBS, f"uuid={uuid}"):
            if (made := orjson.loads(job.get("jobResult") or "{}").get("inventory")) is not None:
                await self._remove_image(client, made["uuid"])
            await client.call("DELETE", f"{LONG_JOBS}/{uuid}")

    async def node_for(self, call: ApiCall, node: str | None = None) -> str:
        """Return the URL of the lab. What the call makes is removed in the end, by its name, unless it was there."""
        name = (call.body or {}).get("params", {}).get("name") if call.method == "POST" else None
        if call.path in REMOVABLE and isinstance(name, str) and (call.path, name) not in self._called:
            self._called.add((call.path, name))
            client = self._entered().of_setup
            resource = "/backup-storage" if call.path == IMAGE_STORES else call.path
            present = {one["uuid"] for one in await client.query(resource, f"name={name}")}
            self._undo.push_async_callback(self._remove_named, client, resource, name, present)
        return self._url

    async def _remove_named(self, client: Client, resource: str, name: str, but: Collection[str]) -> None:
        for one in await client.query(resource, f"name={name}"):
            if one["uuid"] in but:
                continue
            if resource == IMAGES:
                await self._remove_image(client, one["uuid"])
            else:
                await client.call("DELETE", f"{resource}/{one['uuid']}")

    async def apply_to_node(self, fault: NodeFault) -> str:
        """Set a fault of the management plane, which is healed in the end, and return its id. Raise FaultProblem."""
        lab = self._entered().of_lab
        try:
            identity = await lab.break_node({"kind": fault.kind, **fault.values()})
        except LabRefused as refused:
            raise FaultProblem(str(refused)) from None
        self._node_faults.add(identity)
        self._undo.push_async_callback(lab.heal_node, identity)
        return identity

    async def heal_node(self, fault: str) -> None:
        """Heal a fault of the management plane by its id, unless that has happened."""
        await self._entered().of_lab.heal_node(fault)

    async def file_size(self, host: str, path: str) -> int:
        """Raise WorldProblem: a lab does not show the files of its hosts."""
        raise WorldProblem(NO_FILES)

    async def page(self, path: str, node: str | None = None) -> str:
        """Return a page as NodeClient does."""
        return await self._entered().of_scenario.page(path)

    def _entered(self) -> _Clients:
        assert self._clients is not None, "the world has not been entered"
        return self._clients
