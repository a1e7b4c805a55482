"""Compare a probe with OpenSSH's client and parallel-ssh, and measure a sweep of many hosts.

    python benchmarks/probe.py [--rounds 5] [--hosts 1000] [--storages 10000] [--json]

The first table has one real OpenSSH server (needs sshd and ssh), probed by each contender in turn, round after round:

ssh_process     a new `ssh` process that logs in by key and runs df
parallel_ssh    parallel-ssh (libssh2): a new connection, df; one after another, and 20 at once
fresh           our probe with a new login: SFTP and statvfs; one after another, and 20 at once
fresh_df        the same on a server without SFTP: df
warm_df         our probe over its warm connection, by df (on a server without SFTP)
warm_statvfs    our probe over its warm connection, by statvfs

The sweep is one warm probe of each of 1,000 simulated hosts, which run on another processor; the prober has one
processor. The best of its rounds counts, because other load on the machine only slows it down; everywhere else the
median counts. A ratio above 1 means that ours is faster.

Last, a node pings 10,000 storages, each on its own host, every 60 s for five minutes of virtual time (pings.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Capacity, Layout, Prober, Target
from imagestore_sim.tasks import new_event_loop
from load import CLIENTS, fleet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sshd import OpenSshServer

HERE = Path(__file__).parent
TIMES, LOGINS_AT_ONCE, WARM_TIMES = 10, 20, 300
PATH = "/"
Seconds = dict[str, list[float]]


def main() -> int:
    """Measure, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=1000, help="of the sweep")
    parser.add_argument("--storages", type=int, default=10_000, help="that are pinged in virtual time; 0: none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    _allow_files(4 * options.hosts + 1000)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        single, at_once, failed = runner.run(measure_real(options.rounds))
        sweep, worked = runner.run(measure_sweep(options.hosts, options.rounds))
    pings = measure_pings(options.storages) if options.storages else {}
    ratios = ratios_of(single, at_once)
    if options.json:
        details = {
            "milliseconds": _milliseconds(single),
            f"milliseconds_{LOGINS_AT_ONCE}_at_once": _milliseconds(at_once),
        }
        swept = {f"sweep_{options.hosts}_seconds": sweep, f"sweep_{options.hosts}_processor_seconds": worked}
        print(json.dumps({"ratios": ratios, **swept, "fleet": pings, "failed": failed, **details}))
        return 0
    print(f"{'':14} {'ms each':>9} {f'ms for {LOGINS_AT_ONCE} at once':>22} {'times faster than ssh':>23}")
    for name, seconds in single.items():
        ours = statistics.median(seconds)
        many = f"{statistics.median(at_once[name]) * 1000:22.0f}" if name in at_once else " " * 22
        print(f"{name:14} {ours * 1000:9.2f} {many} {statistics.median(single['ssh_process']) / ours:23.1f}")
    for name, count in failed.items():
        print(f"{name}: {count} of its logins failed")
    if "parallel_ssh" not in single:
        print("parallel-ssh is not installed: pip install '.[benchmarks]'")
    print(f"sweep of {options.hosts} simulated hosts: {sweep * 1000:.0f} ms, of which it worked {worked * 1000:.0f} ms")
    if pings:
        _print_pings(pings)
    print(json.dumps({"ratios": ratios}))
    return 0


def _print_pings(pings: Mapping[str, Any]) -> None:
    memory, of_hosts = (round(pings[name] / 2**20) for name in ("peak_memory", "hosts_memory"))
    print(
        f"{pings['storages']} storages: {pings['pings']} pings in {pings['ticks']} ticks took {pings['seconds']} s,"
        f" {pings['failed']} failed, {pings['late_ticks']} ticks were late; the first connects took"
        f" {pings['start_seconds']} s; the node held {memory} MiB at most (the hosts {of_hosts} MiB);"
        f" {pings['files_left']} files and {pings['tasks_left']} tasks were left after its stop"
    )


def ratios_of(single: Mapping[str, list[float]], at_once: Mapping[str, list[float]]) -> dict[str, float]:
    """Return how many times faster ours is than each contender."""
    each = {name: statistics.median(seconds) for name, seconds in single.items()}
    ours = ("warm_statvfs", "warm_df", "fresh", "fresh_df")
    ratios = {f"{name}_vs_ssh_process": each["ssh_process"] / each[name] for name in ours}
    if "parallel_ssh" in each:
        many = {name: statistics.median(seconds) for name, seconds in at_once.items()}
        ratios["fresh_vs_parallel_ssh"] = each["parallel_ssh"] / each["fresh"]
        ratios["fresh_df_vs_parallel_ssh"] = each["parallel_ssh"] / each["fresh_df"]
        for name in ("fresh", "fresh_df"):
            ratios[f"{name}_vs_parallel_ssh_{LOGINS_AT_ONCE}_at_once"] = many["parallel_ssh"] / many[name]
    return {name: round(ratio, 2) for name, ratio in ratios.items()}


async def measure_real(rounds: int) -> tuple[Seconds, Seconds, dict[str, int]]:
    """Return the seconds of single probes, the seconds of LOGINS_AT_ONCE at once, and the failures, by contender."""
    single: Seconds = {name: [] for name in ("ssh_process", "fresh", "fresh_df", "warm_df", "warm_statvfs")}
    at_once: Seconds = {name: [] for name in ("ssh_process", "fresh", "fresh_df")}
    failed: dict[str, int] = {}
    has_pssh = importlib.util.find_spec("pssh") is not None
    if has_pssh:
        single["parallel_ssh"], at_once["parallel_ssh"] = [], []
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        limits = "MaxStartups 200:30:200"  # more than LOGINS_AT_ONCE: no login is refused
        sshd = stack.enter_context(OpenSshServer(folders[0], limits))
        without_sftp = stack.enter_context(OpenSshServer(folders[1], limits, sftp=False))
        async with _Ours(sshd) as ours, _Ours(without_sftp) as by_df:
            for _ in range(rounds):
                single["ssh_process"] += [await _timed(lambda: _ssh(sshd)) for _ in range(TIMES)]
                if has_pssh:
                    found = await _parallel_ssh(sshd)
                    single["parallel_ssh"] += found["serial"]
                    at_once["parallel_ssh"].append(found["at_once"])
                    failed["parallel_ssh"] = failed.get("parallel_ssh", 0) + found["failed"]
                single["fresh"] += [await _timed(ours.fresh) for _ in range(TIMES)]
                single["fresh_df"] += [await _timed(by_df.fresh) for _ in range(TIMES)]
                at_once["fresh"].append(await _timed(ours.many_fresh))
                at_once["fresh_df"].append(await _timed(by_df.many_fresh))
                at_once["ssh_process"].append(await _timed(lambda: _gather(_ssh(sshd) for _ in range(LOGINS_AT_ONCE))))
                single["warm_df"] += [await _timed(by_df.warm) for _ in range(WARM_TIMES // 10)]
                single["warm_statvfs"] += [await _timed(ours.warm) for _ in range(WARM_TIMES)]
    return single, at_once, failed


class _Ours:
    """Our prober on a real server."""

    def __init__(self, sshd: OpenSshServer) -> None:
        self._sshd = sshd
        self._prober = Prober(RealClock(), identity_file=sshd.identity_file, resolve=self._resolve)

    async def _resolve(self, _hostname: str, _port: int) -> tuple[str, int]:
        return "127.0.0.1", self._sshd.port

    async def __aenter__(self) -> _Ours:
        await self.fresh()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._prober.close()

    async def _probe(self, hostname: str, *, fresh: bool) -> None:
        found = await self._prober.probe(Target(hostname, 22, self._sshd.username, PATH), fresh=fresh)
        assert isinstance(found, Capacity), found
        if fresh and hostname != "host":
            await self._prober.forget(hostname)

    async def fresh(self) -> None:
        """Probe once with a new login."""
        await self._probe("host", fresh=True)

    async def warm(self) -> None:
        """Probe once over the warm connection."""
        await self._probe("host", fresh=False)

    async def many_fresh(self) -> None:
        """Probe LOGINS_AT_ONCE times at once, each with a new login."""
        await _gather(self._probe(f"host-{number}", fresh=True) for number in range(LOGINS_AT_ONCE))


async def _ssh(sshd: OpenSshServer) -> None:
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "BatchMode": "yes",
    }
    words = ["ssh", "-F", "none", "-p", str(sshd.port), "-i", str(sshd.identity_file)]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    process = await asyncio.create_subprocess_exec(
        *words, f"{getpass.getuser()}@127.0.0.1", f"df -kP {PATH}", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output


async def _parallel_ssh(sshd: OpenSshServer) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "pssh_probe.py"),
        *(str(sshd.port), sshd.username, str(sshd.identity_file), PATH, str(TIMES), str(LOGINS_AT_ONCE)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return dict(json.loads(output))


async def measure_sweep(count: int, rounds: int) -> tuple[float, float]:
    """Return the real and the processor seconds of a warm probe of each of `count` hosts, the best of the rounds."""
    with fleet(count) as (_, addresses):
        os.sched_setaffinity(0, CLIENTS[:1])
        prober = Prober(RealClock(), resolve=_itself)
        targets = [Target(address, port, "root", "/zs", "password") for address, port in addresses]
        await _gather(prober.probe(target, layout=Layout.CREATE) for target in targets)
        seconds, worked = [], []
        for _ in range(4 * rounds):
            began = time.process_time()
            seconds.append(await _timed(lambda: _sweep(prober, targets)))
            worked.append(time.process_time() - began)
        await prober.close()
    return round(min(seconds), 4), round(min(worked), 4)


async def _itself(address: str, port: int) -> tuple[str, int]:
    return address, port


def measure_pings(count: int) -> dict[str, Any]:
    """Run pings.py with `count` storages and return its figures; its own process keeps the memory figure clean."""
    done = subprocess.run([sys.executable, str(HERE / "pings.py"), str(count)], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


async def _sweep(prober: Prober, targets: list[Target]) -> None:
    found = await asyncio.gather(*(prober.probe(target) for target in targets))
    assert all(isinstance(one, Capacity) for one in found), [one for one in found if not isinstance(one, Capacity)][:1]


async def _gather(works: Iterable[Awaitable[object]]) -> None:
    await asyncio.gather(*works)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def _milliseconds(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: round(statistics.median(one) * 1000, 3) for name, one in seconds.items()}


def _allow_files(requested: int) -> None:
    """Raise the limit of open files, for this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < requested:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (requested if hard == resource.RLIM_INFINITY else min(requested, hard), hard)
        )


if __name__ == "__main__":
    sys.exit(main())
