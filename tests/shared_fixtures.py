"""Fixtures for the whole tree: a real OpenSSH server, and a node with fixed data.

conftest.py registers them where tests run; the process that hands tests out to workers starts without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

import pytest
import pytest_asyncio

from client_programs import faulty_node, go_program, image_of_a_lab, lab_image, mcp_environment
from imagestore_sim.clock import Clock
from imagestore_sim.images import transfer
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import new_event_loop
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import POLL_SECONDS
from imagestore_sim.testing.lab_thread import LabThread, running_lab
from imagestore_sim.testing.plugin import MARKER
from imagestore_sim.virtual_clock import VirtualEventLoop
from kept_lab import KeptLab
from kept_node import KeptNode, rows_of
from mariadb_server import galera, mariadb_server, own_mariadb, prepared_mariadb, small_mariadb
from recorded_probes import probes
from sshd import OpenSshServer, StartSshd, find_sshd
from stores import store_settings

__all__ = [
    "faulty_node",
    "galera",
    "go_program",
    "image_of_a_lab",
    "lab_image",
    "mariadb_server",
    "mcp_environment",
    "own_mariadb",
    "prepared_mariadb",
    "probes",
    "small_mariadb",
    "store_settings",
]


@pytest.fixture
def start_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSshd]:
    """Return a function that starts an OpenSshServer; it takes the arguments after the directory.

    The servers stop with the test.
    """
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
    """Return a running OpenSSH server with SFTP."""
    return start_sshd()


@pytest.fixture(scope="module")
def kept_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptNode]:
    """Return the node that the tests of a module share."""
    with KeptNode(tmp_path_factory) as kept:
        yield kept


@pytest_asyncio.fixture
async def fixed(kept_node: KeptNode) -> AsyncIterator[Client]:
    """Return a client of a node with the records of fixed_data, none of which is ever probed.

    The next test gets the same node if every record is as it was; counters and the journal go on.
    """
    async with kept_node.client() as client:
        yield client


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabThread]:
    """Return a lab with three hosts that the tests of a module share."""
    with running_lab(ping_interval=3600, database=str(tmp_path_factory.mktemp("shared") / "lab.db")) as shared:
        yield shared


@pytest_asyncio.fixture
async def shared_client(shared_lab: LabThread) -> AsyncIterator[Client]:
    """Return a client of the shared lab, for a test that changes no record; fail the test if it does."""
    async with Client(shared_lab.lab.url) as client:
        await client.log_in()
        before = rows_of(Path(shared_lab.lab.settings.database))
        yield client
        assert rows_of(Path(shared_lab.lab.settings.database)) == before, "the test has changed what others share"


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files of images grow in four steps, for tests that do not look at each: a step is SFTP on every host."""
    monkeypatch.setattr(transfer, "STEPS", 4)


# These tests run on the lab's own event loop, where they reach its inner parts; tests/testing/ tries the plugin's
# fixtures, which reach them from another thread.


@pytest.hookimpl(optionalhook=True, trylast=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the event loop of a test: that of virtual time, or uvloop, on which the commands run."""
    marker = item.get_closest_marker(MARKER)
    chosen = marker.kwargs if marker else {}
    if chosen.get("clock") != "virtual":
        plain = item.get_closest_marker("plain_loop") is not None
        return {"asyncio": asyncio.new_event_loop if plain else new_event_loop}
    return {"virtual": _virtual(chosen.get("seed", 0))}


@cache
def _virtual(seed: int) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return one function for each seed: tests share an event loop if theirs is made by the same."""
    return partial(VirtualEventLoop, seed=seed, without_threads=True)


@pytest_asyncio.fixture
async def imagestore_lab(imagestore_settings: Settings) -> AsyncIterator[Lab]:
    """Return a running lab on the test's own event loop."""
    async with Lab(imagestore_settings, clock=_virtual_clock()) as lab:
        yield lab


def _virtual_clock() -> Clock | None:
    """Return the clock of the running event loop; None if it runs in real time."""
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualEventLoop) else None


@pytest_asyncio.fixture
async def imagestore_client(imagestore_lab: Lab) -> AsyncIterator[Client]:
    """Return a client that has logged in as admin."""
    async with _new_client(imagestore_lab) as client:
        await client.log_in()
        yield client


def _new_client(lab: Lab) -> Client:
    token = lab.settings.lab_token
    lab_token = None if token is None else token.get_secret_value()
    # In virtual time a pause costs nothing, and each poll costs what a call does.
    pause = 0.4 if isinstance(asyncio.get_running_loop(), VirtualEventLoop) else POLL_SECONDS
    return Client(lab.url, clock=lab.clock, lab_token=lab_token, poll_seconds=pause)


# A module whose tests share a lab, which is reset before each: it has the marker `asyncio(loop_scope="module")`, and
# fixtures `imagestore_lab` and `imagestore_client` of its own, which return these two.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_lab() -> AsyncIterator[KeptLab]:
    """Return what keeps the lab of a module."""
    kept = KeptLab(_virtual_clock())
    yield kept
    await kept.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def reset_lab(
    kept_lab: KeptLab, imagestore_settings: Settings, request: pytest.FixtureRequest
) -> AsyncIterator[Lab]:
    """Return a lab as it is at its start. After a test with the marker `spoils` the next one gets another."""
    yield await kept_lab.lab(imagestore_settings)
    if request.node.get_closest_marker("spoils"):
        await kept_lab.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def reset_client(reset_lab: Lab) -> AsyncIterator[Client]:
    """Return a client of that lab, which has logged in as admin."""
    async with _new_client(reset_lab) as client:
        await client.log_in()
        yield client
