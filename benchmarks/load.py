"""Servers as processes of their own, pinned to a processor, and wrk to load them from the others."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
SECONDS_TO_STOP = 10
PROCESSORS = sorted(os.sched_getaffinity(0))
SERVERS, CLIENTS = PROCESSORS[:1], PROCESSORS[1:] or PROCESSORS
# What wrk is told; `PATHS` stands for a Lua expression over `n`, which goes up by one with each request.
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
    """What a server did under load: requests a second, how long half and nearly all of them took (milliseconds), and
    the processor's time for one, whatever else the machine had to do (microseconds)."""

    rate: float
    p50: float
    p99: float
    cost: float


@contextmanager
def server(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own on the servers' processor, stopped in the end."""
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


def url_of(process: subprocess.Popen[str]) -> str:
    """The URL in a server's line `ready URL`. Raises RuntimeError for one that ends without it."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready "):
            return line.split()[1]
    raise RuntimeError(f"{process.args!r} ended before it was ready")


def load(process: subprocess.Popen[str], url: str, path: str, headers: Mapping[str, str], seconds: int) -> Load:
    """Ask a server for a path, given as a Lua expression, as fast as it answers. Raises RuntimeError on any failure."""
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
    told = json.loads(done.stderr)
    if told["failed"]:
        raise RuntimeError(f"{told['failed']} of {told['requests']} requests failed: {path}")
    rate = told["requests"] / told["microseconds"] * 1e6
    cost = (processor_time(process) - before) / told["requests"] * 1e6
    return Load(rate, told["p50"] / 1000, told["p99"] / 1000, cost)


def processor_time(process: subprocess.Popen[str]) -> float:
    """The seconds that a process has kept a processor busy for."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The most memory that a process has held so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
