"""Nodes that are processes of their own over one MariaDB: they find each other, take over, and refuse a past owner."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import literal, select, text

from cluster_clients import RECONNECT, STORAGES
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.cluster import QUICK
from imagestore_sim.database import Database, StoreUnavailable, Vault
from imagestore_sim.database.mariadb.raw_reader import MOST
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.testing import CallFailed, Client
from mariadb_server import VAULT_KEY, MariaDbServer
from processes import Running, running

pytestmark = pytest.mark.mariadb
HOSTS = 30  # with nine, one of three nodes has none in one run of thirteen
LEASE = QUICK.lease or 0.0
WITHIN = 180.0
"""Real seconds, on a busy machine. How soon a takeover is, tests in virtual time say."""
OWNED = re.compile(r"^imagestore_sim_cluster_owned_storages (\d+)", re.MULTILINE)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Path]:
    """Run simulated hosts in a process; return the folder with `fleet.yaml` and `fleet.hosts`."""
    to = ("--inventory", "fleet.yaml", "--hosts-file", "fleet.hosts")
    async with running("host", "--count", str(HOSTS), "--port", "0", *to, cwd=tmp_path):
        yield tmp_path


@asynccontextmanager
async def _nodes(servers: Sequence[MariaDbServer], fleet: Path, mode: str = "quick") -> AsyncIterator[list[Running]]:
    """Start a node on each server at the same time, all with one bootstrap file, over an empty database."""
    servers[0].new_database("cluster")
    options = (
        "serve", "--port", "0", "--cluster-mode", mode, "--ping-interval", "1", "--bootstrap", "fleet.yaml",
        "--hosts-file", "fleet.hosts", "--log-level", "error",
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        start = [
            running(*options, "--database", one.url("cluster"), cwd=fleet, IMAGESTORE_SIM_VAULT_KEY=VAULT_KEY)
            for one in servers
        ]
        yield await asyncio.gather(*(stack.enter_async_context(one) for one in start))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await condition():
            await asyncio.sleep(0.2)


async def _owned(nodes: list[Running]) -> list[int]:
    """Return how many storages each node pings."""
    async with aiohttp.ClientSession() as http:
        pages = [await (await http.get(f"{node.url}/metrics")).text() for node in nodes]
    return [int(found[1]) if (found := OWNED.search(page)) else 0 for page in pages]


async def _shown(node: Running) -> dict[str, Any]:
    """Return what a node shows of all nodes."""
    async with aiohttp.ClientSession() as http, http.get(f"{node.url}/lab/v1/nodes") as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def _shown_alike(nodes: list[Running]) -> bool:
    """Return whether each node shows the same: all nodes, and how many storages each of them pings.

    On a busy machine a node may be without its lease for a moment, and pings none then.
    """
    async with Client(nodes[0].url) as client:
        await client.log_in()
        members = {one["uuid"] for one in await client.query("/management-nodes")}
    shown = {one["answeredBy"]: one for one in [await _shown(node) for node in nodes]}
    owned = dict(zip(shown, await _owned(nodes), strict=True))
    return shown.keys() == members and all(
        {node["uuid"]: node["storages"] for node in one["nodes"]} == owned
        and (one["unowned"], {node["state"] for node in one["nodes"]}) == (0, {"RUNNING"})
        for one in shown.values()
    )


def _share(nodes: list[Running]) -> Callable[[], Awaitable[bool]]:
    async def shared() -> bool:
        owned = await _owned(nodes)
        return sum(owned) == HOSTS and all(owned)

    return shared


async def _all_connected(node: Running) -> bool:
    async with Client(node.url) as client:
        await client.log_in()
        found = await client.query("/backup-storage", "status=Connected")
        return len(found) == HOSTS


async def test_in_zstacks_mode_a_node_whose_row_is_gone_ends_with_one_line_and_status_1(
    mariadb_server: MariaDbServer, tmp_path: Path
) -> None:
    url = mariadb_server.new_database("excluded")
    options = ("--port", "0", "--database", url, "--log-level", "error", "--log-format", "json")
    async with running("serve", *options, cwd=tmp_path, IMAGESTORE_SIM_VAULT_KEY=VAULT_KEY) as node:
        mariadb_server.sql("DELETE FROM ManagementNodeVO", "excluded")
        async with asyncio.timeout(WITHIN):
            _, errors = await node.process.communicate()
        assert node.process.returncode == 1
        said = errors.decode().splitlines()[-1]
        start, _, why = said.partition("stops: ")
        assert re.fullmatch(r"imagestore-sim: management node\[uuid:\w{32}\] ", start)
        assert re.fullmatch("another node took it for dead [0-9] s after its heartbeat", why)


async def test_nodes_of_one_mariadb_share_the_storages_and_take_over(
    mariadb_server: MariaDbServer, fleet: Path
) -> None:
    async with _nodes([mariadb_server] * 3, fleet) as nodes:
        await _until(_share(nodes))
        first, second, third = nodes
        await _until(lambda: _all_connected(second))
        await _until(lambda: _shown_alike(nodes))
        shown = {one["answeredBy"]: one for one in [await _shown(node) for node in nodes]}
        for one in shown.values():
            assert one["time"] == pytest.approx(time.time(), abs=60)
            assert all(0 < one["time"] - node["joinDate"] < WITHIN for node in one["nodes"])
        third.process.send_signal(signal.SIGSTOP)  # longer than its lease
        await _until(_share([first, second]))
        left = next(one for one in (await _shown(second))["changes"] if one["uuid"] == list(shown)[2])
        assert left["lifeCycle"] == "NodeLeft"
        assert 2 <= left["silentFor"] < WITHIN
        third.process.send_signal(signal.SIGCONT)
        await _until(_share(nodes))
        assert await second.stop(signal.SIGKILL) != 0
        await _until(_share([first, third]))
        assert await third.stop() == 0
        await _until(_share([first]))
        await _until(lambda: _all_connected(first))


async def _call_everywhere(nodes: Sequence[Running]) -> None:
    """Write at each node, and read at the others at once; have each reconnect every storage, whichever owns it."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(node.url)) for node in nodes]
        session = await clients[0].log_in()
        for client in clients:
            client.session_uuid = session
        zone = (await clients[0].call("POST", "/zones", {"params": {"name": "0"}}))["inventory"]["uuid"]
        for number, writer in enumerate(clients * 5):
            await writer.call("PUT", f"/zones/{zone}/actions", {"updateZone": {"name": f"{number}"}})
            read = [await client.query("/zones", f"uuid={zone}") for client in clients]
            assert [one[0]["name"] for one in read] == [f"{number}"] * len(clients)
        for storage in await clients[1].query(STORAGES):
            for client in clients:
                done = await client.call("PUT", f"{STORAGES}/{storage['uuid']}/actions", RECONNECT)
                assert done["inventory"]["status"] == "Connected"
        await clients[2].log_out()
        for client in clients[:2]:
            with pytest.raises(CallFailed, match="Session expired"):
                await client.query("/zones")


