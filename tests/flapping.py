"""A scenario in which much goes wrong at once, in virtual time, and the log of its events: JSON lines.

    python tests/flapping.py --hours 10 --runs 100

prints how long each run took in real seconds, and the hash of its log.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import tempfile
import time
from pathlib import Path

import orjson

from imagestore_sim.hosts import Credentials
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.virtual_clock import run_virtually, virtual_clock


async def flapping(hours: float) -> bytes:
    """Return the event log of a host that is up for ten minutes and down for five, for `hours` hours."""
    clock = virtual_clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, hosts=3, database=str(Path(folder) / "lab.db"))
        async with Lab(settings, clock=clock) as lab:
            end = clock.monotonic() + hours * 3600
            while clock.monotonic() < end:
                await clock.sleep(600)
                await lab.network["imagestore-1"].stop()
                await clock.sleep(300)
                await lab.network["imagestore-1"].start()
            return await log_of(lab)


async def much_at_once(hours: float) -> bytes:
    """Let hosts disappear together, disks fill and passwords change while clients send requests."""
    clock = virtual_clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, hosts=5, ping_interval=20, database=str(Path(folder) / "lab.db"))
        async with Lab(settings, clock=clock) as lab, Client(lab.url, clock=clock) as client:
            await client.log_in()
            hosts = [lab.network[f"imagestore-{number}"] for number in range(1, 6)]
            end = clock.monotonic() + hours * 3600
            while clock.monotonic() < end:
                await clock.sleep(95)
                await asyncio.gather(hosts[0].stop(), hosts[1].stop(), hosts[2].stop())
                hosts[3].disk.used += 2**30
                hosts[4].credentials = Credentials("root", "changed")
                await clock.sleep(47)
                await asyncio.gather(*(_ask(client, number) for number in range(6)), hosts[0].start())
                await clock.sleep(60)
                await asyncio.gather(hosts[1].start(), hosts[2].start())
                hosts[4].credentials = None
            return await log_of(lab)


async def _ask(client: Client, number: int) -> None:
    """Reconnect one of the storages, or add one and delete it again."""
    if number < 5:
        [storage] = await client.query("/backup-storage", f"name=imagestore-{number + 1}")
        path = f"/backup-storage/{storage['uuid']}/actions"
        with contextlib.suppress(CallFailed):  # its event is in the log
            await client.call("PUT", path, {"reconnectBackupStorage": {}})
    else:
        added = await client.add_image_store("another-1")
        await client.call("DELETE", f"/backup-storage/{added['uuid']}")


async def log_of(lab: Lab) -> bytes:
    log, lines, last = lab.node.parts.store.event_log, bytearray(), 0
    while events := await log.since(last, 1000):
        for event in events:
            lines += orjson.dumps(event.to_json()) + b"\n"
        last = events[-1].id
    return bytes(lines)


def main() -> None:
    """Run it, and print the hash of the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--much", action="store_true", help="the scenario with much at once")
    options = parser.parse_args()
    hashes = set()
    for run in range(options.runs):
        began = time.perf_counter()
        log = run_virtually((much_at_once if options.much else flapping)(options.hours))
        digest = hashlib.sha256(log).hexdigest()
        hashes.add(digest)
        print(f"run {run + 1}: {time.perf_counter() - began:.2f} s, {len(log.splitlines())} events, {digest}")
    print(f"{options.runs} runs of {options.hours:g} virtual hours: {len(hashes)} different log(s)")


if __name__ == "__main__":
    main()
