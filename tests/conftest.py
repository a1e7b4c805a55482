"""Fixtures for the whole tree: a real OpenSSH server, and a node with fixed data."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from fixed_data import DATA
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.testing.plugin import MARKER
from imagestore_sim.virtual_clock import VirtualEventLoop
from sshd import OpenSshServer, find_sshd
from watching import probes

__all__ = ["probes"]

StartSshd = Callable[..., OpenSshServer]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: to look for garbage there takes a quarter of a run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def start_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSshd]:
    """Starts OpenSSH servers: give it what OpenSshServer takes after the directory. They stop with the test."""
    if find_sshd() is None:
        pytest.skip("needs OpenSSH's sshd (Debian: openssh-server)")
    servers: list[OpenSshServer] = []

    def start(*lines: str, sftp: bool = True) -> OpenSshServer:
        server = OpenSshServer(tmp_path_factory.mktemp("sshd"), *lines, sftp=sftp)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def sshd(start_sshd: StartSshd) -> OpenSshServer:
    """A running OpenSSH server with SFTP."""
    return start_sshd()


@pytest_asyncio.fixture
async def fixed(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a node with the records of fixed_data, none of which is ever probed."""
    bootstrap = tmp_path / "bootstrap.yaml"
    bootstrap.write_text(DATA)
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db"), bootstrap=bootstrap))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


# Our own tests look into a lab from its own event loop, where its inner parts can be reached; that the plugin's
# fixtures do the same from another thread is for tests/testing/.


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time needs an event loop of its own."""
    marker = item.get_closest_marker(MARKER)
    chosen = marker.kwargs if marker else {}
    if chosen.get("clock") != "virtual":
        return {"asyncio": asyncio.new_event_loop}
    return {"virtual": partial(VirtualEventLoop, seed=chosen.get("seed", 0))}


@pytest_asyncio.fixture
async def imagestore_lab(imagestore_settings: Settings) -> AsyncIterator[Lab]:
    """A running lab on the test's own event loop."""
    loop = asyncio.get_running_loop()
    clock = loop.clock if isinstance(loop, VirtualEventLoop) else None
    async with Lab(imagestore_settings, clock=clock) as lab:
        yield lab


@pytest_asyncio.fixture
async def imagestore_client(imagestore_lab: Lab) -> AsyncIterator[Client]:
    """A client that has logged in as admin."""
    token = imagestore_lab.settings.lab_token
    lab_token = None if token is None else token.get_secret_value()
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock, lab_token=lab_token) as client:
        await client.log_in()
        yield client
