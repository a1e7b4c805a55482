"""Clients that flood a simulated host, or read no answers, take neither the lab's time nor its memory."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest
import uvloop

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import Credentials, SimulatedHost
from imagestore_sim.hosts.link import TURN_BYTES, WAITING_BYTES
from imagestore_sim.probe import Capacity, Prober, Target

pytestmark = pytest.mark.thorough

HELLO = b"SSH-2.0-flood\r\n"
IGNORE = b"\0\0\0\x0c\x06\x02\0\0\0\0" + bytes(6)  # the smallest packet, before anything is encrypted
UNKNOWN = b"\0\0\0\x0c\x0a\xc8" + bytes(10)  # is answered UNIMPLEMENTED


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    async with SimulatedHost("imagestore-1", credentials=Credentials("root", "secret")) as started:
        yield started


@asynccontextmanager
async def flooded(host: SimulatedHost, packet: bytes) -> AsyncIterator[socket.socket]:
    """Open a connection, send packets for as long as they are accepted, and read no answer."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(host.address) as connection:
        connection.setblocking(False)
        await loop.sock_sendall(connection, HELLO)

        async def send() -> None:
            while True:
                await loop.sock_sendall(connection, packet * (2**20 // len(packet)))

        sending = asyncio.create_task(send())
        try:
            yield connection
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize("packet", [IGNORE, UNKNOWN], ids=["ignored", "unknown"])
async def test_a_flood_is_taken_a_little_at_a_time(
    host: SimulatedHost, packet: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    receive = asyncssh.SSHServerConnection.data_received

    def noted(self: asyncssh.SSHServerConnection, data: bytes, datatype: None = None) -> None:
        sizes.append(len(data))
        receive(self, data, datatype)

    monkeypatch.setattr(asyncssh.SSHServerConnection, "data_received", noted)
    async with flooded(host, packet):
        prober = Prober(RealClock(), connect_timeout=60, command_timeout=60)
        found = await prober.probe(Target(*host.address, "root", "/", "secret"), fresh=True)
        await prober.close()
    assert isinstance(found, Capacity), found
    assert max(sizes) <= TURN_BYTES


def test_a_flood_leaves_other_connections_their_turns_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = 0
    taken: Counter[int] = Counter()
    receive = asyncssh.SSHServerConnection.data_received

    def noted(self: asyncssh.SSHServerConnection, data: bytes, datatype: None = None) -> None:
        taken[turn] += len(data)
        receive(self, data, datatype)

    async def flood() -> None:
        nonlocal turn
        started = SimulatedHost("imagestore-1", credentials=Credentials("root", "secret"))
        async with started as host, flooded(host, IGNORE):
            while turn < 200:
                turn += 1
                await asyncio.sleep(0)

    monkeypatch.setattr(asyncssh.SSHServerConnection, "data_received", noted)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(flood())
    del taken[200]  # and all after it
    assert len(taken) > 10
    assert max(taken.values()) <= 2 * TURN_BYTES


async def test_what_a_slow_network_holds_back_is_bounded(host: SimulatedHost) -> None:
    await host.faults.apply(read_fault("latency", {"delay": "60s"}))
    async with flooded(host, IGNORE):
        async with asyncio.timeout(60):
            while not any(link._in.waiting for link in host.links):
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)  # for more, if it took more
        (link,) = host.links
        assert 0 < link._in.waiting <= 2 * WAITING_BYTES


async def test_requests_of_a_client_that_reads_no_answers_are_not_read_until_it_does(host: SimulatedHost) -> None:
    options = {"username": "root", "password": "secret", "known_hosts": None, "client_keys": None, "config": None}
    async with asyncssh.connect(*host.address, agent_path=None, **options) as connection:
        (link,) = host.links
        link.pause_writing()  # as the transport calls it beyond UNREAD_BYTES
        answer = asyncio.create_task(connection.run("echo there"))
        await asyncio.sleep(0.2)
        assert not answer.done()
        link.resume_writing()
        assert (await asyncio.wait_for(answer, 60)).stdout == "there\n"
