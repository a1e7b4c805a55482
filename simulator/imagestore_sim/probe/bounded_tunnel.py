"""The tunnel that asyncssh connects through: acknowledges fast during the login, and bounds what a server may send."""

from __future__ import annotations

import asyncio
import math
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

import asyncssh
from typing_extensions import override

from imagestore_sim.in_flight import activity, closed, opened
from imagestore_sim.probe.failures import LoginEvidence
from imagestore_sim.probe.key_exchange import find_mismatch, watch_key_exchanges
from imagestore_sim.probe.permit import Permit, PermittedTransport, check_permit, current_permit
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.proxy_command import ProxyCommandTransport
from imagestore_sim.probe.receive_limits import KEY_EXCHANGES, LOGIN_BYTES, ReceiveLimits
from imagestore_sim.probe.round_robin import RoundRobin
from imagestore_sim.probe.sliced_queue import SLICE_BYTES, SlicedQueue
from imagestore_sim.ssh_packets import send_no_filling

_GREETING_BYTES = 512  # kept of what the server sends first
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)


class Flood(asyncssh.ProtocolError):
    """A server sends more than a login or an answer can need."""


def _do_nothing() -> None:
    pass


class Readable(Protocol):
    """The transport below a tunnel: of a socket, of a channel through another host, or of a command's pipes."""

    def pause_reading(self) -> None:
        """Stop calling data_received."""

    def resume_reading(self) -> None:
        """Call data_received again."""

    def is_closing(self) -> bool:
        """Return whether the transport is closed or being closed."""

    def abort(self) -> None:
        """Close the transport at once."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a property of the transport, such as its `socket`."""


class _LostTransport:
    """Stands for a transport that is closed, until asyncssh has been handed what came before the end.

    asyncssh may send meanwhile; asyncio ignores a write to a closed transport, uvloop raises RuntimeError.
    """

    def write(self, data: bytes) -> None:
        """Ignore data: nobody receives it any more."""

    def abort(self) -> None:
        """Do nothing: the transport is closed."""

    def get_extra_info(self, _name: str, default: object = None) -> object:
        """Return `default`: there is no socket any more."""
        return default


