"""What cannot be played on a lab that is running; most of it is refused before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imagestore_sim.scenario.format.api_steps import REFERENCE, CallStep
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import Problems
from imagestore_sim.scenario.play.world import WorldProblem

IMAGE_STORES = "/backup-storage/image-store"
IMAGES = "/images"
REMOVABLE = (IMAGE_STORES, "/zones", IMAGES)
"""Where a POST of a scenario makes something that can be deleted when the scenario ends."""

NO_FILES = "a lab that is running (--node) does not show the files of its hosts"


def broken_rules(scenario: Scenario) -> Problems:
    """Yield what a scenario does to its node that cannot be done to one that is running: the place, and why."""
    for name in sorted(scenario.node.model_fields_set):
        yield ("node", name), "says how a node is started, and this one is running already"
    if scenario.nodes > 1:
        yield ("nodes",), "a lab that is running (--node) is one node; several are played in this process"
    if scenario.order is not None:
        yield ("order",), "a node that is running (--node) is in real time, which has an order of its own"
    if scenario.oracle:
        yield ("oracle",), "a lab that is running (--node) does not show all that the oracle looks at"
    if scenario.accounts:
        yield ("accounts",), "a node that is running (--node) keeps its accounts"
    for number, step in enumerate(scenario.timeline):
        if isinstance(step.content, Condition) and step.content.onDisk is not None:
            yield ("timeline", number, step.kind, "onDisk"), NO_FILES
        if step.restart_node is not None:
            yield ("timeline", number, "restart_node"), "a node that is running (--node) is not restarted"
        if step.program is not None:
            yield ("timeline", number, "program"), "a program runs against a node of its own, not against --node"
        if step.kill_node is not None:
            yield ("timeline", number, "kill_node"), "a node that is running (--node) is not killed"
        content = step.content
        if isinstance(content, CallStep) and content.method == "POST" and not content.path.startswith(REMOVABLE):
            text = f"what this makes on a running node (--node) could not be removed again; {', '.join(REMOVABLE)} can"
            yield ("timeline", number, "call"), text


def check_hosts(scenario: Scenario, hosts: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise WorldProblem for a host of the lab that cannot be made what the scenario says, or not be restored."""
    for name, spec in scenario.all_hosts().items():
        there = hosts.get(name)
        if there is None:
            continue
        faults = [str(one["id"]) for one in there["faults"]]
        obstacles = {
            f"has faults on it: {', '.join(faults)}": bool(faults),
            "is stopped": not there["listening"],
            f"has port {there['port']}": there["port"] != spec.port,
            f"lets in {there['username']} only": there["username"] not in (None, spec.username),
            f"has {there['inodes']} inodes": there["inodes"] != spec.inodes,
            "has no disk of its own for a mount": spec.mount not in (None, "/"),
            "cannot have its SFTP disabled": not (spec.sftp and spec.statvfs),
        }
        for text in (text for text, is_so in obstacles.items() if is_so):
            raise WorldProblem(f"host {name}: it is there already, and {text}")


def check_calls(scenario: Scenario, uuids: Mapping[str, str], present: Collection[str]) -> None:
    """Raise WorldProblem for a call that would change a storage which was on the node before.

    `uuids` are those of the scenario's storages by their names, `present` those that the node had.
    """
    for number, step in enumerate(scenario.timeline, start=1):
        content = step.content
        if not isinstance(content, CallStep) or content.method == "GET" or "reconnect" in str(content.body):
            continue
        for name in REFERENCE.findall(f"{content.path} {content.body}"):
            if uuids.get(name) in present:
                raise WorldProblem(f"step {number}: {step}: {name} was on the node before, and could not be restored")
