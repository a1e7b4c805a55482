"""The smallest asyncssh client and server that exchange what a ping does, for benchmarks/fleet.py.

    python benchmarks/bare_ssh.py [CONNECTIONS] [ROUNDS]

The client logs in with a password and opens an SFTP session, over each connection. Then it asks over each in turn, and
does nothing with the answers. Some work at once. Both sides have the cipher that a node and a simulated host agree on.
Prints processor time as JSON, in milliseconds a login (with its session) and a question. With `serve` in place of a
number it is the server: it prints `ready URL`, and answers until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from subprocess import Popen

import asyncssh
import uvloop
from typing_extensions import override

from load import processor_time, server, url_of

CONNECTIONS, ROUNDS, AT_ONCE = 500, 20, 4
CIPHERS = ("aes128-gcm@openssh.com",)
ASKED = struct.pack(">IBI", 46, 200, 1) + b"\0\0\0\x13statvfs@openssh.com" + b"\0\0\0\x0e/Cloud_bs/zs/."
ANSWER = struct.pack(">IBI11Q", 93, 201, 1, *([4096] * 11))


class Answering(asyncssh.SSHServerSession[bytes]):
    """Answers all that comes as one request."""

    @override
    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    @override
    def subsystem_requested(self, subsystem: str) -> bool:
        return True

    @override
    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._channel.write(ANSWER)


class Open(asyncssh.SSHServer):
    """Lets in everyone who has a password."""

    @override
    def password_auth_supported(self) -> bool:
        return True

    @override
    def validate_password(self, username: str, password: str) -> bool:
        return True

    @override
    def session_requested(self) -> Answering:
        return Answering()


class Asking(asyncssh.SSHClientSession[bytes]):
    """Asks one question at a time."""

    @override
    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    async def ask(self) -> None:
        """Ask, and wait for the answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self._channel.write(ASKED)
        await self._answered

    @override
    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._answered.set_result(None)


async def serve() -> None:
    """Serve until the process is stopped."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.create_server(
        Open, "127.0.0.1", 0, server_host_keys=[key], encoding=None, encryption_algs=CIPHERS
    )
    print(f"ready ssh://127.0.0.1:{listening.get_port()}", flush=True)
    await asyncio.Event().wait()


async def log_in(port: int) -> Asking:
    """Return a session on a connection of its own."""
    ssh = await asyncssh.connect(
        "127.0.0.1", port, username="root", password="password",  # noqa: S106 - the server takes any
        known_hosts=None, config=None, client_keys=None, agent_path=None, encryption_algs=CIPHERS,
    )  # fmt: skip
    _, session = await ssh.create_session(Asking, subsystem="sftp", encoding=None)
    assert isinstance(session, Asking)
    return session


async def measure(connections: int, rounds: int) -> dict[str, float]:
    """Return the processor time of a login and of a question on each side, in milliseconds."""
    with server([sys.executable, __file__, "serve"]) as process:
        port = int(url_of(process).rpartition(":")[2])
        sessions: list[Asking] = []

        async def log_in_often(first: int) -> None:
            for _ in range(first, connections, AT_ONCE):
                sessions.append(await log_in(port))

        async def go_on(first: int) -> None:
            for _ in range(rounds):
                for session in sessions[first::AT_ONCE]:
                    await session.ask()

        await log_in(port)  # what both sides make but once is none of the cost
        logins = await _worked(process, log_in_often)
        questions = await _worked(process, go_on)
    done = {"login": (logins, connections), "question": (questions, connections * rounds)}
    return {
        f"bare_{side}_ms_a_{what}": round(seconds / number * 1000, 3)
        for what, (both, number) in done.items()
        for side, seconds in zip(("server", "client"), both, strict=True)
    }


async def _worked(process: Popen[str], work: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
    """Do work, as many times at once as AT_ONCE says; return the processor time of server and client, in seconds."""
    before = processor_time(process), time.process_time()
    await asyncio.gather(*map(work, range(AT_ONCE)))
    return processor_time(process) - before[0], time.process_time() - before[1]


def main() -> int:
    """Serve, or measure and print; return the exit status."""
    if sys.argv[1:] == ["serve"]:
        uvloop.run(serve())
        return 0
    numbers = [*map(int, sys.argv[1:]), *(CONNECTIONS, ROUNDS)[len(sys.argv) - 1 :]]
    print(json.dumps(uvloop.run(measure(*numbers))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
