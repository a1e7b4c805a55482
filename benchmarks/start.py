"""Measure the processor time (user and system) of a lab until its `ready` line, and of `--help`.

    python benchmarks/start.py [--rounds 10] [--json]

Processor time of one process is nearly the same on a busy machine as on a quiet one. `ratio` compares it with that of
`bare_start.py`, the smallest program that does the same by the same libraries, so that it can be compared between
machines.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PROGRAM = (sys.executable, "-m", "imagestore_sim")
LAB = (*PROGRAM, "lab", "--port", "0")
BARE = (sys.executable, str(Path(__file__).with_name("bare_start.py")), "--port", "0")
HELP = (*PROGRAM, "--help")
LIBRARIES = ("aiohttp.web", "asyncssh", "pydantic", "sqlalchemy.ext.asyncio", "typer", "yaml")
IMPORTS = (sys.executable, "-c", f"import {', '.join(LIBRARIES)}")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def until_ready(command: Sequence[str]) -> float:
    """Return the processor time of a command with three hosts until its `ready` line, in seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as started:
        assert started.stdout is not None
        line = started.stdout.readline()
        used = _used(started.pid)
        started.terminate()
    if not line.startswith("ready "):
        raise SystemExit(f"{' '.join(command)} is not ready: {line!r}")
    return used


def _used(process: int) -> float:
    """Return the processor time of a process, in seconds (proc(5), fields 14 and 15)."""
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_end(command: Sequence[str]) -> float:
    """Return the processor time of a command, in seconds."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=ENVIRONMENT)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def measure(rounds: int) -> Mapping[str, float]:
    """Return the median of each command's processor time, in seconds."""
    commands: dict[str, Callable[[], float]] = {
        "libraries": lambda: until_end(IMPORTS),
        "help": lambda: until_end(HELP),
        "bare": lambda: until_ready(BARE),
        "lab": lambda: until_ready(LAB),
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):  # in turn, so that all meet the same machine
        for name, run in commands.items():
            found[name].append(run())
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds)
    rows = {name: {"seconds": round(one, 3), "ratio": round(one / found["bare"], 2)} for name, one in found.items()}
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(f"{name:10} {row['seconds']:.3f} s  {row['ratio']:.2f} times the bare program")


if __name__ == "__main__":
    main()
