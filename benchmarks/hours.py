"""Measure the processor time (user and system) of eight hours of a lab whose clock stands still and is moved on.

    python benchmarks/hours.py [--rounds 5] [--hosts 3] [--ping-interval 60] [--json]

Each ping is a probe over a real SSH connection that is kept, and the connection is checked between two pings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time

from imagestore_sim.lab import Lab, clock_of_loop, lab_loop
from imagestore_sim.settings import Settings

SECONDS = 8 * 3600


async def step(settings: Settings) -> float:
    """Return the processor time in which eight hours pass, in seconds."""
    clock = clock_of_loop()
    assert clock is not None
    async with Lab(settings, clock=clock):
        began = time.process_time()
        if not await clock.step(SECONDS):
            raise SystemExit("something was still under way")
        return time.process_time() - began


def measure(settings: Settings) -> float:
    """Run a new lab, and return what `step` returns."""
    with asyncio.Runner(loop_factory=lambda: lab_loop(settings)) as runner:
        return runner.run(step(settings))


def main() -> None:
    """Print the median of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--ping-interval", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = Settings(port=0, hosts=options.hosts, ping_interval=options.ping_interval, clock="paused", seed=1)
    seconds = statistics.median(measure(settings) for _ in range(options.rounds))
    pings = options.hosts * SECONDS // options.ping_interval
    found = {"seconds": round(seconds, 3), "milliseconds a ping": round(1000 * seconds / pings, 3)}
    print(json.dumps(found) if options.json else "\n".join(f"{name:20} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
