"""What cannot be played on containers: told by name and with the reason, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.scenario.compose import forms
from simulator.scenario.compose.disk import SMALLEST
from simulator.scenario.compose.world import disk_of, paths_on
from simulator.scenario.model import Host, Scenario
from simulator.scenario.parts import matching, spread
from simulator.scenario.phrases import size_text
from simulator.scenario.reader import Place
from simulator.scenario.steps import FaultStep

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
                try:
                    forms.check(step.what.fault, hosts[name])
                except forms.Refused as refusal:
                    yield ("timeline", number, step.kind), f"containers: {refusal}"
                    break


def _of_host(scenario: Scenario, names: list[str], spec: Host) -> Iterator[tuple[str, str]]:
    if "inodes" in spec.model_fields_set:
        yield "inodes", "their disks are XFS, which makes inodes as they are needed, and has no number of them"
    if spec.size < SMALLEST:
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
