"""The connection under an SSH connection: watched while it is young, and bounded for as long as it lasts."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket

from imagestore_sim.probe.failures import LoginEvidence, excerpt
from imagestore_sim.probe.phases import Phases

LOGIN_BYTES = 128 * 1024
"""What a server may send until it has let somebody in: a login takes some 5 KB, and a legal notice."""
PROBE_BYTES = 512 * 1024
"""What it may send from one probe to the next."""
KEY_EXCHANGES = 4
"""How often it may exchange keys in that time: once is usual, and each costs both sides."""
_NOISY_BYTES = 32 * 1024  # a server that was not through in time, and has sent so much, is one that floods
_CALM_BYTES = 16 * 1024  # dealt with at once; a server that says more has to wait for its turn
_SLICE_BYTES = 2 * 1024  # dealt with in one turn: 128 of the smallest packets
_GREETING_BYTES = 512  # bytes kept of what the server said first
_HOPS = 4  # turns of the event loop that asyncssh takes to come to the end of what it has been given
_KEXINIT = 20
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Flood(asyncssh.ProtocolError):
    """A server sends what no login and no answer needs."""


class RoundRobin:
    """Deals with what talkative servers have sent: one slice of one of them in each turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], bool]] = deque()

    def ask(self, work: Callable[[], bool]) -> None:
        """Call `work` when it is its turn, and again for as long as it answers that there is more."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._serve)
        self._waiting.append(work)

    def _serve(self) -> None:
        work = self._waiting.popleft()
        more = False
        try:
            more = work()
        finally:
            if more:
                self._waiting.append(work)
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._serve)


class Readable(Protocol):
    """What a wire asks of what it stands on: a socket's transport, a channel through another host, a pipe."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool: ...

    def abort(self) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any: ...


class BoundedTunnel(asyncio.Protocol):
    """Stands between a transport and asyncssh, which takes it for a tunnel and opens its connection through it.

    It notes what a server says before its banner, which asyncssh does not tell, and has every segment acknowledged at
    once: until a session is open, sshd leaves Nagle's algorithm on, and each delayed acknowledgement costs 40 ms.

    It hands on what a server sends in small pieces, and cuts one that sends more than a login or a probe can need.
    """

    def __init__(self, phases: Phases, round_robin: RoundRobin) -> None:
        self._phases = phases
        self._round_robin = round_robin
        self._greeting = b""
        self._young = True
        self._transport: Readable | None = None
        self._factory: Callable[[], asyncssh.SSHClientConnection] | None = None
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._queue = bytearray()
        self._asking = False
        self._end: Callable[[], None] | None = None
        self._hops = _HOPS
        self.address = ("", 0)
        """Where a TCP connection goes."""
        self.local: str | None = None
        """The address of this machine that it comes from; None for any."""
        self.through: asyncssh.SSHClientConnection | None = None
        """A connection to the host on the way through which it goes instead."""
        self.command: tuple[str, ...] = ()
        """The words of a command over whose input and output it goes instead."""
        self.evidence = LoginEvidence()
        self.flooded: str | None = None
        """Why the server was cut off, if it was."""
        self.allow(LOGIN_BYTES)

    def allow(self, size: int) -> None:
        """Let the server send that number of bytes from now on."""
        self._allowed = self._left = size
        self._calm = _CALM_BYTES
        self._exchanges = KEY_EXCHANGES

    async def create_connection(
        self, factory: Callable[[], asyncssh.SSHClientConnection], host: str, port: int
    ) -> tuple[Any, asyncssh.SSHClientConnection]:
        """Connect to `address`, whatever host asyncssh names, or through a host to that; raises OSError."""
        self._factory = factory
        self._phases.begin("tcp")
        transport: Any
        loop = asyncio.get_running_loop()
        if self.through is not None:
            transport, _ = await self.through.create_connection(
                cast("Callable[[], asyncssh.SSHTCPSession[bytes]]", lambda: self), host, port
            )
        elif self.command:
            _, transport = await loop.subprocess_exec(
                lambda: _Command(self), *self.command, stderr=subprocess.DEVNULL, start_new_session=True
            )
        else:
            local = None if self.local is None else (self.local, 0)
            transport, _ = await loop.create_connection(lambda: self, *self.address, local_addr=local)
        assert self._ssh is not None
        return transport, self._ssh

    @property
    def greeting(self) -> str | None:
        """What the server said in place of an SSH banner, None once that has come."""
        if self._ssh is not None and self._ssh.get_extra_info("server_version"):
            return None
        return self._greeting.decode("utf-8", "replace").strip()

    @property
    def ssh(self) -> asyncssh.SSHClientConnection | None:
        """The connection above it, once there is one."""
        return self._ssh

    def close_up(self) -> LoginEvidence:
        """What a login has heard, with what only its connection shows; a login that failed is classified by that."""
        self.evidence.greeting = self.greeting
        self.evidence.flooded = self.flooded
        self.evidence.noisy = self.noisy
        self.evidence.mismatch = None if self._ssh is None else _mismatch(self._ssh)
        return self.evidence

    @property
    def noisy(self) -> bool:
        """Whether the server has sent much, though not yet too much."""
        return self._allowed - self._left + len(self._queue) > _NOISY_BYTES

    def settle(self) -> None:
        """A session is open, and sshd no longer delays."""
        self._young = False

    def abort(self) -> None:
        """Cut a login that is not wanted any more."""
        if self._ssh is not None:
            self._ssh.abort()

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Begin the key exchange."""
        self._phases.begin("kex")
        assert self._factory is not None
        self._transport = transport
        self._ssh = self._factory()
        self._watch(self._ssh)
        self._ssh.connection_made(transport)

    def session_started(self) -> None:
        """Nothing changes: a channel through a host is open."""

    def data_received(self, data: bytes, _datatype: int | None = None) -> None:
        """Hand on what has come, at once or when its turn comes."""
        if len(self._greeting) < _GREETING_BYTES:
            self._greeting += data[:_GREETING_BYTES]
        if self._young and _QUICKACK is not None and self._transport is not None:
            with_socket = self._transport.get_extra_info("socket")
            if with_socket is not None:
                with_socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        if not self._queue and len(data) <= min(_SLICE_BYTES, self._calm):
            self._hand_on(data)
        else:
            self._queue += data
            self._pause(reading=False)
            self._ask()

    def eof_received(self) -> bool:
        """Tell asyncssh once it has come to the end of what was sent before; the transport stays open until then."""
        ssh = self._ssh
        assert ssh is not None
        self._finish(ssh.eof_received)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell asyncssh once it has come to the end of what was sent before."""
        ssh = self._ssh
        assert ssh is not None
        self._transport = None
        self._finish(lambda: ssh.connection_lost(exc))

    # Bounds

    def _watch(self, ssh: asyncssh.SSHClientConnection) -> None:
        """Count key exchanges, which asyncssh does not tell of."""
        process = ssh.process_packet

        def process_packet(kind: int, number: int, packet: SSHPacket) -> Any:
            if kind == _KEXINIT:
                self._exchanges -= 1
                if self._exchanges < 0:
                    self._cut(f"it exchanged keys more than {KEY_EXCHANGES} times")
                    return True
            return process(kind, number, packet)

        ssh.process_packet = process_packet  # type: ignore[assignment]  # of this connection alone

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            self._round_robin.ask(self._take_turn)

    def _take_turn(self) -> bool:
        """Deal with a slice of what has been sent; answers whether there is more to do."""
        if self._queue:
            piece = bytes(self._queue[:_SLICE_BYTES])
            del self._queue[:_SLICE_BYTES]
            self._hand_on(piece)
            if not self._queue:
                self._pause(reading=True)
        elif self._end is not None and self._hops:
            self._hops -= 1
        elif self._end is not None:
            end, self._end = self._end, None
            self._asking = False
            end()
            return False
        self._asking = bool(self._queue) or self._end is not None
        return self._asking

    def _hand_on(self, data: bytes) -> None:
        assert self._ssh is not None
        if self._ssh.is_closed():
            self._queue.clear()
            return
        self._left -= len(data)
        self._calm = max(0, self._calm - len(data))
        if self._left < 0:
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

    def _finish(self, end: Callable[[], None]) -> None:
        self._end = end
        self._hops = _HOPS
        self._ask()

    def _pause(self, *, reading: bool) -> None:
        if self._transport is not None and self._end is None and not self._transport.is_closing():
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()


