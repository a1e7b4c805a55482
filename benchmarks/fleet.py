"""Run COUNT simulated hosts in a process of their own, for benchmarks/probe.py and benchmarks/pings.py.

python benchmarks/fleet.py COUNT [FIRST]

Prints the (address, port) of each host as a JSON list, then runs until SIGTERM. Each host has its own address of the
loopback network; the names are numbered from FIRST, by default 0.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from ipaddress import IPv4Address

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.tasks import new_event_loop

ADDRESSES = IPv4Address("127.1.0.1")


async def run(count: int, first: int) -> None:
    """Start `count` hosts, print their addresses, and stop them at SIGTERM."""
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
