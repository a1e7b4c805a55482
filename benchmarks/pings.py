"""Run a node that pings COUNT storages every 60 s for five minutes of virtual time, for benchmarks/probe.py.

    python benchmarks/pings.py COUNT

Each storage has its own simulated host. The hosts run in other processes and are reached in real time: while a ping is
under way, virtual time passes no faster than real time, so late ticks show. Prints a `Pings` as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from load import fleet, peak_memory

HERE = Path(__file__).parent
INTERVAL, TICKS = 60, 5
HOSTS_A_PROCESS = 5000
FIRST = IPv4Address("127.1.0.1")
PUNCTUAL_SECONDS = 0.1


@dataclass
class Pings:
    """The figures of the run."""

    storages: int
    pings: int = 0
    failed: int = 0
    ticks: int = 0
    late_ticks: int = 0
    """Ticks that came more than PUNCTUAL_SECONDS after they were due."""
    start_seconds: float = 0.0
    """Real time until every storage was connected for the first time."""
    seconds: float = 0.0
    """Real time of all ticks."""
    peak_memory: int = 0
    """Peak memory of the node's process, in bytes."""
    hosts_memory: int = 0
    """Peak memory of the processes of the hosts together, in bytes."""
    files_left: int = 0
    tasks_left: int = 0


def main() -> int:
    """Measure, print the figures, and return the exit status."""
    pings = Pings(int(sys.argv[1]))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses: list[tuple[str, int]] = []
        fleets = []
        for first in range(0, pings.storages, HOSTS_A_PROCESS):
            count = min(HOSTS_A_PROCESS, pings.storages - first)
            process, there = stack.enter_context(fleet(count, str(FIRST + first)))
            fleets.append(process)
            addresses += there
        run_virtually(ping(addresses, folder, pings))
        pings.hosts_memory = sum(peak_memory(process) for process in fleets)
    pings.peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(asdict(pings)))
    return 0


async def ping(addresses: list[tuple[str, int]], folder: Path, pings: Pings) -> None:
    """Start a node with a storage on each address, let TICKS intervals pass, and fill in `pings`."""
    files, clock = _open_files(), virtual_clock()
    settings = Settings(port=0, database=str(folder / "node.db"), ping_interval=INTERVAL, log_level="error")
    node = ManagementNode(settings, clock=clock)
    began = time.monotonic()
    await node.start(Bootstrap(backupStorages=tuple(_record(*address) for address in addresses)))
    pings.start_seconds = round(time.monotonic() - began, 1)
    before = await _counted(node)
    began = time.monotonic()
    await clock.sleep((TICKS + 0.5) * INTERVAL)  # the first comes up to half an interval late, by design
    await clock.settle()
    pings.seconds = round(time.monotonic() - began, 1)
    after = await _counted(node)
    pings.pings = int(after["probes"] - before["probes"])
    pings.failed = int(after["failures"])
    pings.ticks = int(after["ticks"])
    pings.late_ticks = int(after["ticks"] - after["punctual"])
    await node.stop()
    pings.files_left = _open_files() - files
    pings.tasks_left = len(asyncio.all_tasks()) - 1


def _record(hostname: str, port: int) -> BackupStorageRecord:
    return BackupStorageRecord(
        name=hostname,
        hostname=hostname,
        username="root",
        password="password",  # noqa: S106 - of simulated hosts
        sshPort=port,
        url="/Cloud_bs",
    )


async def _counted(node: ManagementNode) -> dict[str, float]:
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as answer:
        page = await answer.text()
    found = dict.fromkeys(("probes", "failures", "ticks", "punctual"), 0.0)
    names = {
        "imagestore_sim_probes_total": "probes",
        "imagestore_sim_probe_failures_total": "failures",
        "imagestore_sim_tracker_lag_seconds_count": "ticks",
    }
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in names:
                found[names[sample.name]] += sample.value
            elif sample.labels.get("le") == str(PUNCTUAL_SECONDS) and "tracker_lag" in sample.name:
                found["punctual"] = sample.value
    return found


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    sys.exit(main())
