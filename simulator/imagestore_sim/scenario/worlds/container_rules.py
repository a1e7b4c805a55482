"""What cannot be played on containers, found by reading a scenario."""

from __future__ import annotations

from collections.abc import Iterator

from imagestore_sim.backup_storage.global_config import PING_MODE
from imagestore_sim.containers.disks import SMALLEST_XFS
from imagestore_sim.containers.faults import Refused, requirements_of
from imagestore_sim.containers.faults.memory_disk import MOST_USED
from imagestore_sim.probe.capacity import PingMode
from imagestore_sim.scenario.format.model import HostRecord, Scenario
from imagestore_sim.scenario.format.schema import Problems, expand_range, matching
from imagestore_sim.scenario.format.steps import FaultStep, StopStep
from imagestore_sim.scenario.worlds.container_specs import adds_images, container_spec, has_memory_disk
from imagestore_sim.units import size_text

MOST_HOSTS = 200
"""Containers that fit into one network of an engine, and on one machine."""
UNTRIED = "stories whose pings ask agents are not compared with containers yet"


def broken_rules(scenario: Scenario) -> Problems:
    """Yield the place in the file and the reason of all that containers cannot do."""
    if scenario.nodes > 1:
        yield ("nodes",), "containers: several nodes are played in one process, over simulated hosts"
    if scenario.order is not None:
        yield ("order",), "containers are in real time, which has an order of its own"
    hosts = scenario.all_hosts()
    if scenario.oracle:
        yield ("oracle",), "containers: they do not show all that the oracle looks at"
    if len(hosts) > MOST_HOSTS:
        yield ("hosts",), f"{len(hosts)} hosts are more than the {MOST_HOSTS} that are started as containers"
    for written, host in scenario.hosts.items():
        for field, text in _broken_by_host(scenario, expand_range(written), host):
            yield ("hosts", written, field), f"containers: {text}"
    if scenario.settings.get(PING_MODE.name) == PingMode.AGENT:
        yield ("settings", PING_MODE.name), f"containers: {UNTRIED}"
    for number, step in enumerate(scenario.timeline):
        if step.settings is not None and step.settings.get(PING_MODE.name) == PingMode.AGENT:
            yield ("timeline", number, "settings", PING_MODE.name), f"containers: {UNTRIED}"
        if isinstance(step.content, FaultStep):
            for name in matching(step.content.host, hosts):
                try:
                    requirements_of(step.content.fault, container_spec(scenario, name, hosts[name]))
                except Refused as refusal:
                    yield ("timeline", number, step.kind), f"containers: {refusal}"
                    break
        elif isinstance(step.content, StopStep) and any(
            has_memory_disk(hosts[one]) for one in matching(step.content.host, hosts)
        ):
            yield ("timeline", number, step.kind), "containers: a disk with `inodes` is in memory, and lost at a stop"


def _broken_by_host(scenario: Scenario, names: list[str], host: HostRecord) -> Iterator[tuple[str, str]]:
    """Yield the field and the reason of what is wrong with the disk of hosts that are written as one."""
    if has_memory_disk(host):
        yield from _broken_by_memory_disk(host)
        if adds_images(scenario):
            yield "inodes", "a disk with `inodes` is in memory, where the sparse files of images take no space"
    elif host.size < SMALLEST_XFS:
        yield (
            "size",
            f"their disks are XFS, which begins at {size_text(SMALLEST_XFS)}, and this is {size_text(host.size)}",
        )
    for name in names:
        spec = container_spec(scenario, name, host)
        if spec.disk_path == "/":
            yield (
                "mount",
                f"the disk of a container is mounted in one place, which {' and '.join(spec.urls)} have not in common",
            )


def _broken_by_memory_disk(host: HostRecord) -> Iterator[tuple[str, str]]:
    if host.used.of(host.size) > MOST_USED:
        yield "used", f"a disk with `inodes` is in memory, where at most {size_text(MOST_USED)} may be in use"
    if host.reserved.of(host.size):
        yield "reserved", "a disk with `inodes` is in memory, which keeps nothing for root"
