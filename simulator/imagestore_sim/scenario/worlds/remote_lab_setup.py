"""Gives a lab that is running what a scenario needs, and restores it: settings, hosts, zones, storages."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.scenario.format.model import HostRecord, Scenario, StorageRecord
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.worlds.lab_client import LabClient
from imagestore_sim.scenario.worlds.lab_clock import FollowingClock
from imagestore_sim.scenario.worlds.remote_host import RemoteHost
from imagestore_sim.scenario.worlds.remote_lab_rules import IMAGE_STORES
from imagestore_sim.tasks import together
from imagestore_sim.testing.client import Client

LOOK_SECONDS = 0.1  # real: another process is waited for
MOST_LOOKS, QUIET_LOOKS = 50, 3
Inventory = Mapping[str, Any]


class RemoteLabSetup:
    """Changes a lab for a scenario; pushes what undoes each change on `undo`, before it makes it if it may fail."""

    def __init__(self, scenario: Scenario, lab: LabClient, client: Client, undo: AsyncExitStack) -> None:
        """`client` is logged in."""
        self._scenario = scenario
        self._lab = lab
        self._client = client
        self._undo = undo

    # Settings

    async def keep_settings(self) -> None:
        """Have the settings of now restored in the end."""
        before = await self._settings()
        self._undo.push_async_callback(self._set, {name: before[name] for name in OPTIONS if name in before})

    async def change_settings(self) -> None:
        """Set the options that storages are kept by: to what the scenario says, or else to their defaults."""
        defaults = {one.name: one.default for one in STORAGE_OPTIONS}
        chosen = {name: option_text(name, value) for name, value in self._scenario.settings.items()}
        await self._set(defaults | chosen)

    async def _settings(self) -> dict[str, str]:
        """Return the values in force of the options that scenarios know; others have names that are theirs too."""
        found = await self._client.query("/global-configurations")
        known = {(option.category, option.name) for option in OPTIONS.values()}
        return {one["name"]: one["value"] for one in found if (one["category"], one["name"]) in known}

    async def _set(self, values: Mapping[str, str]) -> None:
        now = await self._settings()
        for name, value in values.items():
            if now.get(name) != value:
                path = f"/global-configurations/{OPTIONS[name].category}/{name}/actions"
                await self._client.call("PUT", path, {"updateGlobalConfig": {"value": value}})

    # Hosts

    async def prepare_hosts(self, present: Mapping[str, Inventory], clock: FollowingClock) -> dict[str, RemoteHost]:
        """Add the hosts of the scenario, or change the disks of those that are `present`; return them by name."""
        specs = self._scenario.all_hosts()
        self._undo.push_async_callback(self._remove_hosts, set(specs) - set(present))
        hosts: dict[str, RemoteHost] = {}
        for name, spec in specs.items():
            await self._prepare_host(name, spec, present.get(name))
            hosts[name] = host = RemoteHost(self._lab, clock, name)
            self._undo.push_async_callback(host.restore)
        return hosts

    async def _prepare_host(self, name: str, spec: HostRecord, present: Inventory | None) -> None:
        disk = {"size": spec.size, "used": spec.used.of(spec.size), "reserved": spec.reserved.of(spec.size)}
        if present is None:
            access = {"username": spec.username, "password": spec.password, "port": spec.port}
            offers = {"inodes": spec.inodes, "sftp": spec.sftp, "statvfs": spec.statvfs, "mount": spec.mount}
            await self._lab.add_host({"name": name, **disk, **access, **offers})
            self._undo.push_async_callback(self._lab.remove_host, name)
        else:
            self._undo.push_async_callback(self._lab.change_host, name, {one: present[one] for one in disk})
            await self._lab.change_host(name, disk)

    async def _remove_hosts(self, names: set[str]) -> None:
        """Remove hosts until they stay away.

        A lab makes a host for any name that is looked up, such as by a probe that was under way when its storage was
        deleted.
        """
        quiet = 0
        for _ in range(MOST_LOOKS):
            there = names & set(await self._lab.hosts())
            for name in there:
                await self._lab.remove_host(name)
            quiet = 0 if there else quiet + 1
            if not names or quiet == QUIET_LOOKS:
                return
            await asyncio.sleep(LOOK_SECONDS)  # real: another process is waited for

    # Zones and storages

    async def prepare_zones(self) -> dict[str, str]:
        """Add the zones of the scenario that are not there; return the uuids of all by name."""
        there = {one["name"]: one["uuid"] for one in await self._client.query("/zones")}
        for name in self._scenario.zones:
            if name not in there:
                body = {"params": {"name": name, "resourceUuid": stable_uuid("zone", name)}}
                there[name] = (await self._client.call("POST", "/zones", body))["inventory"]["uuid"]
                self._undo.push_async_callback(self._client.call, "DELETE", f"/zones/{there[name]}")
        return {name: there[name] for name in self._scenario.zones}

    async def prepare_image_sources(self) -> None:
        """Put the image sources of the scenario before those that are there."""
        if self._scenario.imageSources:
            self._undo.push_async_callback(self._lab.replace_image_sources, await self._lab.image_sources())
            await self._lab.add_image_sources([asdict(one.source()) for one in self._scenario.imageSources])

    def adopt_storages(self, inventories: Sequence[Inventory]) -> dict[str, str]:
        """Return the uuids of the lab's storages that are in the place of the scenario's, by the scenario's names.

        Raise WorldProblem for a storage on the same host at another url.
        """
        adopted = {}
        there = {one.get("hostname"): one for one in inventories}
        for record in self._scenario.all_storages():
            found = there.get(record.hostname)
            if found is None:
                continue
            if found["url"] != record.url:
                text = f"{found['name']}, which has the url {found['url']} in place of {record.url}"
                raise WorldProblem(f"storage {record.name}: there is a storage on {record.hostname} already: {text}")
            adopted[record.name] = found["uuid"]
        for uuid in adopted.values():
            self._undo.push_async_callback(self._reconnect, uuid)
        return adopted

    async def prepare_storages(
        self, uuids: Mapping[str, str], zones: Mapping[str, str], present: Collection[str]
    ) -> None:
        """Add the storages of the scenario; reconnect those that are `present`, since their disks have changed.

        `uuids` and `zones` hold the uuids of the scenario's storages and zones by their names.
        """
        await together(
            *(
                self._reconnect(uuids[one.name])
                if uuids[one.name] in present
                else self._add_storage(one, uuids[one.name], zones)
                for one in self._scenario.all_storages()
            )
        )

    async def _add_storage(self, record: StorageRecord, uuid: str, zones: Mapping[str, str]) -> None:
        params = {"name": record.name, "hostname": record.hostname, "url": record.url, "username": record.username,
                  "password": record.password, "sshPort": record.port, "description": record.description,
                  "resourceUuid": uuid}  # fmt: skip
        self._undo.push_async_callback(self._client.call, "DELETE", f"/backup-storage/{uuid}")
        await self._client.call("POST", IMAGE_STORES, {"params": {k: v for k, v in params.items() if v is not None}})
        for zone in self._scenario.zones_of(record):
            await self._client.call("POST", f"/zones/{zones[zone]}/backup-storage/{uuid}", {})

    async def _reconnect(self, uuid: str) -> None:
        await self._client.call("PUT", f"{IMAGE_STORES}/{uuid}/actions", {"reconnectImageStoreBackupStorage": {}})
