"""stat and statvfs over SFTP, which nodes ask for: where nothing fails or hangs, asyncssh's server has no work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest
from asyncssh.packet import Byte, SSHPacket, String, UInt32
from asyncssh.sftp import SFTPServerHandler

from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost, VirtualDisk

SIZE = 1000 * 4096
INIT = String(b"\x01\0\0\0\x03")
OK_REPLY, STATUS, ATTRIBUTES = 201, 101, 105
STAT, LSTAT = 17, 7


class RawSftp:
    """Packets of SFTP, and how they are cut into the data of a channel is up to the test."""

    def __init__(self, writer: asyncssh.SSHWriter[bytes], reader: asyncssh.SSHReader[bytes]) -> None:
        self._writer = writer
        self._reader = reader

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, int, bytes]:
        """Return the type of the next packet, its number, and the rest."""
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        packet = await self._reader.readexactly(length)
        return packet[0], int.from_bytes(packet[1:5], "big"), packet[5:]


@pytest.fixture
async def handled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the types of the requests that asyncssh's server has handled."""
    types: list[int] = []
    process = SFTPServerHandler._process_packet

    async def note(self: SFTPServerHandler, kind: int, number: int, packet: SSHPacket) -> None:
        types.append(kind)
        await process(self, kind, number, packet)

    monkeypatch.setattr(SFTPServerHandler, "_process_packet", note)
    return types


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    async with SimulatedHost("h", disk=VirtualDisk(SIZE)) as started:
        yield started


@asynccontextmanager
async def sftp(host: SimulatedHost) -> AsyncIterator[RawSftp]:
    address, port = host.address
    options = {"known_hosts": None, "config": None, "agent_path": None, "client_keys": None}
    async with asyncssh.connect(address, port, username="root", password="x", **options) as connection:
        writer, reader, _ = await connection.open_session(subsystem="sftp", encoding=None)
        raw = RawSftp(writer, reader)
        raw.send(INIT)
        assert (await raw.answer())[0] == 2
        yield raw


def about(kind: int, number: int, path: bytes) -> bytes:
    return String(Byte(kind) + UInt32(number) + String(path))


def request(number: int, path: bytes = b"/") -> bytes:
    return String(Byte(200) + UInt32(number) + String(b"statvfs@openssh.com") + String(path))


async def test_stat_is_answered_as_asyncssh_answers_lstat(host: SimulatedHost, handled: list[int]) -> None:
    host.disk.make_directory("/zs")
    host.disk.write_file("/zs/file", b"text")
    async with sftp(host) as client:
        for path in (b"/", b"/zs", b"/zs/file", b"zs"):
            answers = []
            for kind in (STAT, LSTAT):
                client.send(about(kind, 7, path))
                answers.append(await client.answer())
            assert answers[0] == answers[1]
            assert answers[0][0] == (STATUS if path == b"zs" else ATTRIBUTES)  # the home is /root
        assert handled == [LSTAT, LSTAT, LSTAT, STAT, LSTAT]


async def test_nothing_is_answered_to_a_client_that_has_not_begun_the_protocol(host: SimulatedHost) -> None:
    address, port = host.address
    options = {"known_hosts": None, "config": None, "agent_path": None, "client_keys": None}
    async with asyncssh.connect(address, port, username="root", password="x", **options) as connection:
        writer, reader, _ = await connection.open_session(subsystem="sftp", encoding=None)
        writer.write(about(STAT, 1, b"/"))
        assert await reader.read() == b""


async def test_answers_are_as_those_of_asyncssh_and_have_the_numbers_of_the_moment(
    host: SimulatedHost, handled: list[int]
) -> None:
    async with sftp(host) as client:
        client.send(request(1))
        kind, number, first = await client.answer()
        assert not handled
        client.send(request(1) + request(2))
        assert [await client.answer() for _ in range(2)] == [(kind, 1, first), (kind, 2, first)]
        assert handled == [200, 200]
        assert (kind, number) == (OK_REPLY, 1)
        host.disk.used = 4096
        client.send(request(3))
        _, _, changed = await client.answer()
        free = [int.from_bytes(one[24:32], "big") for one in (first, changed)]
        assert free == [1000, 999]


async def test_a_path_that_is_missing_or_hangs_is_answered_as_ever_and_in_turn(host: SimulatedHost) -> None:
    host.disk.make_directory("/zs")
    async with sftp(host) as client:
        for number in (1, 2):
            client.send(request(number, b"/zs"))
            assert (await client.answer())[:2] == (OK_REPLY, number)
        client.send(request(3, b"/nosuch"))
        assert (await client.answer())[:2] == (STATUS, 3)
        hung = await host.apply(read_fault("hung_mount", {"path": "/zs"}))
        client.send(request(4, b"/zs"))
        await asyncio.sleep(0.05)  # so that they are not sent together
        client.send(request(5))
        await asyncio.sleep(0.05)
        await hung.heal()
        assert [(await client.answer())[:2] for _ in range(2)] == [(OK_REPLY, 4), (OK_REPLY, 5)]


async def test_requests_in_parts_or_together_are_all_answered(host: SimulatedHost) -> None:
    async with sftp(host) as client:
        client.send(request(1))
        await client.answer()
        client.send(request(2) + request(3))
        assert [(await client.answer())[1] for _ in range(2)] == [2, 3]
        whole = request(4)
        client.send(whole[:7])
        await asyncio.sleep(0)
        client.send(whole[7:])
        client.send(request(5))
        assert [(await client.answer())[1] for _ in range(2)] == [4, 5]