class _Command(asyncio.SubprocessProtocol):
    """A command over whose input and output a connection goes, as the transport under a wire."""

    def __init__(self, tunnel: BoundedTunnel) -> None:
        self._tunnel = tunnel
        self._process: asyncio.SubprocessTransport | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast(asyncio.SubprocessTransport, transport)
        self._tunnel.connection_made(self)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._tunnel.data_received(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._lost(exc)

    def process_exited(self) -> None:
        self._lost(None)

    def _lost(self, exc: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._tunnel.connection_lost(exc)

    # What a wire and asyncssh ask of a transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._process is None or self._process.is_closing()

    def write(self, data: bytes) -> None:
        if self._is_open(0):  # else the command has ended, of which the wire hears next
            self._pipe(0).write(data)

    def pause_reading(self) -> None:
        if self._is_open(1):
            self._pipe(1).pause_reading()

    def resume_reading(self) -> None:
        if self._is_open(1):
            self._pipe(1).resume_reading()

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()
            self._lost(None)

    def _is_open(self, fd: int) -> bool:
        return self._process is not None and not self._pipe(fd).is_closing()

    def _pipe(self, fd: int) -> Any:
        assert self._process is not None
        return self._process.get_pipe_transport(fd)


_NO_ALGORITHMS = (b"kex-strict-", b"ext-info-")
"""Names in a list of key exchanges that tell of a server's abilities."""


def _mismatch(ssh: asyncssh.SSHClientConnection) -> str | None:
    """What the two sides have no algorithm in common for, as far as the server's list has come."""
    offer = ssh._server_kexinit
    if not offer:
        return None
    packet = SSHPacket(offer)
    try:
        packet.get_bytes(17)  # the type, and a random cookie
        theirs = [packet.get_namelist() for _ in range(6)]
    except PacketDecodeError:
        return None
    ours: tuple[tuple[str, Sequence[bytes], tuple[int, ...]], ...] = (
        ("the key exchange", ssh._kex_algs, (0,)),
        ("host keys", ssh._server_host_key_algs or (), (1,)),
        ("ciphers", ssh._enc_algs, (2, 3)),
        ("MACs", ssh._mac_algs, (4, 5)),
    )
    for what, names, places in ours:
        for place in places:
            wanted = set(names)
            needed = what != "MACs" or not any(b"gcm" in name or b"poly1305" in name for name in theirs[place - 2])
            if needed and not wanted.intersection(theirs[place]):
                real = [name for name in theirs[place] if not name.startswith(_NO_ALGORITHMS)]
                there = ", ".join(name.decode("ascii", "replace") for name in real[:5])
                return f"{what}: it has {excerpt(there) or 'none'}"
    return None