async def test_any_node_of_a_mariadb_answers_any_call(mariadb_server: MariaDbServer, fleet: Path) -> None:
    # On a busy machine a node of mode quick is taken for dead now and then, and calls for its storages end.
    async with _nodes([mariadb_server] * 3, fleet, "faithful") as nodes:
        await _until(lambda: _all_connected(nodes[2]))
        await _until(lambda: _shown_alike(nodes))
        await _call_everywhere(nodes)


async def test_a_node_whose_reads_and_writes_all_wait_keeps_its_lease(mariadb_server: MariaDbServer) -> None:
    url = mariadb_server.new_database("busy")
    settings = Settings(port=0, database=url, vault_key=VAULT_KEY, cluster_mode="quick", log_level="error")
    node = ManagementNode(settings)
    await node.start(Bootstrap())
    try:
        database, membership = node.parts.store.database, node.parts.cluster.membership
        assert membership is not None
        async with asyncio.timeout(20), database.transaction():  # which nothing else of this node can be beside
            reads = [asyncio.create_task(database.fetch("SELECT SLEEP(19)", ())) for _ in range(2 * MOST)]
            began = time.monotonic()
            while not (time.monotonic() > began + 2 * LEASE and membership.holds):
                await asyncio.sleep(0.05)
        await cancel_and_wait(*reads)
    finally:
        await node.stop()


async def test_the_heart_beats_on_after_its_connection_was_lost(mariadb_server: MariaDbServer) -> None:
    url = mariadb_server.new_database("lost")
    database = await Database.open(url, vault=lambda: Vault(VAULT_KEY.encode(), "the tests"))
    try:
        for _ in range(2):
            async with database.beat() as (connection, now):
                assert await connection.scalar(select(literal(1))) == 1
                assert now == pytest.approx(time.time(), abs=60)
                number = await connection.scalar(text("SELECT CONNECTION_ID()"))
            mariadb_server.sql(f"KILL {number}")
        async with database.beat() as (connection, _):
            number = await connection.scalar(text("SELECT CONNECTION_ID()"))
            mariadb_server.sql(f"KILL {number}")
            with pytest.raises(StoreUnavailable):
                await connection.scalar(select(literal(1)))
        async with database.beat() as (connection, _):
            assert await connection.scalar(select(literal(1))) == 1
    finally:
        await database.close()
