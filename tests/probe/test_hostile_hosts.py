"""Hosts that flood are cut off, reported as such, and do not delay other hosts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_CLOSE
from asyncssh.packet import Boolean, String, UInt32
from ssh_stubs import PASSWORD, Process, SshStub, _Account, ssh_stub

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from imagestore_sim.probe.shell import Answer, MarkedOutput, parse
from processes import child
from stalls import measuring_stalls

pytestmark = pytest.mark.thorough

LONGEST_STALL = 0.2
"""Seconds of processor time."""
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
IGNORE = b"\0\0\0\x0c\x06\x02\0\0\0\0" + bytes(6)
DEBUG = b"\0\0\0\x14\x09\x04\x01\0\0\0\0\0\0\0\0" + bytes(9)
UNIMPLEMENTED = b"\0\0\0\x0c\x06\x03\0\0\0\1" + bytes(6)
HUGE = b"\0\x03\xff\xff\x06"

RAW: list[tuple[str, bytes, bytes, set[Reason]]] = [
    ("lines before the banner", b"", b"no banner yet\r\n", {Reason.NOT_SSH}),
    ("one line without an end", b"", b"x" * 100, {Reason.NOT_SSH}),
    ("a banner without an end", b"SSH-2.0-", b"x" * 100, {Reason.NOT_SSH}),
    ("packets to be ignored before the keys", BANNER, IGNORE, {Reason.FLOOD}),
    ("debug messages before the keys", BANNER, DEBUG, {Reason.FLOOD}),
    ("complaints before the keys", BANNER, UNIMPLEMENTED, {Reason.FLOOD}),
    ("a packet that is huge", BANNER + HUGE, b"x" * 1000, {Reason.FLOOD, Reason.NOT_SSH}),
    ("noise in place of packets", BANNER, b"\x55" * 1000, {Reason.NOT_SSH}),
]


@contextmanager
def raw_flood(first: bytes, again: bytes) -> Iterator[int]:
    """Run a server in a thread that sends the second text without end, and provide its port."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    piece = again * (65536 // len(again) + 1)

    def flood(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(first)
            while not over.is_set():
                connection.sendall(piece)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(60)
                threading.Thread(target=flood, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def in_a_thread(serving: Callable[[], contextlib.AbstractAsyncContextManager[SshStub]]) -> Iterator[SshStub]:
    """Run an SSH server on an event loop of its own, so that its work does not slow the prober."""
    started = threading.Event()
    running: list[tuple[SshStub, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        async with serving() as stub:
            running.append((stub, asyncio.get_running_loop(), over))
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(60)
    stub, loop, over = running[0]
    try:
        yield stub
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        assert not thread.is_alive()


@asynccontextmanager
async def beside_a_healthy_host(hostile: Callable[[Prober], Awaitable[None]]) -> AsyncIterator[None]:
    """Probe a healthy host while the block runs, and assert that no probe is delayed."""
    prober = Prober(RealClock(), connect_timeout=60.0, command_timeout=60.0)
    async with SimulatedHost("healthy") as host, measuring_stalls() as stalls:
        target = Target(*host.address, "root", "/", PASSWORD)
        probing = asyncio.ensure_future(hostile(prober))
        try:
            while not probing.done():
                async with asyncio.timeout(30):
                    assert isinstance(await prober.probe(target, fresh=True), Capacity)
                await asyncio.sleep(0.05)
            await probing
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            await prober.close()
        yield
    assert stalls.longest < LONGEST_STALL


@pytest.mark.parametrize(("what", "first", "again", "reasons"), RAW, ids=[row[0] for row in RAW])
async def test_a_flood_before_the_login_is_cut_off_and_delays_no_other_host(
    what: str, first: bytes, again: bytes, reasons: set[Reason]
) -> None:
    with raw_flood(first, again) as port:

        async def probe(prober: Prober) -> None:
            targets = [Target("localhost", port, f"user{number}", "/", PASSWORD) for number in range(3)]
            for target in targets:
                found = await prober.probe(target)
                assert isinstance(found, ProbeFailure)
                assert found.reason in reasons, (what, found)
                assert found.advice

        async with beside_a_healthy_host(probe):
            pass


Storm = Callable[[asyncssh.SSHServerConnection], Coroutine[object, object, None]]


def many(kind: int, *parts: bytes, times: int = 30_000) -> Storm:
    """Yield the same packet without end."""

    async def send(connection: asyncssh.SSHServerConnection) -> None:
        for number in range(times):
            if connection.is_closed():
                return
            connection.send_packet(kind, *parts)
            if number % 200 == 0:
                await asyncio.sleep(0)

    return send


async def exchange_keys(connection: asyncssh.SSHServerConnection) -> None:
    """Ask for new keys again and again."""
    for _ in range(200):
        connection._send_kexinit()
        connection._kexinit_sent = True
        while connection._kexinit_sent or connection._kex:
            if connection.is_closed():
                return
            await asyncio.sleep(0.001)


DURING_THE_LOGIN: list[tuple[str, Storm]] = [
    ("notices", many(53, String("x" * 60), String(""))),
    ("packets to be ignored", many(2, String(b""))),
    ("debug messages", many(4, Boolean(True), String("x"), String(""))),
    ("complaints", many(3, UInt32(1))),
]
IN_A_SESSION: list[tuple[str, Storm]] = [
    ("packets to be ignored", many(2, String(b""))),
    ("debug messages", many(4, Boolean(True), String("x"), String(""))),
    ("requests", many(80, String("keepalive@openssh.com"), Boolean(True))),
    ("requests that nobody knows", many(80, String("x@example.org"), Boolean(False))),
    ("bytes that may be sent", many(93, UInt32(0), UInt32(1))),
    ("exit statuses", many(98, UInt32(0), String("exit-status"), Boolean(False), UInt32(0))),
    ("channels", many(90, String("session"), UInt32(1), UInt32(1), UInt32(1))),
    ("packets of no kind", many(191)),
    ("key exchanges", exchange_keys),
]


def stormy(storm: Storm, *, login: bool) -> type[asyncssh.SSHServer]:
    """Run a server that accepts any login, and sends a storm of packets."""

    class Stormy(asyncssh.SSHServer):
        def __init__(self, stub: SshStub) -> None:
            self._stub = stub

        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self._stub.connections.add(conn)
            self._connection = conn

        def connection_lost(self, exc: Exception | None) -> None:
            self._stub.connections.discard(self._connection)

        async def begin_auth(self, username: str) -> bool:
            if login:
                await storm(self._connection)
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return True

        def session_requested(self) -> bool:
            if not login:
                self._connection.create_task(storm(self._connection))
            return False

    return Stormy


@pytest.mark.parametrize(
    ("storm", "login"),
    [*((storm, True) for _, storm in DURING_THE_LOGIN), *((storm, False) for _, storm in IN_A_SESSION)],
    ids=[*(f"login, {name}" for name, _ in DURING_THE_LOGIN), *(f"session, {name}" for name, _ in IN_A_SESSION)],
)
async def test_a_storm_of_packets_is_cut_off_and_delays_no_other_host(storm: Storm, login: bool) -> None:
    with in_a_thread(lambda: ssh_stub(account=stormy(storm, login=login))) as stub:  # type: ignore[arg-type]
        prober = Prober(RealClock(), connect_timeout=60.0, command_timeout=60.0, busy_pauses=())
        async with measuring_stalls() as stalls:
            found = await prober.probe(stub.target())
        await prober.close()
    assert isinstance(found, ProbeFailure)
    allowed = {Reason.FLOOD} if login else {Reason.FLOOD, Reason.BUSY, Reason.NO_COMMAND, Reason.RESET}
    assert found.reason in allowed, found
    assert stalls.longest < LONGEST_STALL


def shouting(text: str, times: int = 4_000) -> Callable[[Process], Awaitable[None]]:
    """Return a login shell that repeats a text on both outputs."""

    async def run(process: Process) -> None:
        with contextlib.suppress(Exception):
            for _ in range(times):
                if process.is_closing():
                    return
                process.stdout.write(text)
                process.stderr.write(text)
                await process.stdout.drain()

    return run


@pytest.mark.parametrize(
    "text",
    [
        "__BEGIN__\n",
        "__BEGIN__\n__END__ rc=0 directory=0\n",
        "__BEGIN__",
        "__END__",
        "x" * 20,
        "fs 1 1 1 1% /\n" * 50,
        "\n" * 20,
        " 1" * 500,
    ],
)
async def test_a_shell_that_shouts_is_no_capacity_in_little_time(text: str) -> None:
    with in_a_thread(lambda: ssh_stub(process=shouting(text))) as stub:
        prober = Prober(RealClock(), connect_timeout=60.0, command_timeout=60.0)
        async with measuring_stalls() as stalls:
            found = await prober.probe(stub.target())
        await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason in {Reason.NO_CAPACITY, Reason.FLOOD}, found
    assert stalls.longest < LONGEST_STALL


def test_an_answer_is_found_in_time_that_grows_as_the_text_does() -> None:
    output = MarkedOutput("0123456789abcdef")
    for _ in range(60_000):
        output.feed("__END__0123456789abcde")
    output.feed("__BEGIN__0123456789abcdef\nfs 1 0 1 0% /\n__END__0123456789abcdef rc=0 ")
    assert (output.complete, output.answer) == (False, None)
    output.feed("directory=0")
    assert output.answer is not None
    assert output.answer.output == "fs 1 0 1 0% /\n"


def test_a_marker_that_a_shell_repeats_in_a_line_begins_and_ends_nothing() -> None:
    said = (
        "+ echo __BEGIN__00ff; df\n__BEGIN__00ff\r\na __END__00ff rc= b\n"
        "__END__00ff rc=7 directory=2\n__END__00ff rc=0 directory=0\n"
    )
    answer = parse(said, "00ff")
    assert answer == Answer("a __END__00ff rc= b\n", 7, directory=False, file=True)
    assert parse(said, "00fe") is None


async def test_an_answer_counts_though_its_session_lingers() -> None:
    async def run(process: Process) -> None:
        async with child("/bin/sh", "-c", process.command or "", stdout=asyncio.subprocess.PIPE) as shell:
            output, _ = await shell.communicate()
        process.stdout.write(output.decode())
        await asyncio.sleep(60)

    async with ssh_stub(process=run) as stub:
        prober = Prober(RealClock(), connect_timeout=60.0, command_timeout=30.0)
        for _ in range(4):
            found = await prober.probe(stub.target(url="/tmp"))
            assert isinstance(found, Capacity), found
        assert stub.logins == 1
        await prober.close()


class ClosedAsItOpens(asyncssh.SSHServerSession[bytes]):
    """A session whose end is sent just before the word that it has begun."""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        self._channel.send_packet(MSG_CHANNEL_CLOSE)
        return True

    def exec_requested(self, command: str) -> bool:
        return self.subsystem_requested(command)


async def test_a_session_that_ends_as_it_opens_is_a_lost_one(caplog: pytest.LogCaptureFixture) -> None:
    class Account(_Account):
        def session_requested(self) -> ClosedAsItOpens:
            return ClosedAsItOpens()

    async with ssh_stub(account=Account) as stub:
        prober = Prober(RealClock(), connect_timeout=60.0, command_timeout=60.0, busy_pauses=())
        found = [await prober.probe(stub.target()) for _ in range(10)]
        await prober.close()
    assert {one.reason for one in found if isinstance(one, ProbeFailure)} == {Reason.RESET}, found
    assert len(found) == 10
    assert not caplog.records
