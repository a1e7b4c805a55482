"""A store that fails for a while under load: nothing acknowledged is lost, nothing is half done, and it comes back.

SOAK_FAULT_SECONDS says for how long each fault lasts.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from mixed_changes import Changes, Tally
from store_faults import (
    FilesFault,
    disk_of_its_own,
    full_disk,
    immutable,
    io_errors,
    locked,
    read_only,
    small_files,
)

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.testing import Client
from processes import running

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]
SECONDS = float(os.environ.get("SOAK_FAULT_SECONDS", "60"))
RECOVERY_SECONDS = 15.0
ARGUMENTS = ("serve", "--port", "0", "--database", "node.db", "--ping-interval", "2", "--log-level", "warning")


@pytest.mark.parametrize("fault", [small_files, full_disk, locked, immutable, read_only, io_errors])
async def test_a_store_that_fails_under_load_loses_nothing_and_comes_back(fault: FilesFault, tmp_path: Path) -> None:
    tally = Tally()
    async with AsyncExitStack() as stack:
        if fault is full_disk:
            await stack.enter_async_context(disk_of_its_own(tmp_path))
        host = await stack.enter_async_context(SimulatedHost("everywhere"))
        await host.stop()
        await host.start("0.0.0.0")
        node = await stack.enter_async_context(running(*ARGUMENTS, cwd=tmp_path))
        client = await stack.enter_async_context(Client(node.url))
        await client.log_in()
        changes = Changes(1, host.address[1], tally)
        making = asyncio.create_task(changes.make(client, 6))
        await asyncio.sleep(2)
        async with fault(node.process.pid, tmp_path / "node.db"):
            noticed = await _until(node.url, 503, RECOVERY_SECONDS + 10)
            await asyncio.sleep(SECONDS)
            assert await _status(node.url) == 503
        tally.recovery.append(await _until(node.url, 200, RECOVERY_SECONDS))
        acknowledged = tally.acknowledged
        await asyncio.sleep(3)
        assert tally.acknowledged > acknowledged, "it takes changes again"
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await asyncio.sleep(1)
        await changes.look(client)
        assert await node.stop() == 0
    print(f"\n{fault.__name__} for {SECONDS:g} s: noticed after {noticed:.1f} s; {tally}")
    assert (tally.lost, tally.halves) == ([], [])


async def _status(url: str) -> int:
    timeout = aiohttp.ClientTimeout(5)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/readyz") as answer:
        return answer.status


async def _until(url: str, status: int, seconds: float) -> float:
    """Return the seconds until /readyz has a status."""
    began = time.monotonic()
    while await _status(url) != status:
        assert time.monotonic() - began < seconds, f"/readyz was not {status} within {seconds:g} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - began
