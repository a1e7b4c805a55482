"""So many simulated hosts in a process of their own, for benchmarks/probe.py: prints their ports, runs until stopped.

python benchmarks/fleet.py COUNT
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from simulator.commands import new_event_loop
from simulator.hosts import SimulatedHost


async def run(count: int) -> None:
    """Start them, and stop at SIGTERM."""
    hosts = [SimulatedHost(f"imagestore-{number}") for number in range(count)]
    for host in hosts:
        await host.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(json.dumps([host.address[1] for host in hosts]), flush=True)
    await stopped.wait()
    await asyncio.gather(*(host.stop() for host in hosts))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(int(sys.argv[1])))
