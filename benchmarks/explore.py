"""Measure how many stories a second `imagestore-sim explore` plays, in one process and in two.

    python benchmarks/explore.py [--runs 60] [--seed 1] [--jobs 2] [--json]

Both play the same seeds, and have to have the same logs: else the status is 1. `given` is the part of its processors
that the machine gave to a search. Below 0.9 it had other work, and the ratio of the rates tells little; the processor
time of a story does even then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass

EXPLORE = (sys.executable, "-m", "imagestore_sim", "explore")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class Search:
    """What a search took: the start of its processes is a part of it."""

    jobs: int
    rate: float
    """Stories a second."""
    processor: float
    """Seconds of the processor (user and system) that a story took."""
    given: float
    """The part of `jobs` processors that the machine gave to it."""
    logs: str
    """The hash of all event logs."""

    def __str__(self) -> str:
        return (
            f"-j {self.jobs}: {self.rate:.2f} stories/s, {self.processor:.3f} CPU s a story, "
            f"given {self.given:.2f}, logs {self.logs}"
        )


def search(runs: int, seed: int, jobs: int) -> Search:
    """Play stories. Exit if the search finds something, or fails."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--runs", str(runs), "--seed", str(seed), "-j", str(jobs), "--out", folder)
        before, began = os.times(), time.monotonic()
        done = subprocess.run((*EXPLORE, *options), capture_output=True, text=True, env=ENVIRONMENT, check=False)
        took, after = time.monotonic() - began, os.times()
    if done.returncode:
        raise SystemExit(f"status {done.returncode}: {done.stdout}{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    [logs] = [line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("logs ")]
    return Search(jobs, runs / took, used / runs, used / took / jobs, logs)


def main() -> None:
    """Print both searches, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    one, many = (search(options.runs, options.seed, jobs) for jobs in (1, options.jobs))
    ratio = many.rate / one.rate
    if options.json:
        print(json.dumps({"one": asdict(one), "many": asdict(many), "ratio": round(ratio, 2)}))
    else:
        print(one, many, f"ratio {ratio:.2f}, of processor time {many.processor / one.processor:.2f}", sep="\n")
    if one.logs != many.logs:
        raise SystemExit("the logs differ")


if __name__ == "__main__":
    main()
