"""Run nodes over many storages, each on a simulated host of its own over real SSH, and ping each every minute.

    python benchmarks/fleet.py COUNT [--nodes N] [--minutes 5] [--interval 60] [--hosts-a-process 10000]

Everything runs in real time: processes of hosts (`imagestore-sim host --count`), and nodes (`imagestore-sim serve`)
that share the storages evenly. The hosts stand for other machines: they run at a lower priority. Meanwhile ten queries
a second ask the nodes in turn for a page of storages. Prints the figures as JSON, on standard error what it is doing.
`load` is the load average of the machine, if it has other work.
Last comes what asyncssh alone takes for the same exchange beside all of this (bare_ssh.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.testing import Client
from load import processor_time, url_of

PROGRAM = (sys.executable, "-m", "imagestore_sim")
BARE = Path(__file__).with_name("bare_ssh.py")
FIRST = IPv4Address("127.1.0.1")
QUERIES_A_SECOND = 10
SECONDS_TO_STOP = 60
PATIENCE_SECONDS = 300
"""For an answer: a machine that is too slow for the storages shows in the figures."""
LATE_SECONDS = 2
INTERVALS_TO_SETTLE = 3.5
NICENESS_OF_HOSTS = 10
"""The hosts stand for other machines, so they do not take processors from the nodes."""
TICKS, IN_TIME = "imagestore_sim_tracker_lag_seconds_count", "imagestore_sim_tracker_lag_seconds_bucket"
PROBES, FAILURES = "imagestore_sim_probes_total", "imagestore_sim_probe_failures_total"
COUNTED = (TICKS, IN_TIME, PROBES, FAILURES)


@dataclass(frozen=True, slots=True)
class Programs:
    """The processes of a run."""

    hosts: Sequence[subprocess.Popen[str]]
    nodes: Sequence[subprocess.Popen[str]]
    urls: Sequence[str]


def main() -> int:
    """Measure, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("count", type=int)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--interval", type=int, default=60)
    parser.add_argument("--hosts-a-process", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        began, idle = time.monotonic(), _memory_alone(exits, Path(folder))
        programs = _start(options, Path(folder), exits)
        figures = {"storages": options.count, "nodes": options.nodes, "start_seconds": round(time.monotonic() - began)}
        figures["hosts_processor_seconds_to_ready"] = round(_worked(programs.hosts), 1)
        figures["nodes_processor_seconds_to_ready"] = round(_worked(programs.nodes), 1)
        _say(f"ready: {figures}")
        figures |= asyncio.run(_watch(options, programs))
        figures |= _memory(programs, options.count, idle)
        figures |= json.loads(subprocess.check_output([sys.executable, str(BARE)]))
        print(json.dumps(figures, indent=2), flush=True)  # to stop all programs may take minutes
    return 0


def _start(options: argparse.Namespace, folder: Path, exits: contextlib.ExitStack) -> Programs:
    """Start the hosts, and nodes each with their share of the storages; return when all storages have been tried."""
    hosts, shares = [], _shares(options.count, options.nodes)
    inventories: list[list[Path]] = [[] for _ in shares]
    first = 0
    for node, share in enumerate(shares):
        for count in _pieces(share, options.hosts_a_process):
            inventories[node].append(folder / f"hosts-{first}.yaml")
            hosts.append(_run_hosts(first, count, inventories[node][-1], exits))
            first += count
    nodes = []
    for node, files in enumerate(inventories):
        records = folder / f"node-{node}.yaml"
        records.write_text("backupStorages:\n" + "".join(_storages(files)))
        given = ("--port", "0", "--database", str(folder / f"node-{node}.db"), "--bootstrap", str(records))
        more = ("--ping-interval", str(options.interval), "--log-level", "error")
        nodes.append(_run([*PROGRAM, "serve", *given, *more], exits))
    _say(f"{len(hosts)} processes of hosts run; {len(nodes)} nodes connect")
    return Programs(hosts, nodes, [url_of(node) for node in nodes])


def _run_hosts(first: int, count: int, inventory: Path, exits: contextlib.ExitStack) -> subprocess.Popen[str]:
    where = ("--from", str(FIRST + first), "--count", str(count), "--port", "0", "--inventory", str(inventory))
    nice = ("nice", "-n", str(NICENESS_OF_HOSTS))
    process = _run([*nice, *PROGRAM, "host", f"imagestore-{first + 1}", *where], exits)
    url_of(process)
    return process


def _run(command: Sequence[str], exits: contextlib.ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    exits.callback(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _storages(files: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of the storages in some inventories."""
    for file in files:
        yield from (f"{line}\n" for line in file.read_text().splitlines() if line.startswith("  - "))


def _shares(count: int, parts: int) -> list[int]:
    return [count // parts + (one < count % parts) for one in range(parts)]


def _pieces(count: int, most: int) -> list[int]:
    return [min(most, count - begun) for begun in range(0, count, most)]


async def _watch(options: argparse.Namespace, programs: Programs) -> dict[str, Any]:
    """Return the figures of some minutes of pings, which begin when every storage has been pinged once."""
    async with contextlib.AsyncExitStack() as exits:
        clients = [await exits.enter_async_context(Client(url, timeout=PATIENCE_SECONDS)) for url in programs.urls]
        for client in clients:
            await client.log_in()
        # The first tick of a node comes late, by design, and what was late since it connected hosts is so once more.
        await asyncio.sleep(INTERVALS_TO_SETTLE * options.interval)
        before, began = await _counted(programs.urls), time.monotonic()
        worked = [_worked(programs.hosts), _worked(programs.nodes)]
        latencies = await _query(clients, options.minutes * 60)
        seconds = time.monotonic() - began
        after = await _counted(programs.urls)
    done = {name: after[name] - before[name] for name in before}
    worked = [_worked(programs.hosts) - worked[0], _worked(programs.nodes) - worked[1]]
    return {
        "minutes": round(seconds / 60, 1),
        "load": os.getloadavg()[1],
        "pings": int(done["pings"]),
        "pings_expected": round(options.count * seconds / options.interval),
        "failed": int(done["failed"]),
        "ticks": int(done["ticks"]),
        f"ticks_later_than_{LATE_SECONDS}_s": int(done["ticks"] - done["in_time"]),
        "query_p50_ms": round(statistics.median(latencies) * 1000, 1),
        "query_p99_ms": round(statistics.quantiles(latencies, n=100)[98] * 1000, 1),
        "hosts_ms_a_ping": round(worked[0] / done["pings"] * 1000, 3),
        "nodes_ms_a_ping": round(worked[1] / done["pings"] * 1000, 3),
        "hosts_processors": round(worked[0] / seconds, 2),
        "nodes_processors": round(worked[1] / seconds, 2),
    }


async def _query(clients: Sequence[Client], seconds: float) -> list[float]:
    """Ask the nodes in turn for a page of storages, for some seconds; return how long each answer took, in seconds."""
    latencies: list[float] = []
    end = time.monotonic() + seconds
    due = time.monotonic()
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        client = clients[len(latencies) % len(clients)]
        began = time.perf_counter()
        await client.query("/backup-storage", "status=Connected", limit="20", start=str(len(latencies) % 100))
        latencies.append(time.perf_counter() - began)
        due = max(due + 1 / QUERIES_A_SECOND, time.monotonic())
    return latencies


async def _counted(urls: Sequence[str]) -> dict[str, float]:
    """Return the sums of the nodes' counters of pings and ticks."""
    found = dict.fromkeys(("pings", "failed", "ticks", "in_time"), 0.0)
    names = {PROBES: "pings", FAILURES: "failed", TICKS: "ticks"}
    async with aiohttp.ClientSession() as session:
        for url in urls:
            async with session.get(f"{url}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            page = "\n".join(line for line in lines if line.startswith(COUNTED))  # not the series of each storage
            for sample in (one for family in text_string_to_metric_families(page) for one in family.samples):
                in_time = sample.name == IN_TIME and float(sample.labels["le"]) == LATE_SECONDS
                if (name := "in_time" if in_time else names.get(sample.name)) is not None:
                    found[name] += sample.value
    return found


def _memory_alone(exits: contextlib.ExitStack, folder: Path) -> dict[str, int]:
    """Return what a process of hosts and a node take without any to speak of, in bytes."""
    with contextlib.ExitStack() as these:
        host = _run([*PROGRAM, "host", "--count", "2", "--port", "0"], these)
        url_of(host)
        node = _run([*PROGRAM, "serve", "--port", "0", "--database", str(folder / "alone.db")], these)
        url_of(node)
        return {"host": _resident(host), "node": _resident(node)}


def _memory(programs: Programs, count: int, alone: dict[str, int]) -> dict[str, Any]:
    hosts = sum(_resident(one) for one in programs.hosts)
    nodes = sum(_resident(one) for one in programs.nodes)
    return {
        "hosts_kb_each": round((hosts - len(programs.hosts) * alone["host"]) / count / 1024, 1),
        "nodes_kb_a_storage": round((nodes - len(programs.nodes) * alone["node"]) / count / 1024, 1),
        "memory_gb": round((hosts + nodes) / 1e9, 2),
    }


def _resident(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def _worked(processes: Sequence[subprocess.Popen[str]]) -> float:
    return sum(processor_time(one) for one in processes)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
