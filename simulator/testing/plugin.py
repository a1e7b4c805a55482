"""The pytest plugin: a lab in the test's own process, its hosts, and a logged-in client.

    async def test_a_storage_is_found(imagestore_client):
        [storage] = await imagestore_client.query("/backup-storage", "name=imagestore-1")
        assert storage["status"] == "Connected"

Every test gets a lab of its own on a free port, ready in some milliseconds, so tests may run in parallel. A marker
chooses other settings than the defaults: `@pytest.mark.imagestore_lab(hosts=5, ping_interval=1)`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.hosts import HostNetwork
    from simulator.lab import Lab
    from simulator.settings import Settings
    from simulator.testing.client import Client

MARKER = "imagestore_lab"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARKER}(**settings): settings of this test's lab, such as hosts=5")


@pytest.fixture
def imagestore_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of this test's lab: its marker's over the kit's own (a free port, a ping each second)."""
    from simulator.settings import Settings

    chosen: dict[str, Any] = {"port": 0, "ping_interval": 1, "database": str(tmp_path / "lab.db")}
    marker = request.node.get_closest_marker(MARKER)
    return Settings(**(chosen | (marker.kwargs if marker else {})))


@pytest_asyncio.fixture
async def imagestore_lab(imagestore_settings: Settings) -> AsyncIterator[Lab]:
    """A running lab whose storages are all connected."""
    from simulator.lab import Lab

    async with Lab(imagestore_settings) as lab:
        yield lab


@pytest.fixture
def imagestore_hosts(imagestore_lab: Lab) -> HostNetwork:
    """The simulated hosts by name: `imagestore_hosts["imagestore-1"]`."""
    return imagestore_lab.network


@pytest_asyncio.fixture
async def imagestore_client(imagestore_lab: Lab) -> AsyncIterator[Client]:
    """A client that has logged in as admin."""
    from simulator.testing.client import Client

    async with Client(imagestore_lab.url) as client:
        await client.log_in()
        yield client
