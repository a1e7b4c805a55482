"""A node that has lost a storage sends nothing more to its host, wherever in a probe it finds out."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from ssh_stubs import tcp_server

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.probe import Capacity, PingMode, ProbeFailure, Prober, Target, sending_while
from imagestore_sim.probe.permit import PermittedTransport, always
from processes import child

CHUNK = 65_536
PROGRAM = """
import asyncio, sys
from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Prober, Target, sending_while

async def keep_a_connection(port):
    with sending_while(lambda: True):
        print(await Prober(RealClock()).probe(Target("127.0.0.1", port, "root", "/", "password")), flush=True)
    await asyncio.Event().wait()

asyncio.run(keep_a_connection(int(sys.argv[1])))
"""
ON_ITS_WAY = 0.05
"""Seconds within which all has arrived that the prober has sent; it waits for an answer."""


@dataclass
class Wire:
    """What lies between a prober and a host. The permit ends before the prober gets one of the host's answers."""

    port: int = 0
    answers: int = 0
    last: int = -1
    """The number of the answer before which the permit ends."""
    ended: bool = False
    connections: int = 0
    late: bytes = b""
    """What the prober has sent after that."""
    reset: bool = False
    """Whether the prober's side ended a connection by a reset, which drops all that is still on its way."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the prober's side has ended a connection."""

    def permits(self) -> bool:
        return not self.ended


@asynccontextmanager
async def _wire_to(host: tuple[str, int]) -> AsyncIterator[Wire]:
    wire = Wire()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            wire.answers += 1
            if wire.answers == wire.last:
                await asyncio.sleep(ON_ITS_WAY)
                for _ in range(10):  # a machine that halts may have let the time pass, and read no socket meanwhile
                    await asyncio.sleep(0)
                wire.ended = True
            writer.write(data)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        host_reader, host_writer = await asyncio.open_connection(*host)
        answering = asyncio.create_task(answer(host_reader, writer))
        try:
            while data := await reader.read(CHUNK):
                if wire.ended:
                    wire.late += data
                host_writer.write(data)
        except ConnectionResetError:
            wire.reset = True
        finally:
            wire.closed.set()
            answering.cancel()
            host_writer.close()

    async with tcp_server(handle) as wire.port:
        yield wire


@asynccontextmanager
async def _host() -> AsyncIterator[SimulatedHost]:
    network = HostNetwork()
    try:
        host = SimulatedHost("imagestore-1")
        await network.add(host)
        yield host
    finally:
        await network.close()


async def test_nothing_is_sent_after_the_permit_has_ended_however_far_a_login_has_come() -> None:
    async with _host() as host:
        for last in itertools.count(1):
            async with _wire_to(host.address) as wire:
                wire.last = last
                prober = Prober(RealClock(), connect_timeout=30)
                with sending_while(wire.permits):
                    found = await prober.probe(Target("127.0.0.1", wire.port, "root", "/", "password"))
                await prober.close()
                if isinstance(found, Capacity):
                    break
                assert (wire.late, wire.connections) == (b"", 1), f"after answer {last}"
                assert wire.reset
        assert last > 6, "the permit has ended between version, keys, password, session and command"


@asynccontextmanager
async def _kept() -> AsyncIterator[tuple[Wire, Callable[[], Awaitable[object]]]]:
    """Yield the wire to a host with a connection that is kept, and what probes the host over it."""
    async with _host() as host, _wire_to(host.address) as wire:
        prober = Prober(RealClock(), connect_timeout=60, command_timeout=60)
        target = Target("127.0.0.1", wire.port, "root", "/", "password")
        with sending_while(wire.permits):
            assert isinstance(await prober.probe(target), Capacity)
        yield wire, partial(prober.probe, target)
        await prober.close()


async def test_a_kept_connection_is_closed_in_place_of_a_write_without_permit() -> None:
    async with _kept() as (wire, probe):
        wire.ended = True
        with sending_while(wire.permits):
            assert isinstance(await probe(), ProbeFailure)
    assert (wire.late, wire.connections) == (b"", 1)


async def test_a_connection_that_is_closed_in_order_ends_without_a_reset() -> None:
    async with _kept() as (wire, probe):
        with sending_while(wire.permits):
            assert isinstance(await probe(), Capacity)
    await asyncio.wait_for(wire.closed.wait(), 60)
    assert not wire.reset, "the host has got the end of the connection, and all before it"


async def test_the_system_of_a_process_that_is_killed_has_nothing_left_to_send() -> None:
    """It would repeat for seconds what the host has not acknowledged, while another node has the storage."""
    async with _host() as host, _wire_to(host.address) as wire:
        pipe = asyncio.subprocess.PIPE
        async with child(sys.executable, "-c", PROGRAM, str(wire.port), stdout=pipe) as process:
            assert process.stdout is not None
            assert (await asyncio.wait_for(process.stdout.readline(), 60)).startswith(b"Capacity")
            process.kill()
            await asyncio.wait_for(wire.closed.wait(), 60)
        assert wire.reset


async def test_each_probe_over_a_kept_connection_asks_its_own_permit() -> None:
    async with _kept() as (wire, probe):
        wire.ended = True
        assert isinstance(await probe(), Capacity), "no one forbids this one"
    assert wire.connections == 1


@pytest.mark.parametrize("mode", PingMode)
async def test_no_connection_is_begun_without_permit(mode: PingMode) -> None:
    async with _host() as host, _wire_to(host.address) as wire:
        prober = Prober(RealClock(), agent_port=wire.port, busy_pauses=())
        target = Target("127.0.0.1", wire.port, "root", "/", "password")
        with sending_while(lambda: False):
            found = await (prober.probe(target) if mode is PingMode.CAPACITY else prober.reach(target, mode))
        await prober.close()
        assert isinstance(found, ProbeFailure)
        assert wire.connections == 0


class Sent:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, _name: str) -> None:
        return None


async def test_the_packets_of_a_turn_go_out_together_during_a_login_and_one_by_one_after_it() -> None:
    sent = Sent()
    transport = PermittedTransport(sent, always, gathering=True)
    transport.write(b"a")
    transport.write(b"b")
    assert not sent.writes
    await asyncio.sleep(0)
    transport.write(b"c")
    transport.gather_no_more()
    transport.write(b"d")
    assert sent.writes == [b"ab", b"c", b"d"]


async def test_what_was_written_before_the_end_of_a_login_still_goes_out_if_it_is_permitted() -> None:
    sent, forbidden = Sent(), Sent()
    transport = PermittedTransport(sent, always, gathering=True)
    transport.write(b"that is all")
    transport.abort()
    assert sent.writes == [b"that is all"]
    transport = PermittedTransport(forbidden, lambda: False, gathering=True)
    transport.write(b"too late")
    await asyncio.sleep(0)
    assert (forbidden.writes, forbidden.aborted) == ([], True)
