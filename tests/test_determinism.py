"""The same run gives the same event log, byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import orjson
from simulator.virtual_clock import run_virtually

import flapping

RUNS = 20
"""In a hundred runs it is the same too: `python tests/flapping.py --much --hours 0.3 --runs 100`."""


def test_twenty_runs_with_much_going_wrong_at_once_have_one_log() -> None:
    logs = [run_virtually(flapping.much_at_once(0.05)) for _ in range(RUNS)]
    events = [orjson.loads(line) for line in logs[0].splitlines()]
    assert len(events) > 50
    assert {one["path"] for one in events} == {
        "/backup-storage/status/change",
        "/backup-storage/disconnected",
        "/backup-storage/capacity/change",
        "/backup-storage/probe/failure",
    }
    assert len(set(logs)) == 1


def test_another_process_with_other_hashes_has_the_same_log() -> None:
    log = run_virtually(flapping.flapping(0.5))
    command = [sys.executable, str(Path(flapping.__file__)), "--hours", "0.5"]
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    assert hashlib.sha256(log).hexdigest() in said
