"""What a network, or a server that is out of its mind, makes of what is sent: drawn from a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
from asyncssh.packet import Boolean, Byte, String, UInt32

LARGEST = 200_000
_STORMS = (5, 5, 50, 50, 300, 3000)  # packets; each costs the server as much as us
_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_OUT_OF_PLACE = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    20,
    21,
    31,
    33,
    51,
    52,
    53,
    60,
    80,
    81,
    82,
    90,
    91,
    92,
    93,
    94,
    95,
    96,
    97,
    98,
    99,
)


def mutated(data: bytes, chance: random.Random, kinds: int = 10) -> list[bytes]:
    """Return mutated bytes: none, others, more of them, in another order, or very many."""
    match chance.randrange(kinds):
        case 0:
            return []
        case 1:
            return [data, data]
        case 2:
            return [data[: chance.randrange(len(data) + 1)]]
        case 3:
            at = chance.randrange(len(data))
            return [data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]]
        case 4:
            changed = bytearray(data)
            for _ in range(chance.randint(1, 16)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            return [bytes(changed)]
        case 5:
            at = chance.randrange(len(data) + 1)
            return [data[:at] + chance.randbytes(chance.randint(1, 64)) + data[at:]]
        case 6:
            at = chance.randrange(len(data) + 1)
            return [data[at:], data[:at]]
        case 7:
            return [data, chance.randbytes(chance.choice((1, 100, 10_000, LARGEST)))]
        case 8:
            return [bytes([byte]) for byte in data[:500]] + [data[500:]]
        case _:
            return [data * chance.randint(2, 20)]


class Proxy:
    """Passes on what a server sends, and mutates one piece in a given number of pieces."""

    def __init__(self, port: int, seed: int) -> None:
        self._to = port
        self._chance = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Its port, while it runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self.port
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        chance = random.Random(self._chance.random())
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there = await asyncio.open_connection("127.0.0.1", self._to)
                try:
                    await self._pass_on(there, (reader, writer), chance)
                finally:
                    there[1].close()
        finally:
            writer.close()
            self._open.discard(task)

    async def _pass_on(self, there: Any, here: Any, chance: random.Random) -> None:
        backward = 0.0 if chance.random() < 0.8 else 0.2
        ways = [
            asyncio.create_task(self._pump(there[0], here[1], chance, chance.choice((0.02, 0.1, 0.3)), 10)),
            # Not much more of it: the server is no subject here, and asyncssh's takes long over that.
            asyncio.create_task(self._pump(here[0], there[1], chance, backward, 7)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    @staticmethod
    async def _pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random, share: float, kinds: int
    ) -> None:
        while data := await reader.read(65536):
            pieces = mutated(data, chance, kinds) if chance.random() < share else [data]
            for piece in pieces:
                writer.write(piece)
            await writer.drain()


def mutate_packets(connection: asyncssh.SSHServerConnection, chance: random.Random) -> None:
    """Have a server send other packets than it means to, before they are encrypted: what comes of it is well-formed."""
    send: Callable[..., None] = connection.send_packet
    share = chance.choice((0.02, 0.05, 0.1, 0.3))

    def send_packet(kind: int, *parts: bytes, **more: Any) -> None:
        if chance.random() >= share:
            send(kind, *parts, **more)
            return
        body = b"".join(parts)
        match chance.randrange(9):
            case 0:
                return
            case 1:
                send(kind, body)
                send(kind, body)
            case 2 | 3:
                for piece in mutated(body or b"\0", chance)[:4]:
                    send(kind, piece[:30_000])
            case 4:
                send(chance.choice(_OUT_OF_PLACE), body)
            case 5:
                send(chance.choice(_OUT_OF_PLACE), chance.randbytes(chance.randrange(200)))
            case 6:
                send(kind, UInt32(chance.choice(_NUMBERS)), body[4:])
            case 7:
                for _ in range(chance.choice(_STORMS)):
                    send(2, String(b""))
                send(kind, body)
            case _:
                _send_a_storm(send, chance)
                send(kind, body)

    connection.send_packet = send_packet  # type: ignore[assignment]  # of this connection alone


def _send_a_storm(send: Callable[..., None], chance: random.Random) -> None:
    many = chance.choice(_STORMS)
    match chance.randrange(5):
        case 0:
            for _ in range(many):
                send(80, String("keepalive@openssh.com"), Boolean(True))
        case 1:
            for _ in range(many):
                send(93, UInt32(0), UInt32(chance.choice(_NUMBERS)))
        case 2:
            for _ in range(many):
                send(94, UInt32(0), String(chance.randbytes(chance.randrange(100))))
        case 3:
            for _ in range(many):
                send(98, UInt32(0), String("exit-status"), Boolean(False), UInt32(chance.choice(_NUMBERS)))
        case _:
            for _ in range(min(many, 300)):
                send(90, String("session"), UInt32(1), UInt32(2**31), UInt32(2**15), Byte(0))
