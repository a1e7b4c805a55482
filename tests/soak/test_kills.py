"""`kill -9` at any moment, again and again: what was acknowledged is there, and nothing is there by halves.

One run is 25 kills of one node over one database. SOAK_RUNS says how many runs there are.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import yaml
from forked_nodes import Forks, forks
from mixed_changes import BROKEN, Changes, State, Tally, state_of

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.testing import Client

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]
RUNS = int(os.environ.get("SOAK_RUNS", "4"))
KILLS = 25
ARGUMENTS = ("serve", "--port", "0", "--database", "node.db", "--ping-interval", "5", "--log-level", "error",
             "--lab-api")  # fmt: skip
SNAPSHOT = "/lab/v1/snapshot"


def _generation(number: int) -> str:
    """Return a file of records that all hold the same number."""
    name = f"generation-{number}"
    zones = [{"name": name, "uuid": f"{number:032x}", "systemTags": ["host::reservedCpu::1"], "userTags": [name]}]
    hooks = [{"name": name, "url": "http://127.0.0.1:9/", "type": "CanonicalEvent", "opaque": "/none"}]
    config = {"backupStorage": {"ping.parallelismDegree": str(50 + number)}}
    return yaml.safe_dump({"zones": zones, "webHooks": hooks, "globalConfig": config})


@pytest.mark.parametrize("run", range(RUNS))
async def test_kills_amid_changes_of_every_kind(run: int, tmp_path: Path) -> None:
    chance, tally = random.Random(run), Tally()
    async with SimulatedHost("everywhere") as host, forks(tmp_path) as nodes:
        await host.stop()
        await host.start("0.0.0.0")  # every address of the loopback network is a host of its own
        changes = Changes(run, host.address[1], tally)
        session = None
        for _ in range(KILLS):
            session = await _change_and_kill(nodes, changes, chance, session)
        await _look(nodes, changes, session)
    _judge(tally, run)


async def _change_and_kill(nodes: Forks, changes: Changes, chance: random.Random, session: str | None) -> str:
    began = time.monotonic()
    node = await nodes.start(*ARGUMENTS)
    async with Client(node.url) as client:
        client.session_uuid = session or await client.log_in()
        changes.tally.recovery.append(time.monotonic() - began)
        await changes.look(client)
        making = asyncio.create_task(changes.make(client, 6))
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        node.kill()
        await making
    await nodes.wait(node)
    changes.tally.kills += 1
    return str(client.session_uuid)


async def _look(nodes: Forks, changes: Changes, session: str | None) -> None:
    node = await nodes.start(*ARGUMENTS)
    async with Client(node.url) as client:
        client.session_uuid = session or await client.log_in()
        await changes.look(client)
    node.kill()
    await nodes.wait(node)


@pytest.mark.parametrize("run", range(RUNS))
async def test_kills_amid_snapshots_and_resets(run: int, tmp_path: Path) -> None:
    chance, tally = random.Random(1000 + run), Tally()
    there = {0}  # nothing: the node begins without records, and goes back to that
    async with forks(tmp_path) as nodes:
        number = 0
        for _ in range(KILLS):
            node = await nodes.start(*ARGUMENTS)
            async with Client(node.url) as client:
                await client.log_in()
                _check_generation(await state_of(client), there, tally)
                replacing = asyncio.create_task(_replace(client, number, there, tally))
                await asyncio.sleep(chance.uniform(0.02, 0.5))
                node.kill()
                number = await replacing
            await nodes.wait(node)
            tally.kills += 1
        node = await nodes.start(*ARGUMENTS)
        async with Client(node.url) as client:
            await client.log_in()
            _check_generation(await state_of(client), there, tally)
    _judge(tally, run)


async def _replace(client: Client, number: int, there: set[int], tally: Tally) -> int:
    """Replace all records until the node is gone; `there` is what may be found then. Answers the last number."""
    with suppress(*BROKEN):
        while True:
            number += 1
            generation = 0 if number % 3 == 0 else number
            there.add(generation)
            if await _put(client.url, generation) == 200:
                tally.acknowledged += 1
                there.clear()
                there.add(generation)
            else:
                tally.refused += 1
    return number


async def _put(url: str, generation: int) -> int:
    """Replace all records by those of a generation, or by those of the start. Answers the status."""
    method, path = ("PUT", SNAPSHOT) if generation else ("POST", "/lab/v1/reset")
    headers, content = {"Content-Type": "application/yaml"}, _generation(generation) if generation else None
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{url}{path}", data=content, headers=headers) as answer,
    ):
        return answer.status


def _check_generation(state: State, there: set[int], tally: Tally) -> None:
    """All that the node has is of one generation: the last one acknowledged, or the one that was being written."""
    zones = {int(one["name"].rpartition("-")[2]) for one in state.zones.values()}
    hooks = {int(one["name"].rpartition("-")[2]) for one in state.hooks.values()}
    tags = {int(tag.rpartition("-")[2]) for found in state.tags.values() for tag in found if "generation" in tag}
    zones, hooks, tags = zones or {0}, hooks or {0}, tags or {0}
    if not zones == hooks == tags == {state.parallelism - 50} or state.orphans():
        tally.halves.append(f"zones {zones}, hooks {hooks}, tags {tags}, configuration {state.parallelism - 50}")
    elif not zones <= there:
        tally.lost.append(f"generation {zones}, and only {there} may be there")
    there.clear()
    there.update(zones)


def _judge(tally: Tally, run: int) -> None:
    print(f"\nrun {run}: {tally}")
    assert tally.kills == KILLS
    assert tally.acknowledged > KILLS
    assert tally.lost == []
    assert tally.halves == []
