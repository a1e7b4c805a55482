"""A process of hosts that are out of their mind: `mad_hosts.py SEED PORT...` prints a port by name, and serves.

The PORTs are those of real servers, which are reached through a proxy that mutates. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
from collections.abc import AsyncIterator

import asyncssh
from mutations import Proxy, mutate_packets

from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import Credentials, SimulatedHost
from imagestore_sim.hosts.sshd import Sshd

PASSWORD = "password"


class MutatingSshd(Sshd):
    """An SSH server that mutates its packets before it encrypts them."""

    def __init__(self, host: SimulatedHost, seed: int) -> None:
        super().__init__(host)
        self._chance = random.Random(seed)

    def new_connection(self) -> asyncssh.SSHServerConnection:
        """Return a server for one connection, which mutates its packets."""
        connection = super().new_connection()
        mutate_packets(connection, random.Random(self._chance.random()))
        return connection


@contextlib.asynccontextmanager
async def simulated(name: str, *, seed: int | None = None, sftp: bool) -> AsyncIterator[SimulatedHost]:
    """Return a host with a storage at /zs; with a seed, its SSH server mutates its packets."""
    host = SimulatedHost(name, credentials=Credentials("root", PASSWORD))
    if seed is not None:
        host.sshd = MutatingSshd(host, seed)
    for folder in ("/zs", "/zs/registry"):
        host.disk.make_directory(folder)
    async with host:
        if not sftp:
            await host.faults.apply(read_fault("no_sftp", {}))
        yield host


async def serve(seed: int, real: list[int]) -> None:
    """Serve until nobody listens any more."""
    chance = random.Random(seed)
    ports: dict[str, int] = {}
    async with contextlib.AsyncExitStack() as stack:
        for name, sftp in (("sftp", True), ("shell", False)):
            mad = await stack.enter_async_context(simulated(name, seed=chance.randrange(2**32), sftp=sftp))
            sound = await stack.enter_async_context(simulated(name, sftp=sftp))
            proxy = Proxy(sound.address[1], chance.randrange(2**32))
            ports[f"mad-{name}"] = mad.address[1]
            ports[f"proxied-{name}"] = await stack.enter_async_context(proxy.serving())
        for number, port in enumerate(real):
            proxy = Proxy(port, chance.randrange(2**32))
            ports[f"real-{number}"] = await stack.enter_async_context(proxy.serving())
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # what they say of clients that have had enough of them is of no interest
    asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
