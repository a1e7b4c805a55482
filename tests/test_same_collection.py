"""Every process collects the same tests in the same order: the workers of xdist refer to them by number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_other_hashes_collect_the_same_tests_in_the_same_order() -> None:
    """A set among the parameters has the order of its hashes, which differ from process to process."""
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "--collect-only", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    running = [
        subprocess.Popen(command, env=environment | {"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True)
        for seed in ("1", "2")
    ]
    one, other = ([line for line in each.communicate()[0].splitlines() if "::" in line] for each in running)
    assert [each.returncode for each in running] == [0, 0]
    assert len(one) > 1000
    assert one == other
