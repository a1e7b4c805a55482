"""`imagestore-sim host --count`: a fleet of hosts in a process, which a node reaches by name."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
import yaml

from cluster_clients import RECONNECT, STORAGES
from imagestore_sim.testing import Client
from processes import COMMAND, run, run_here, running
from rows import rows

pytestmark = pytest.mark.processes


async def _lines(reader: asyncio.StreamReader | None, count: int) -> list[str]:
    assert reader is not None
    return [(await asyncio.wait_for(reader.readline(), 60)).decode().rstrip("\n") for _ in range(count)]


async def test_a_node_reaches_a_fleet_by_its_names_and_a_host_is_broken_by_name(tmp_path: Path) -> None:
    options = ("--inventory", "fleet.yaml", "--hosts-file", "fleet.hosts", "--lab-port", "0", "--seed", "7")
    async with running("host", "store-09", "--count", "3", "--port", "0", *options, cwd=tmp_path) as fleet:
        agent, hosts, lab = await _lines(fleet.process.stdout, 3)
        assert agent.startswith("agent https://127.1.0.1:")
        assert hosts == "hosts store-09 to store-11 at 127.1.0.1 to 127.1.0.3"
        assert (tmp_path / "fleet.hosts").read_text().splitlines() == [
            "127.1.0.1 store-09",
            "127.1.0.2 store-10",
            "127.1.0.3 store-11",
        ]
        files = ("--bootstrap", "fleet.yaml", "--hosts-file", "fleet.hosts", "--database", "node.db")
        async with running("serve", "--port", "0", *files, cwd=tmp_path) as node, Client(node.url) as client:
            await client.log_in()
            storages = await client.query("/backup-storage/image-store")
            assert {one["hostname"]: one["status"] for one in storages} == dict.fromkeys(
                ("store-09", "store-10", "store-11"), "Connected"
            )
            assert len({one["totalCapacity"] for one in storages}) == 3
            await node.stop()
        url = lab.removeprefix("lab ")
        async with aiohttp.ClientSession(url) as session:
            async with session.post("/lab/v1/hosts/store-10/faults", json={"kind": "refuse"}) as answer:
                assert answer.status == 201
            async with session.patch("/lab/v1/hosts/store-11", json={"size": "1 TiB"}) as answer:
                assert (await answer.json())["size"] == 2**40
            async with session.post("/lab/v1/hosts", json={"name": "store-12"}) as answer:
                assert answer.status == 405
        port = fleet.url.rpartition(":")[2]
        refused = await run("probe", f"root@127.1.0.2:{port}", "--url", "/", "--password", "password")
        assert (refused.status, refused.output.partition(":")[0]) == (1, "refused")
        assert await fleet.stop() == 0


async def test_hosts_with_a_port_each_are_reached_at_one_name(tmp_path: Path) -> None:
    """As in a pod or on another machine, where hosts have no addresses of their own."""
    files = ("--inventory", "fleet.yaml", "--hosts-file", "fleet.hosts")
    async with running("host", "--count", "3", "--port-each", "--port", "0", *files, cwd=tmp_path) as fleet:
        [hosts] = await _lines(fleet.process.stdout, 1)
        records = yaml.safe_load((tmp_path / "fleet.yaml").read_text())["backupStorages"]
        ports = [one["sshPort"] for one in records]
        assert hosts == f"hosts imagestore-1 to imagestore-3 on ports {ports[0]} to {ports[2]}"
        assert len(set(ports)) == 3
        names = [one["hostname"] for one in records]
        assert (tmp_path / "fleet.hosts").read_text() == "".join(f"127.0.0.1 {name}\n" for name in names)
        (tmp_path / "fleet.hosts").write_text(f"localhost {' '.join(names)}\n")
        node_files = ("--bootstrap", "fleet.yaml", "--hosts-file", "fleet.hosts", "--database", "node.db")
        async with running("serve", "--port", "0", *node_files, cwd=tmp_path) as node, Client(node.url) as client:
            await client.log_in()
            storages = await client.query("/backup-storage/image-store")
            assert {one["hostname"]: one["status"] for one in storages} == dict.fromkeys(names, "Connected")
            assert await fleet.stop() == 0
            async with running("host", "--port-each", "--port", str(ports[0]), cwd=tmp_path):  # as a pod's next start
                [first] = [one["uuid"] for one in storages if one["sshPort"] == ports[0]]
                await client.call("PUT", f"{STORAGES}/{first}/actions", RECONNECT)
            await node.stop()


@pytest.mark.parametrize("options", [("--port-each",), ("--from", "127.5.0.1")], ids=["a port each", "an address each"])
async def test_a_node_finds_agents_on_ports_of_their_own_and_one_that_is_down(
    options: Sequence[str], tmp_path: Path
) -> None:
    files = ("--inventory", "fleet.yaml", "--hosts-file", "fleet.hosts", "--agent-port", "0", "--lab-port", "0")
    async with running("host", "--count", "3", "--port", "0", *options, *files, cwd=tmp_path) as fleet:
        *_, lab = await _lines(fleet.process.stdout, 3)
        node_files = ("--bootstrap", "fleet.yaml", "--hosts-file", "fleet.hosts", "--database", "node.db")
        node_options = ("--port", "0", "--ping-mode", "agent", "--ping-interval", "1", "--lab-api")
        url = lab.removeprefix("lab ")
        async with (
            running("serve", *node_options, *node_files, cwd=tmp_path) as node,
            Client(node.url) as client,
            aiohttp.ClientSession(url) as session,
        ):
            await client.log_in()
            assert await _statuses(client) == ["Connected"] * 3
            faults = "/lab/v1/hosts/imagestore-2/faults"
            async with session.post(faults, json={"kind": "agent_down"}) as answer:
                assert answer.status == 201
            await _until(client, ["Connected", "Disconnected", "Connected"])
            async with session.delete(faults) as answer:
                assert answer.ok
            await _until(client, ["Connected"] * 3)
            async with session.post("/lab/v1/hosts/imagestore-2/stop") as answer:
                assert answer.ok
            async with session.post("/lab/v1/hosts/imagestore-2/start") as answer:
                assert answer.ok
            await _until(client, ["Connected"] * 3)
            await node.stop()
        assert await fleet.stop() == 0


async def _statuses(client: Client) -> list[str]:
    storages = await client.query("/backup-storage/image-store", sort="+name")
    return [one["status"] for one in storages]


async def _until(client: Client, expected: list[str]) -> None:
    async with asyncio.timeout(60):
        while await _statuses(client) != expected:
            await asyncio.sleep(0.1)


async def test_an_inventory_on_standard_output_has_addresses_and_nothing_else_is_there(tmp_path: Path) -> None:
    command = (*COMMAND, "host", "--count", "2", "--from", "127.3.0.1", "--port", "0", "--inventory", "-")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    ready, *_ = await _lines(process.stderr, 3)
    process.terminate()
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    port = int(ready.rpartition(":")[2])
    records = yaml.safe_load(output)["backupStorages"]
    assert [(one["name"], one["hostname"], one["sshPort"]) for one in records] == [
        ("imagestore-1", "127.3.0.1", port),
        ("imagestore-2", "127.3.0.2", port),
    ]
    assert ready == f"ready ssh://127.3.0.1:{port}"


@rows(
    "options, expected",
    [
        (["--from", "nowhere"], "--from: expected an IPv4 address, but got 'nowhere'"),
        (["--from", "::1"], "--from: expected an IPv4 address, but got '::1'"),
        (
            ["--count", "2", "--from", "127.255.255.254"],
            "--from: from 127.255.255.254 on there are 1 loopback addresses, which is fewer than 2",
        ),
        (["--from", "192.0.2.1", "--port", "0"], "192.0.2.1 is no address of this machine"),
        (["--count", "2", "--port", "0", "--inventory", "/nowhere/fleet.yaml"], "--inventory /nowhere/fleet.yaml: No"),
        (
            ["--port-each", "--from", "127.3.0.1"],
            "--from gives each host an address of its own, and --port-each a port",
        ),
        (["--port-each", "--inventory", "-"], "--inventory with --port-each needs --hosts-file"),
        (
            ["--port-each", "--port", "65535", "--count", "2"],
            "--port-each: from port 65535 on there are 1, which is fewer than 2",
        ),
        (
            ["--port-each", "--port", "0", "--agent-port", "65535", "--count", "2"],
            "--port-each: from port 65535 on there are 1, which is fewer than 2",
        ),
    ],
)
def test_a_fleet_that_cannot_be_had_is_one_line(options: Sequence[str], expected: str) -> None:
    finished = run_here("host", *options)
    assert (finished.status, finished.errors.count("\n")) == (2, 1)
    assert finished.errors.startswith(f"imagestore-sim: {expected}")


def test_a_fleet_that_needs_more_files_than_the_hard_limit_is_one_line() -> None:
    finished = subprocess.run(
        [*COMMAND, "host", "--count", "1000"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 900)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (finished.returncode, finished.stderr.count("\n")) == (2, 1)
    assert "1000 hosts need 1064 open files" in finished.stderr
    assert "900 are the most allowed" in finished.stderr


async def test_a_port_that_is_in_use_is_one_line(tmp_path: Path) -> None:
    async with running("host", "--count", "2", "--port", "0", cwd=tmp_path) as first:
        port = first.url.rpartition(":")[2]
        second = await run("host", "--count", "2", "--from", "127.4.0.1", "--port", port)
        assert await first.stop() == 0
    assert second.status == 2
    assert second.errors.startswith(f"imagestore-sim: port {port} on 127.4.0.1 is in use; choose another with --port")
