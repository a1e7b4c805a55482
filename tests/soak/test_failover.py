"""Nodes and database servers in containers fail, one after the other, while a client in Go works through the proxy."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from commands import execute
from compose.cluster_lab import CLIENT, CLIENT_HOST, MEASURED, NODES, SERVERS, ClusterLab
from compose.compose_lab import BUILD_SECONDS, ROOT, STORAGES, what_is_missing
from compose.failures import failures_of, longest_overlap
from imagestore_sim.testing import Client
from processes import child

pytestmark = [pytest.mark.soak, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1500)]

STORAGES_OF_CLIENT = 6
"""Each is pinged every second, with a login of its own."""
FINISH_SECONDS = 180.0
Json = dict[str, Any]


@asynccontextmanager
async def _client_at_work(program: Path, lab: ClusterLab) -> AsyncIterator[Callable[[], Awaitable[Json]]]:
    """Run the client in Go; yield what ends it, and returns what it has counted."""
    url = urlsplit(lab.url)
    pipe = asyncio.subprocess.PIPE
    options: Json = {"stdin": pipe, "stdout": pipe, "stderr": asyncio.subprocess.STDOUT, "limit": 2**20}
    async with child(str(program), str(url.hostname), str(url.port), **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        aliases = [alias for alias, host in lab.aliases.items() if host == CLIENT_HOST][:STORAGES_OF_CLIENT]
        lines = [f"{alias} {CLIENT} {CLIENT} /zs/{CLIENT_HOST[-1]}" for alias in aliases]
        process.stdin.write("\n".join([*lines, "begin", ""]).encode())
        assert await asyncio.wait_for(process.stdout.readline(), FINISH_SECONDS) == b"ready\n"
        reading = asyncio.create_task(process.stdout.read())

        async def finish() -> Json:
            assert process.stdin is not None
            process.stdin.close()
            printed = (await asyncio.wait_for(reading, FINISH_SECONDS)).decode()
            print(printed)
            counted: Json = json.loads(printed.splitlines()[-1])
            return counted

        try:
            yield finish
        finally:
            reading.cancel()


@pytest_asyncio.fixture(loop_scope="session")
async def failover_client(tmp_path: Path) -> Path:
    """Build the client in Go that works while nodes fail, and return its path. Skip without Go or Docker."""
    if (missing := what_is_missing()) is not None:
        pytest.skip(missing)
    if shutil.which("go") is None:
        pytest.skip("needs Go (1.22 or newer)")
    built = tmp_path / "failover"
    folder = ROOT / "tests" / "clients" / "go"
    status, output = await execute("go", "build", "-o", str(built), "./failover", cwd=folder, seconds=BUILD_SECONDS)
    assert status == 0, output
    return built


async def test_nothing_acknowledged_is_lost_and_no_two_nodes_ping_one_storage(
    failover_client: Path, tmp_path: Path
) -> None:
    async with (
        ClusterLab(tmp_path) as lab,
        _client_at_work(failover_client, lab) as finish,
        failures_of(lab) as failures,
    ):
        node, go_through = failures.owner, failures.go_through
        others = [one for one in NODES if one != node]
        await go_through("kill -9 of a node", lab.without(node, "kill", "start"), moves=True)
        await go_through("clean stop of a node", lab.without(node, "stop", "start"), moves=True)
        await go_through("pause of a node", lab.without(node, "pause", "unpause"), moves=True)
        await go_through("a node cut off from the database", lab.cut_off(node, "database"), moves=True)
        await go_through("a node cut off from the others", lab.cut_off(node, *others), moves=False)
        await go_through("kill -9 of a database server", lab.without(SERVERS[0], "kill", "start"), moves=False)
        counted = await finish()
        assert counted["Broken"] is None
        assert counted["Added"] > STORAGES_OF_CLIENT
        for address in await lab.addresses(NODES):
            async with Client(f"http://{address}:8080") as client:
                await client.log_in()
                found = {one["hostname"]: one["uuid"] for one in await client.query(STORAGES, "hostname~=alias-%")}
                assert found == counted["Expected"]
        for host in MEASURED:
            assert longest_overlap(await failures.pings(host)) == 0.0
    assert await lab.leftovers() == ""
