"""What a ping asks of a host: `ping.mode` (domain 3.5), in virtual time."""

from __future__ import annotations

import pytest

from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, PROBE_FAILED
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.faults import read_fault
from imagestore_sim.lab import URL, Lab
from imagestore_sim.node.from_settings import with_ping_options
from imagestore_sim.probe import Capacity, ProbeFailure, Reached
from lifecycle_events import disconnections, drain, moves, storage
from rows import one_of_each

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=10, clock="virtual"),
]
INTERVAL = 10


@pytest.fixture
def imagestore_lab(reset_lab: Lab) -> Lab:
    """Return the lab that these tests share, as it is at its start."""
    return reset_lab


async def set_mode(lab: Lab, mode: str) -> None:
    await lab.node.parts.store.configuration.change("backupStorage", "ping.mode", mode)


async def after_pings(lab: Lab, pings: int = 2) -> tuple[Status, object]:
    """Return the status after some pings, and the reason of a failure or how the last ping was answered."""
    await lab.clock.sleep((pings + 1) * INTERVAL)
    now = await storage(lab)
    last = lab.node.storages.status.last_probes[now.uuid].outcome
    match last:
        case ProbeFailure():
            return now.status, last.reason.value
        case Capacity():
            return now.status, "capacity"
    return now.status, last.mode.value


FAULTS_AT_A_PING: list[tuple[str, str, dict[str, object], str | None]] = [
    ("capacity", "path_gone", {"path": URL}, "no_such_path"),
    ("capacity", "auth_failure", {}, None),
    ("capacity", "half_open", {}, "timeout"),
    ("ssh", "path_gone", {"path": URL}, None),
    ("ssh", "no_sftp", {}, None),
    ("ssh", "auth_failure", {}, "auth_failed"),
    ("ssh", "half_open", {}, "timeout"),
    ("ssh", "refuse", {}, "refused"),
    ("tcp", "path_gone", {"path": URL}, None),
    ("tcp", "auth_failure", {}, None),
    ("tcp", "half_open", {}, None),
    ("tcp", "not_ssh", {}, None),
    ("tcp", "refuse", {}, "refused"),
    ("tcp", "unreachable", {}, "unreachable"),
    ("tcp", "blackhole", {}, "timeout"),
    ("capacity", "agent_down", {}, None),
    ("capacity", "registry_lost", {"path": URL}, None),
    ("ssh", "certificate_expired", {}, None),
    ("agent", "agent_down", {}, "agent_down"),
    ("agent", "certificate_expired", {}, "certificate_expired"),
    ("agent", "registry_lost", {"path": URL}, "registry_lost"),
    ("agent", "refuse", {}, None),
    ("agent", "auth_failure", {}, None),
    ("agent", "path_gone", {"path": URL}, None),
    ("agent", "half_open", {}, "timeout"),
    ("agent", "blackhole", {}, "timeout"),
    ("agent", "unreachable", {}, "unreachable"),
    ("agent", "latency", {"delay": "100ms"}, None),
]
"""The mode of pings, a fault with its parameters, and the reason with which a ping fails, None if it does not."""


def mode_and_success(row: tuple[str, str, dict[str, object], str | None]) -> tuple[str, bool]:
    return row[0], row[-1] is None


@pytest.mark.parametrize(
    ("mode", "kind", "parameters", "expected"),
    one_of_each(FAULTS_AT_A_PING, mode_and_success, lambda row: f"{row[0]}-{row[1]}"),
)
async def test_a_ping_meets_what_its_mode_looks_at(
    imagestore_lab: Lab, mode: str, kind: str, parameters: dict[str, object], expected: str | None
) -> None:
    await set_mode(imagestore_lab, mode)
    assert await after_pings(imagestore_lab) == (Status.CONNECTED, mode)
    await imagestore_lab.network["imagestore-1"].apply(read_fault(kind, parameters))
    status, found = await after_pings(imagestore_lab, 3)
    if expected is None:
        assert (status, found) == (Status.CONNECTED, mode)
    else:
        assert (status is not Status.CONNECTED, found) == (True, expected)


