"""The TCP connection under an SSH connection, watched while it is young."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import asyncssh

from simulator.probe.phases import Phases

_HEARD = 512  # bytes kept of what the server said first
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Wire(asyncio.Protocol):
    """Stands between a transport and asyncssh, which takes it for a tunnel and opens its connection through it.

    It notes what a server says before its banner, which asyncssh does not tell, and has every segment acknowledged at
    once: until a session is open, sshd leaves Nagle's algorithm on, and each delayed acknowledgement costs 40 ms.
    """

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._heard = b""
        self._transport: asyncio.Transport | None = None
        self._factory: Callable[[], asyncssh.SSHClientConnection] | None = None
        self._ssh: asyncssh.SSHClientConnection | None = None
        self.address = ("", 0)

    async def create_connection(
        self, factory: Callable[[], asyncssh.SSHClientConnection], _host: str, _port: int
    ) -> tuple[asyncio.Transport, asyncssh.SSHClientConnection]:
        """Connect to `address`, whatever host asyncssh names; raises OSError."""
        self._factory = factory
        self._phases.begin("tcp")
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, *self.address)
        assert self._ssh is not None
        return transport, self._ssh

    @property
    def greeting(self) -> str | None:
        """What the server said in place of an SSH banner, None once that has come."""
        if self._ssh is not None and self._ssh.get_extra_info("server_version"):
            return None
        return self._heard.decode("utf-8", "replace").strip()

    def release(self) -> None:
        """Leave the transport to asyncssh alone: a session is open, and sshd no longer delays."""
        if self._transport is not None and self._ssh is not None:
            self._transport.set_protocol(self._ssh)
            self._transport = None

    def abort(self) -> None:
        """Cut a login that is not wanted any more."""
        if self._ssh is not None:
            self._ssh.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._phases.begin("kex")
        assert self._factory is not None
        self._transport = cast(asyncio.Transport, transport)
        self._ssh = self._factory()
        self._ssh.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        assert self._ssh is not None
        assert self._transport is not None
        if len(self._heard) < _HEARD:
            self._heard += data[:_HEARD]
        if _QUICKACK is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._ssh.data_received(data)

    def eof_received(self) -> None:
        assert self._ssh is not None
        self._ssh.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._ssh is not None
        self._transport = None
        self._ssh.connection_lost(exc)
