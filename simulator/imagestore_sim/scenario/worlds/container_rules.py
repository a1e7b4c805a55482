"""What cannot be played on containers: told by name and with the reason, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from imagestore_sim.containers import faults as forms
from imagestore_sim.containers.disk import SMALLEST
from imagestore_sim.containers.faults.disk_in_memory import MOST_USED
from imagestore_sim.scenario.format.model import Host, Scenario
from imagestore_sim.scenario.format.reader import Place
from imagestore_sim.scenario.format.schema import matching, spread
from imagestore_sim.scenario.format.steps import FaultStep, StopStep
from imagestore_sim.scenario.worlds.containers import disk_of, is_in_memory, paths_on
from imagestore_sim.units import size_text

MOST_HOSTS = 200
"""How many fit into a network of a container engine, and on one machine."""


def broken_rules(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    """Where in the file it stands, and why."""
    hosts = scenario.all_hosts()
    if len(hosts) > MOST_HOSTS:
        yield ("hosts",), f"{len(hosts)} hosts are more than the {MOST_HOSTS} that are started as containers"
    for written, spec in scenario.hosts.items():
        for field, text in _of_host(scenario, spread(written), spec):
            yield ("hosts", written, field), f"containers: {text}"
    for number, step in enumerate(scenario.timeline):
        if isinstance(step.what, FaultStep):
            for name in matching(step.what.host, hosts):
                in_memory = is_in_memory(hosts[name])
                try:
                    forms.check(step.what.fault, hosts[name], in_memory=in_memory)
                except forms.Refused as refusal:
                    yield ("timeline", number, step.kind), f"containers: {refusal}"
                    break
        elif isinstance(step.what, StopStep) and any(
            is_in_memory(hosts[one]) for one in matching(step.what.host, hosts)
        ):
            yield ("timeline", number, step.kind), "containers: a disk with `inodes` is in memory, and lost at a stop"


def _of_host(scenario: Scenario, names: list[str], spec: Host) -> Iterator[tuple[str, str]]:
    if is_in_memory(spec):
        yield from _of_disk_in_memory(spec)
    elif spec.size < SMALLEST:
        yield (
            "size",
            f"their disks are XFS, which begins at {size_text(SMALLEST)}, and this is {size_text(spec.size)}",
        )
    for name in names:
        paths = paths_on(scenario, name)
        if disk_of(spec, paths) == "/":
            yield (
                "mount",
                f"the disk of a container is mounted in one place, which {' and '.join(paths)} have not in common",
            )


def _of_disk_in_memory(spec: Host) -> Iterator[tuple[str, str]]:
    if spec.used.of(spec.size) > MOST_USED:
        yield "used", f"a disk with `inodes` is in memory, where at most {size_text(MOST_USED)} may be in use"
    if spec.reserved.of(spec.size):
        yield "reserved", "a disk with `inodes` is in memory, which keeps nothing for root"