@pytest.mark.parametrize(("mode", "logins", "capacities"), [("capacity", 0, 1), ("ssh", 5, 0), ("tcp", 0, 0)])
async def test_only_the_mode_capacity_measures_and_only_ssh_logs_in(
    imagestore_lab: Lab, mode: str, logins: int, capacities: int
) -> None:
    host = imagestore_lab.network["imagestore-1"]
    await set_mode(imagestore_lab, mode)
    before = host.logins
    with imagestore_lab.node.foundation.events.subscribe() as events:
        host.disk.storage_disk().used += 2**30
        await imagestore_lab.clock.sleep(5 * INTERVAL + 9)
        assert host.logins - before in (logins, logins and logins - 1)
        assert len([one for one in drain(events) if one.path == CAPACITY_CHANGED]) == capacities


async def test_a_connect_measures_whatever_the_mode(imagestore_lab: Lab) -> None:
    await set_mode(imagestore_lab, "tcp")
    before = await storage(imagestore_lab)
    imagestore_lab.network["imagestore-1"].disk.storage_disk().used += 2**30
    await imagestore_lab.node.storages.tracker.reconnect(before.uuid)
    now = await storage(imagestore_lab)
    assert before.available - now.available == 2**30
    assert not isinstance(imagestore_lab.node.storages.status.last_probes[now.uuid].outcome, Reached)


async def test_an_agent_that_was_restarted_is_known_again_only_after_a_connect(imagestore_lab: Lab) -> None:
    await set_mode(imagestore_lab, "agent")
    uuid = (await storage(imagestore_lab)).uuid
    await imagestore_lab.node.storages.tracker.reconnect(uuid)
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.network["imagestore-1"].apply(read_fault("agent_restarted", {}))
        await imagestore_lab.clock.sleep(5 * INTERVAL)
        seen = drain(events)
    assert {one.content["reason"] for one in seen if one.path == PROBE_FAILED} == {"agent_restarted"}
    assert moves(seen)[0] == (Status.CONNECTED, Status.DISCONNECTED)
    assert moves(seen)[-1][1] == Status.CONNECTED
    assert disconnections(seen) == [uuid]


async def test_a_connect_asks_the_agent_too(imagestore_lab: Lab) -> None:
    await set_mode(imagestore_lab, "agent")
    uuid = (await storage(imagestore_lab)).uuid
    down = await imagestore_lab.network["imagestore-1"].apply(read_fault("agent_down", {}))
    with pytest.raises(ConnectFailed, match="because agent_down: imagestore-1:8000: the agent's port refuses"):
        await imagestore_lab.node.storages.tracker.reconnect(uuid)
    await down.heal()
    await imagestore_lab.node.storages.tracker.reconnect(uuid)


async def test_no_port_of_an_agent_is_open_before_it_is_asked_for(imagestore_lab: Lab) -> None:
    await imagestore_lab.clock.sleep(3 * INTERVAL)
    agent = imagestore_lab.network["imagestore-1"].agent
    opened = [agent.is_open]
    await set_mode(imagestore_lab, "agent")
    await imagestore_lab.clock.sleep(3 * INTERVAL)
    assert [*opened, agent.is_open] == [False, True]
    assert not agent.links


@pytest.mark.imagestore_lab(hosts=1, ping_interval=INTERVAL, ping_mode="agent", clock="virtual")
async def test_the_mode_that_a_node_is_started_with_holds_for_records_without_one(imagestore_lab: Lab) -> None:
    assert await after_pings(imagestore_lab) == (Status.CONNECTED, "agent")
    settings = imagestore_lab.node.foundation.settings
    given = with_ping_options(Bootstrap(), settings).globalConfig["backupStorage"]
    assert given == {"ping.interval": str(INTERVAL), "ping.mode": "agent"}
    own = Bootstrap(globalConfig={"backupStorage": {"ping.mode": "tcp"}})
    assert with_ping_options(own, settings).globalConfig["backupStorage"]["ping.mode"] == "tcp"
