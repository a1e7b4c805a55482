"""The hosts of a scenario, as containers."""

from __future__ import annotations

import os.path
from functools import reduce
from operator import or_

from imagestore_sim.containers.faults import Requirements, requirements_of
from imagestore_sim.containers.launch import NewHost
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.scenario.format.api_steps import ApiStep
from imagestore_sim.scenario.format.model import HostRecord, Scenario
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import FaultStep

URL = "/Cloud_bs"
"""The path of the disk of a host without a mount and without storages."""


def new_host(scenario: Scenario, name: str, host: HostRecord) -> NewHost:
    """Return the container to start for a host of the scenario, with what the faults of the scenario need on it."""
    spec = container_spec(scenario, name, host)
    return NewHost(
        name,
        spec,
        password=host.password,
        size=host.size,
        used=host.used.of(host.size),
        reserved=host.reserved.of(host.size),
        inodes=host.inodes,
        sftp=host.sftp,
        statvfs=host.statvfs,
        requirements=_requirements(scenario, name, spec),
        images=adds_images(scenario),
    )


def adds_images(scenario: Scenario) -> bool:
    """Return whether images are added in a scenario."""
    return any(isinstance(step.content, ApiStep) and step.content.makes() for step in scenario.timeline)


def _requirements(scenario: Scenario, name: str, spec: HostSpec) -> Requirements:
    required = (
        requirements_of(step.content.fault, spec)
        for step in scenario.timeline
        if isinstance(step.content, FaultStep) and any(matching(step.content.host, [name]))
    )
    return reduce(or_, required, Requirements())


def container_spec(scenario: Scenario, name: str, host: HostRecord) -> HostSpec:
    """Return what the implementations of faults need to know of a host of the scenario."""
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


def _disk_path(host: HostRecord, urls: tuple[str, ...]) -> str:
    """Return where a host's disk is mounted; `/`, where none can be, if its storages have no directory in common."""
    if host.mount is not None and host.mount != "/":
        return host.mount
    return os.path.commonpath(urls) if urls else URL


def has_memory_disk(host: HostRecord) -> bool:
    """Return whether a host's disk is a tmpfs: only that has a number of inodes."""
    return "inodes" in host.model_fields_set
