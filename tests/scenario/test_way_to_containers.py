"""Whether containers can be reached is asked of the engine, however new it is, and never concluded from a gap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

aiodocker = pytest.importorskip("aiodocker", reason="needs the extra compose")

from imagestore_sim.containers import engine  # noqa: E402 - only where aiodocker is

OURS, ELSEWHERE = "127.0.0.0/8", "198.51.100.0/24"  # the second is nobody's: RFC 5737
FRESH = {"Name": "bridge", "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "203.0.113.0/24"}]}}
"""An engine's own network, at addresses that no machine has: those of a real one may be this machine's."""


def network(*pools: dict[str, str]) -> dict[str, Any]:
    """A bridge as the engine describes it."""
    return {"Name": "one", "IPAM": {"Driver": "default", "Config": list(pools) or None}}


@asynccontextmanager
async def docker(
    folder: Path, there: list[dict[str, Any]], made: dict[str, Any]
) -> AsyncIterator[tuple[Any, set[str]]]:
    """A client of an engine with networks, where a new one is as `made`; and the ids of those that are left."""
    left: set[str] = set()

    async def create(request: web.Request) -> web.Response:
        left.add("new")
        return web.json_response({"Id": "new", "Warning": ""}, status=201)

    async def delete(request: web.Request) -> web.Response:
        left.discard(request.match_info["id"])
        return web.Response(status=204)

    async def version(request: web.Request) -> web.Response:
        return web.json_response({"Version": "28.0", "ApiVersion": "1.47"})

    async def shown(request: web.Request) -> web.Response:
        return web.json_response({"Id": "new", **made})

    async def listed(request: web.Request) -> web.Response:
        return web.json_response(there)

    application = web.Application()
    for prefix in ("", "/{version:v[0-9.]+}"):
        application.router.add_get(f"{prefix}/version", version)
        application.router.add_get(f"{prefix}/networks", listed)
        application.router.add_post(f"{prefix}/networks/create", create)
        application.router.add_get(f"{prefix}/networks/{{id}}", shown)
        application.router.add_delete(f"{prefix}/networks/{{id}}", delete)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "engine.sock")).start()
    client = aiodocker.Docker(url=f"unix://{folder}/engine.sock")
    try:
        yield client, left
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("there", "made", "reached"),
    [
        pytest.param([FRESH], network({"Subnet": OURS, "Gateway": "127.0.0.1"}), True, id="just installed"),
        pytest.param([FRESH], network({"Subnet": OURS}), True, id="no gateway is ever described"),
        pytest.param([], network({"Subnet": OURS, "Gateway": "127.0.0.1/8"}), True, id="no network at all"),
        pytest.param([network()], network({"Subnet": OURS}), True, id="a network without addresses"),
        pytest.param([{"Name": "odd", "IPAM": None}], network({"Subnet": OURS}), True, id="no IPAM"),
        pytest.param([network({"Subnet": OURS, "Gateway": "127.0.0.1"})], network(), True, id="one in use"),
        pytest.param(
            [network({"Subnet": "fd00::/64", "Gateway": "fd00::1"}, {"Subnet": OURS})], network(), True, id="IPv6 first"
        ),
        pytest.param([FRESH], network({"Subnet": ELSEWHERE, "Gateway": "198.51.100.1"}), False, id="a virtual machine"),
        pytest.param([network({"Subnet": ELSEWHERE})], network({"Subnet": ELSEWHERE}), False, id="another machine"),
    ],
)
async def test_a_way_to_containers_is_found_where_there_is_one(
    tmp_path: Path, there: list[dict[str, Any]], made: dict[str, Any], reached: bool
) -> None:
    async with docker(tmp_path, there, made) as (client, left):
        if reached:
            await engine._look_for_a_way(client)
        else:
            with pytest.raises(engine.EngineProblem, match="runs in a virtual machine"):
                await engine._look_for_a_way(client)
        assert left == set(), "a network that was made to look is removed again"
