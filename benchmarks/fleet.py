"""So many simulated hosts in a process of their own, for benchmarks/probe.py: prints their addresses and ports as JSON,
and runs until it is stopped.

python benchmarks/fleet.py COUNT [FIRST]

Each has an address of the loopback network for itself; they are numbered from FIRST.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from ipaddress import IPv4Address

from imagestore_sim.cli.running import new_event_loop
from imagestore_sim.hosts import SimulatedHost

ADDRESSES = IPv4Address("127.1.0.1")


async def run(count: int, first: int) -> None:
    """Start them, and stop at SIGTERM."""
    hosts = [SimulatedHost(f"imagestore-{number}") for number in range(first, first + count)]
    for number, host in enumerate(hosts, start=first):
        await host.start(str(ADDRESSES + number))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(json.dumps([host.address for host in hosts]), flush=True)
    await stopped.wait()
    await asyncio.gather(*(host.stop() for host in hosts))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(int(sys.argv[1]), int((*sys.argv[2:], "0")[0])))