class BoundedTunnel(asyncio.Protocol):
    """Sits between a transport and asyncssh, which gets it as its `tunnel` and opens its connection through it.

    It keeps what a server sends before its banner, which asyncssh does not expose, and has every segment acknowledged
    at once: until a session is open sshd has Nagle's algorithm on, so each delayed acknowledgement costs 40 ms.

    It passes on what a server sends in small slices, and cuts off a server that sends more than a login or a probe can
    need, or exchanges keys too often. Nothing goes out that the permit of the probe forbids, see `sending_while`.
    """

    def __init__(self, phases: Phases, round_robin: RoundRobin, *, filling: bool = True) -> None:
        """With `filling`, asyncssh sends what `send_no_filling` leaves out, and each packet of a login by itself."""
        self._phases = phases
        self._filling = filling
        self._greeting = b""
        self._in_login = True
        self._permit = current_permit()
        self._activity = activity()
        self._transport: Readable | None = None
        self._sending: PermittedTransport | None = None
        self._watched: int | None = None
        self._make_ssh: Callable[[], asyncssh.SSHClientConnection] | None = None
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._queue = SlicedQueue(round_robin, self._hand_on, partial(self._pause, reading=True))
        self.address = ("", 0)
        """Where to connect by TCP: address and port."""
        self.local: str | None = None
        """The local address to connect from; None for any."""
        self.through: asyncssh.SSHClientConnection | None = None
        """The connection to a jump host to connect through instead."""
        self.command: tuple[str, ...] = ()
        """The words of a command to connect through instead."""
        self.on_connecting: Callable[[], object] = _do_nothing
        """Called as soon as asyncssh connects through it."""
        self.evidence = LoginEvidence()
        self.flooded: str | None = None
        """Why the server was cut off; None if it was not."""
        self.limits = ReceiveLimits(LOGIN_BYTES)
        """What the server may send; for a login at first."""

    async def create_connection(
        self, factory: Callable[[], asyncssh.SSHClientConnection], host: str, port: int
    ) -> tuple[Any, asyncssh.SSHClientConnection]:
        """Connect, and return the transport and asyncssh's connection. Raise OSError.

        This is the interface of asyncssh's tunnels. `host` and `port` count only through a jump host.
        """
        self.on_connecting()
        self._make_ssh = factory
        self._phases.begin("tcp")
        check_permit()
        transport: Any
        loop = asyncio.get_running_loop()
        if self.through is not None:
            transport, _ = await self.through.create_connection(
                cast("Callable[[], asyncssh.SSHTCPSession[bytes]]", lambda: self), host, port
            )
        elif self.command:
            _, transport = await loop.subprocess_exec(
                lambda: ProxyCommandTransport(self), *self.command, stderr=subprocess.DEVNULL, start_new_session=True
            )
        else:
            local = None if self.local is None else (self.local, 0)
            transport, _ = await loop.create_connection(lambda: self, *self.address, local_addr=local)
        assert self._ssh is not None
        return transport, self._ssh

    def collect_evidence(self) -> LoginEvidence:
        """Return what is known of a failed login, with what only the connection shows, for its classification."""
        has_banner = self._ssh is not None and self._ssh.get_extra_info("server_version")
        self.evidence.greeting = None if has_banner else self._greeting.decode("utf-8", "replace").strip()
        self.evidence.flooded = self.flooded
        self.evidence.noisy = self.noisy
        self.evidence.mismatch = None if self._ssh is None else find_mismatch(self._ssh)
        return self.evidence

    @property
    def noisy(self) -> bool:
        """Whether the server has sent much of what it is allowed."""
        return self.limits.is_noisy(len(self._queue))

    def end_login(self) -> None:
        """Stop acknowledging at once: a session is open, for which sshd turns Nagle's algorithm off."""
        self._in_login = False
        if self._sending is not None:
            self._sending.gather_no_more()
        self._greeting = b""
        self._make_ssh = None
        self.on_connecting = _do_nothing

    def use(self, permit: Permit) -> None:
        """Let a probe with that permit use the connection from now on."""
        self._permit = permit
        if self._sending is not None:
            self._sending.use(permit)

    def end_without_acknowledgement(self, seconds: float) -> bool:
        """Have the system end the connection when the host's acknowledges nothing for some seconds of what is sent.

        Return False where that is not possible: for a connection through another host or by a command.
        """
        if _USER_TIMEOUT is None or self._watched is None or self._transport is None:
            return False
        milliseconds = math.ceil(seconds * 1000)
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, milliseconds)
        return True

    def abort(self) -> None:
        """Cut off a login that is given up."""
        if self._ssh is not None:
            self._ssh.abort()

    # What the transport calls

    @override
    def connection_made(self, transport: Any) -> None:
        # The key exchange begins.
        self._phases.begin("kex")
        assert self._make_ssh is not None
        self._transport = transport
        if self.through is None and not self.command:
            self._watched = opened(transport)
        self._ssh = self._make_ssh()
        watch_key_exchanges(self._ssh, self._allow_key_exchange)
        if not self._filling:
            send_no_filling(self._ssh)
        self._sending = PermittedTransport(transport, self._permit, gathering=not self._filling)
        self._ssh.connection_made(cast("asyncio.Transport", self._sending))

    def session_started(self) -> None:
        """Ignore asyncssh's notice that the channel through a jump host is open."""

    @override
    def data_received(self, data: bytes, _datatype: int | None = None) -> None:
        self._activity.moves += 1
        if self._in_login and len(self._greeting) < _GREETING_BYTES:
            self._greeting += data[:_GREETING_BYTES]
        if self._in_login and _QUICKACK is not None and self._transport is not None:
            tcp_socket = self._transport.get_extra_info("socket")
            if tcp_socket is not None:  # Linux clears the option by itself, so it is set for every segment
                tcp_socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        if not self._queue and len(data) <= SLICE_BYTES and self.limits.is_calm(len(data)):
            self._hand_on(data)
        else:
            self._queue.add(data)
            self._pause(reading=False)

    @override
    def eof_received(self) -> bool:
        # asyncssh gets the end after the data that came before it; True keeps the transport open until then.
        ssh = self._ssh
        assert ssh is not None
        self._queue.end(ssh.eof_received)
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        ssh = self._ssh
        assert ssh is not None
        self._transport = self._sending = None
        closed(self._watched)
        if (inside := cast("Any", ssh))._transport is not None:
            inside._transport = _LostTransport()
        self._queue.end(lambda: ssh.connection_lost(exc))

    # Limits

    def _allow_key_exchange(self) -> bool:
        if self.limits.count_key_exchange():
            return True
        self._cut(f"it exchanged keys more than {KEY_EXCHANGES} times")
        return False

    def _hand_on(self, data: bytes) -> None:
        assert self._ssh is not None
        if self._ssh.is_closed():
            self._queue.clear()
            return
        if not self.limits.count(len(data)):
            self._cut("it sent more than a login or a probe can need")
        elif self.flooded is None:
            self._ssh.data_received(data)

    def _cut(self, why: str) -> None:
        if self.flooded is None:
            self.flooded = why
            self._queue.clear()
            if self._ssh is not None:
                self._ssh.connection_lost(Flood(why))
            if self._transport is not None:
                self._transport.abort()

    def _pause(self, *, reading: bool) -> None:
        if self._transport is not None and not self._queue.ending and not self._transport.is_closing():
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
