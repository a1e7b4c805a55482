"""The same run gives the same event log, byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import pytest

import flapping
from imagestore_sim.backup_storage.events import PROBE_FAILED
from imagestore_sim.faults import read_fault
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import run_virtually, virtual_clock

pytestmark = pytest.mark.thorough

RUNS = 10
"""In a hundred runs it is the same too: `python tests/flapping.py --much --hours 0.3 --runs 100`."""


@pytest.mark.scenarios
def test_ten_runs_with_much_going_wrong_at_once_have_one_log() -> None:
    logs = [run_virtually(flapping.much_at_once(0.05)) for _ in range(RUNS)]
    events = [orjson.loads(line) for line in logs[0].splitlines()]
    assert len(events) > 50
    assert {one["path"] for one in events} == {
        "/backup-storage/added",
        "/backup-storage/deleted",
        "/backup-storage/status/change",
        "/backup-storage/disconnected",
        "/backup-storage/capacity/change",
        "/backup-storage/probe/failure",
    }
    assert len(set(logs)) == 1


@pytest.mark.scenarios
def test_another_process_with_other_hashes_has_the_same_log() -> None:
    log = run_virtually(flapping.flapping(0.5))
    command = [sys.executable, str(Path(flapping.__file__)), "--hours", "0.5"]
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=240).stdout
    assert hashlib.sha256(log).hexdigest() in printed


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("blackhole", "timeout"),
        ("half_open", "timeout"),
        ("unreachable", "unreachable"),
        ("reset_on_connect", "reset"),
        ("latency", None),
        ("rate", None),
        ("slow_login", None),
        ("hung_sftp", "hung"),
        ("killed_session", "reset"),
        ("fill", None),
    ],
)
def test_a_fault_is_met_and_healed_in_the_same_way_each_time(kind: str, reason: str | None) -> None:
    """No real time passes, not even for faults that make a client wait."""
    logs = [run_virtually(_outage(kind)) for _ in range(2)]
    events = [orjson.loads(line) for line in logs[0].splitlines()]
    failures = {one["content"]["reason"] for one in events if one["path"] == PROBE_FAILED}
    assert reason in failures if reason else not failures
    assert logs[0] == logs[1]


async def _outage(kind: str) -> bytes:
    """Run three minutes with a fault, and three after it, in which every storage is connected again."""
    clock = virtual_clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=0, hosts=2, ping_interval=20, database=str(Path(folder) / "lab.db"))
        async with Lab(settings, clock=clock) as lab:
            fault = await lab.network["imagestore-1"].faults.apply(read_fault(kind, {}))
            await clock.sleep(180)
            await fault.heal()
            await clock.sleep(180)
            assert {one.status for one in await lab.node.storages.records.tracked()} == {"Connected"}
            assert clock.monotonic() == 360
            return await flapping.log_of(lab)
