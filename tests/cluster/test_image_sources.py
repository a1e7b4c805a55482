"""All nodes of a store have the same sources of images, whoever has changed them, and whoever has joined since."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cluster_clients import clients
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.bootstrap.records import ImageSourceRecord
from imagestore_sim.testing.client import Client
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import NAMES, Watched, three_nodes

SOURCES = "lab/v1/image-sources"


async def _change(client: Client, method: str, *urls: str) -> None:
    body = {"sources": [{"url": url, "size": "1G"} for url in urls]}
    answer = await client.request(method, f"{client.url}/{SOURCES}", body)
    assert answer.status == 200, answer
    assert set(urls) <= {one["url"] for one in answer.body["sources"]}


async def _sources(world: Watched, nodes: Sequence[str]) -> list[list[str]]:
    found = []
    for name in nodes:
        async with Client(world.cluster.nodes[name].url, clock=world.clock) as client:
            answer = await client.request("GET", f"{client.url}/{SOURCES}")
            found.append([one["url"] for one in answer.body["sources"]])
    return found


async def _joined() -> None:
    async with three_nodes("quick", nodes=("a", "b")) as world, clients(world, ("a", "b")) as nodes:
        await _change(nodes["a"], "PUT", "http://x/*")
        await world.cluster.start("c", Bootstrap(imageSources=(ImageSourceRecord(url="http://of-the-file/*"),)))
        assert await _sources(world, ("c", "a")) == [["http://x/*"]] * 2
        async with Client(world.cluster.nodes["c"].url, clock=world.clock) as joined:
            await _change(joined, "POST", "http://y/*")
        assert await _sources(world, NAMES) == [["http://y/*", "http://x/*"]] * 3
        await world.cluster.kill("c")
        await _change(nodes["b"], "PUT", "http://z/*")
        await world.cluster.start("c")
        assert await _sources(world, NAMES) == [["http://z/*"]] * 3


def test_a_node_that_joins_has_the_sources_of_the_others_from_the_start() -> None:
    run_virtually(_joined())


async def _at_once() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        await asyncio.gather(
            *(_change(client, "POST", f"http://{name}-{n}/*") for n in range(3) for name, client in nodes.items())
        )
        first, *others = await _sources(world, NAMES)
        assert sorted(first) == sorted(f"http://{name}-{n}/*" for n in range(3) for name in NAMES)
        assert others == [first, first]


@pytest.mark.thorough
def test_no_change_is_lost_of_those_that_nodes_make_at_once() -> None:
    run_virtually(_at_once())


async def _first_again() -> None:
    async with three_nodes("quick", nodes=("a", "b")) as world, clients(world, ("a", "b")) as nodes:
        await _change(nodes["a"], "PUT", "http://x/*")
        await world.cluster.stop("a")
        await world.cluster.stop("b")
        await world.cluster.start("a", Bootstrap(imageSources=(ImageSourceRecord(url="http://of-the-file/*"),)))
        assert await _sources(world, ("a",)) == [["http://of-the-file/*"]]


@pytest.mark.thorough
def test_sources_last_as_long_as_a_node_runs() -> None:
    run_virtually(_first_again())
