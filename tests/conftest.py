"""Fixtures for the whole tree: a real OpenSSH server, and a node with fixed data."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from simulator.node import ManagementNode
from simulator.settings import Settings
from simulator.testing import Client

from fixed_data import DATA
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
