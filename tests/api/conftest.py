"""A node with fixed data for the tests of records: nothing in it is ever probed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from fixed_data import DATA
from simulator.node import ManagementNode
from simulator.settings import Settings
from simulator.testing import Client


@pytest_asyncio.fixture
async def fixed(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a node that has that data."""
    bootstrap = tmp_path / "bootstrap.yaml"
    bootstrap.write_text(DATA)
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db"), bootstrap=bootstrap))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()
