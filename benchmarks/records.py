"""Compare the start of a node from a bootstrap file of many records with what bounds it.

    python benchmarks/records.py [--storages 10000] [--rounds 5]

Each round is a new process for each contender, in turn; the median of the rounds counts, in processor seconds:

empty     the node starts without records
loaded    the node starts from a file of that many untracked storages
bound     PyYAML's C loader reads the same file, and sqlite3 inserts two rows a storage: no checks, no encryption

The ratio is what the records cost the node, in times of the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings

RECORD = """\
  - name: store-{number:06d}
    hostname: store-{number:06d}.example.org
    url: /zstack_bs
    totalCapacity: 1099511627776
    availableCapacity: 549755813888
    tracked: false
"""


def main() -> int:
    """Measure, print the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--storages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "records.yaml"
        file.write_text("backupStorages:\n" + "".join(RECORD.format(number=n) for n in range(options.storages)))
        if options.one:
            began = time.process_time()
            CONTENDERS[options.one](folder, file)
            print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return 0
    measured = {one: [_measure(one, options.storages) for _ in range(options.rounds)] for one in CONTENDERS}
    seconds = {one: statistics.median(row[0] for row in rows) for one, rows in measured.items()}
    for one, rows in measured.items():
        print(f"{one:8} {seconds[one]:6.2f} s {statistics.median(row[1] for row in rows):6.0f} MiB at most")
    print(f"records / bound: {(seconds['loaded'] - seconds['empty']) / seconds['bound']:.2f}")
    return 0


def _measure(contender: str, storages: int) -> tuple[float, float]:
    """Return processor seconds, and the most memory in MiB, of one contender in a process of its own."""
    command = [sys.executable, __file__, "--one", contender, "--storages", str(storages)]
    seconds, mebibytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(mebibytes)


def _start(folder: Path, bootstrap: Path | None) -> None:
    asyncio.run(_start_and_stop(Settings(port=0, database=str(folder / "node.db"), bootstrap=bootstrap)))


async def _start_and_stop(settings: Settings) -> None:
    node = ManagementNode(settings)
    await node.start()
    await node.stop()


def _bound(folder: Path, file: Path) -> None:
    records = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)["backupStorages"]
    rows = [tuple(record.values()) for record in records]
    with sqlite3.connect(folder / "bound.db") as connection:
        connection.execute("CREATE TABLE storage (name PRIMARY KEY, hostname, url, total, available, tracked)")
        connection.execute("CREATE TABLE host (hostname PRIMARY KEY, name)")
        connection.executemany("INSERT INTO storage VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO host VALUES (?, ?)", [(row[1], row[0]) for row in rows])
    connection.close()


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    "empty": lambda folder, _file: _start(folder, None),
    "loaded": _start,
    "bound": _bound,
}

if __name__ == "__main__":
    sys.exit(main())
