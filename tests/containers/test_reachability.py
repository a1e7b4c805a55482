"""Containers are reachable where the bridge of a network, existing or made for the test, is on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

aiodocker = pytest.importorskip("aiodocker", reason="needs the extra compose")

from imagestore_sim.containers.errors import EngineProblem  # noqa: E402 - only where aiodocker is
from imagestore_sim.containers.reachability import check_reachability  # noqa: E402 - see above

OURS, ELSEWHERE = "127.0.0.0/8", "198.51.100.0/24"  # the second is for documentation: RFC 5737
FRESH = {"Name": "bridge", "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "203.0.113.0/24"}]}}
"""An engine's own network, at addresses that no machine has, as this machine may have those of a real one."""


def network(*pools: dict[str, str]) -> dict[str, Any]:
    """Return a bridge as the engine describes it."""
    return {"Name": "one", "IPAM": {"Driver": "default", "Config": list(pools) or None}}


@asynccontextmanager
async def docker(
    folder: Path, there: list[dict[str, Any]], made: dict[str, Any]
) -> AsyncIterator[tuple[Any, set[str]]]:
    """Yield a client of an engine that has networks `there` and makes new ones as `made`, and the ids that are left."""
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
async def test_containers_are_reachable_where_a_bridge_is_on_this_machine(
    tmp_path: Path, there: list[dict[str, Any]], made: dict[str, Any], reached: bool
) -> None:
    async with docker(tmp_path, there, made) as (client, left):
        if reached:
            await check_reachability(client)
        else:
            with pytest.raises(EngineProblem, match="runs in a virtual machine"):
                await check_reachability(client)
        assert left == set(), "a network that was made for the check is removed again"
