"""Run servers in processes pinned to one processor, and load them by wrk from the other processors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

CONNECTIONS = 32
SECONDS_TO_STOP = 10
PROCESSORS = sorted(os.sched_getaffinity(0))
SERVERS, CLIENTS = PROCESSORS[:1], PROCESSORS[1:] or PROCESSORS
# The script of wrk. `PATH` is replaced by a Lua expression over `n`, the number of the request.
SCRIPT = """
local n = 0
request = function() n = n + 1; return wrk.format("GET", PATH) end
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.stderr:write(string.format('{"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Load:
    """The figures of one load: requests a second, latencies in milliseconds, and processor time a request."""

    rate: float
    p50: float
    p99: float
    cost: float
    """Processor time of the server for one request, in microseconds: other load on the machine does not change it."""


@contextmanager
def server(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a server in its own process on the servers' processor; terminate it on exit."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVERS),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS_TO_STOP)


@contextmanager
def fleet(count: int, first: str = "127.1.0.1") -> Iterator[tuple[subprocess.Popen[str], list[tuple[str, int]]]]:
    """Run simulated hosts in a process of their own; yield it, and the address and port of each host."""
    command = [sys.executable, "-m", "imagestore_sim", "host", "--count", str(count), "--from", first, "--port", "0"]
    with server(command) as process:
        port = int(url_of(process).rpartition(":")[2])
        yield process, [(str(IPv4Address(first) + number), port) for number in range(count)]


def url_of(process: subprocess.Popen[str]) -> str:
    """Return the URL of a server's line `ready URL`. Raise RuntimeError if the process ends without printing it."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready "):
            return line.split()[1]
    raise RuntimeError(f"{process.args!r} ended before it was ready")


def load(process: subprocess.Popen[str], url: str, path: str, headers: Mapping[str, str], seconds: int) -> Load:
    """Load a server for `seconds` with requests for `path`, a Lua expression. Raise RuntimeError if a request fails."""
    before = processor_time(process)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "wrk.lua"
        script.write_text(SCRIPT.replace("PATH", path))
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
        options += [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
        done = subprocess.run(
            ["wrk", *options, url],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, CLIENTS),
        )
    results = json.loads(done.stderr)
    if results["failed"]:
        raise RuntimeError(f"{results['failed']} of {results['requests']} requests failed: {path}")
    rate = results["requests"] / results["microseconds"] * 1e6
    cost = (processor_time(process) - before) / results["requests"] * 1e6
    return Load(rate, results["p50"] / 1000, results["p99"] / 1000, cost)


def processor_time(process: subprocess.Popen[str]) -> float:
    """Return the processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Return the peak memory of a process so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
