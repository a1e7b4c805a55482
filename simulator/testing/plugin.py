"""The pytest plugin: a lab in the test's own process, its hosts, and a logged-in client.

    async def test_a_storage_is_found(imagestore_client):
        [storage] = await imagestore_client.query("/backup-storage", "name=imagestore-1")
        assert storage["status"] == "Connected"

Every test gets a lab of its own on a free port, ready in some milliseconds, so tests may run in parallel. A marker
chooses other settings than the defaults: `@pytest.mark.imagestore_lab(hosts=5, ping_interval=1)`. With
`clock="virtual"` among them the test runs in virtual time, `imagestore_lab.clock`: nobody waits for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
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
    config.addinivalue_line(
        "markers", f"{MARKER}(**settings): settings of this test's lab, such as hosts=5; clock='virtual' or 'real'"
    )


def _chosen(node: pytest.Item) -> dict[str, Any]:
    """What the marker of a test chooses."""
    marker = node.get_closest_marker(MARKER)
    chosen = dict(marker.kwargs) if marker else {}
    if chosen.setdefault("clock", "real") not in ("real", "virtual"):
        raise pytest.UsageError(f"{node.nodeid}: {MARKER}(clock=...) is 'virtual' or 'real', not {chosen['clock']!r}")
    return chosen


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time needs an event loop of its own; every other test has the one that it would have without us."""
    chosen = _chosen(item)
    if chosen["clock"] == "real":
        return {"asyncio": asyncio.new_event_loop}
    from simulator.virtual_clock import VirtualEventLoop

    return {"virtual": partial(VirtualEventLoop, seed=chosen.get("seed", 0))}


@pytest.fixture
def imagestore_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of this test's lab: its marker's over the kit's own (a free port, a ping each second)."""
    from simulator.settings import Settings

    chosen: dict[str, Any] = {"port": 0, "ping_interval": 1, "database": str(tmp_path / "lab.db")}
    chosen |= _chosen(request.node)
    del chosen["clock"]
    return Settings(**chosen)


@pytest_asyncio.fixture
async def imagestore_lab(imagestore_settings: Settings) -> AsyncIterator[Lab]:
    """A running lab whose storages are all connected."""
    from simulator.lab import Lab
    from simulator.virtual_clock import VirtualEventLoop

    loop = asyncio.get_running_loop()
    clock = loop.clock if isinstance(loop, VirtualEventLoop) else None
    async with Lab(imagestore_settings, clock=clock) as lab:
        yield lab


@pytest.fixture
def imagestore_hosts(imagestore_lab: Lab) -> HostNetwork:
    """The simulated hosts by name: `imagestore_hosts["imagestore-1"]`."""
    return imagestore_lab.network


@pytest_asyncio.fixture
async def imagestore_client(imagestore_lab: Lab) -> AsyncIterator[Client]:
    """A client that has logged in as admin."""
    from simulator.testing.client import Client

    token = imagestore_lab.settings.lab_token
    lab_token = None if token is None else token.get_secret_value()
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock, lab_token=lab_token) as client:
        await client.log_in()
        yield client
