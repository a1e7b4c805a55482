#!/usr/bin/python3
"""Answers in place of sshd, or in front of it.

`proxy.py PORT say`: sends its standard input, and closes.
`proxy.py PORT reset`: resets.
`proxy.py PORT close|reset SSHD_PORT`: forwards to sshd, except for a connection that exceeds sshd's MaxStartups: that
    is closed or reset without the line of text, as an sshd older than 8.5 does.
`proxy.py - hold SSHD_PORT`: holds one login of sshd, and begins another one at SIGHUP.

/dev/shm/faults/proxy-PORT (proxy-hold) exists as soon as it does so. After SIGTERM it accepts no more connections, and
ends with the last one.
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
CLOSE_SECONDS = 10.0  # for a client to read what was sent, and to close
PAUSE_SECONDS = 0.02


def ready(port: str) -> Path:
    """Return the file that exists once connections are served."""
    return Path(f"/dev/shm/faults/proxy-{port}")  # noqa: S108 - of the container, which nobody else uses


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> None:
    """Send a message, and close when the client has closed: closing on unread data would reset the connection."""
    writer.write(message)
    writer.write_eof()
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await reader.read()
    writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward what one side sends, up to its end."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Proxy:
    """The connections that are served."""

    def __init__(self, mode: str, sshd: int, message: bytes) -> None:
        self._mode = mode
        self._sshd = sshd
        self._message = message
        self._served: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task."""
        task = asyncio.create_task(self._forward(reader, writer) if self._sshd else self._answer(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def drain(self) -> None:
        """Wait until all connections are closed."""
        while self._served:
            await asyncio.wait(self._served)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "reset":
            reset(writer)
        else:
            await close(reader, writer, self._message)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
    """Serve until SIGTERM, then until the last connection is closed."""
    proxy = Proxy(mode, sshd, sys.stdin.buffer.read() if mode == "say" else b"")
    server = await asyncio.start_server(proxy.accept, port=int(port))
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    ready(port).touch()
    await terminated.wait()
    server.close()
    await proxy.drain()


async def hold(sshd: int) -> None:
    """Hold one login, and replace it at SIGHUP."""
    replace = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, replace.set)
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", sshd)
        if not (await reader.readline()).startswith(b"SSH-"):
            writer.close()
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        ready("hold").touch()
        await replace.wait()
        replace.clear()
        writer.close()


def main(port: str, mode: str, sshd: str = "0") -> None:
    """Run in the mode that the arguments name."""
    asyncio.run(hold(int(sshd)) if mode == "hold" else serve(port, mode, int(sshd)))


main(*sys.argv[1:])
