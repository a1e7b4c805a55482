#!/usr/bin/python3
"""Answers in sshd's place, or stands before it.

`front.py PORT say`: says what comes on standard input, and closes.
`front.py PORT reset`: resets.
`front.py PORT close|reset SSHD_PORT`: passes everything on to sshd, but for a connection that sshd has one too many of,
    which is closed or reset without the line of text, as an sshd older than 8.5 does.
`front.py - hold SSHD_PORT`: keeps one login of sshd under way, and begins it anew at SIGHUP.

/dev/shm/faults/front-PORT is there as soon as that is so. At SIGTERM nobody new is served; connections live on.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import sys
from pathlib import Path

TOO_MANY = b"Exceeded MaxStartups"
LONGEST_SECONDS = 10.0  # for a client to hear what was said, and to go
PAUSE_SECONDS = 0.02


def ready(port: str) -> Path:
    """The file that tells that connections are served."""
    return Path(f"/dev/shm/faults/front-{port}")  # noqa: S108 - of the container, and nobody else's


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> None:
    """Say something and close: once the client has heard it, for closing on what it said would reset."""
    writer.write(words)
    writer.write_eof()
    with contextlib.suppress(TimeoutError, ConnectionError):
        await asyncio.wait_for(reader.read(), LONGEST_SECONDS)
    writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side says, up to its end."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Front:
    """What listens, and those that it serves."""

    def __init__(self, mode: str, sshd: int, words: bytes) -> None:
        self._mode = mode
        self._sshd = sshd
        self._words = words
        self._served: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task."""
        task = asyncio.create_task(self._pass_on(reader, writer) if self._sshd else self._answer(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def drain(self) -> None:
        """Wait until everybody has gone."""
        while self._served:
            await asyncio.wait(self._served)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            reset(writer)
        else:
            await close(reader, writer, self._words)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._sshd)
        first = await theirs.read(65536)
        if first.startswith(TOO_MANY):
            ours.close()
            await self._answer(reader, writer)
            return
        writer.write(first)
        await asyncio.gather(copy(reader, ours), copy(theirs, writer))
        for one in (ours, writer):
            one.close()


async def serve(port: str, mode: str, sshd: int) -> None:
    """Serve until SIGTERM, and then those who are there."""
    front = Front(mode, sshd, sys.stdin.buffer.read() if mode == "say" else b"")
    server = await asyncio.start_server(front.accept, port=int(port))
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    ready(port).touch()
    await ending.wait()
    server.close()
    await front.drain()


async def hold(sshd: int) -> None:
    """Hold one login under way."""
    anew = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, anew.set)
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", sshd)
        if not (await reader.readline()).startswith(b"SSH-"):
            writer.close()
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        ready("hold").touch()
        await anew.wait()
        anew.clear()
        writer.close()


def main(port: str, mode: str, sshd: str = "0") -> None:
    """Run as the arguments say."""
    asyncio.run(hold(int(sshd)) if mode == "hold" else serve(port, mode, int(sshd)))


main(*sys.argv[1:])
