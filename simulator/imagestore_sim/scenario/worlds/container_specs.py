"""The hosts of a scenario, as containers."""

from __future__ import annotations

import os.path

from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.scenario.format.model import Host, Scenario

URL = "/Cloud_bs"
"""The path of the disk of a host without a mount and without storages."""


def container_spec(scenario: Scenario, name: str, host: Host) -> HostSpec:
    """Return what the container of a host of the scenario is."""
    urls = tuple(dict.fromkeys(one.url for one in scenario.all_storages() if one.hostname == name))
    return HostSpec(
        port=host.port,
        username=host.username,
        urls=urls,
        mount=host.mount,
        disk_path=_disk_path(host, urls),
        size=host.size,
        memory_disk=has_memory_disk(host),
    )


def _disk_path(host: Host, urls: tuple[str, ...]) -> str:
    """Return where a host's disk is mounted; `/`, where none can be, if its storages have no directory in common."""
    if host.mount is not None and host.mount != "/":
        return host.mount
    return os.path.commonpath(urls) if urls else URL


def has_memory_disk(host: Host) -> bool:
    """Return whether a host's disk is a tmpfs: only that has a number of inodes."""
    return "inodes" in host.model_fields_set
