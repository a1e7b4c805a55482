"""The package as users have it: beside a module of theirs that is called `simulator`, and with its types."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from test_plugin import pytest_in

import imagestore_sim

pytestmark = pytest.mark.processes

SUITE = """
import simulator

async def test_it(imagestore_lab, imagestore_client):
    assert simulator.__file__.startswith({folder!r})
    assert len(await imagestore_client.query("/backup-storage", "status=Connected")) == 3
"""
TYPED = """
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim import testing
from imagestore_sim.testing import CallFailed, Client

def hits() -> int:
    with testing.Lab(hosts=1) as lab:
        return lab.break_node("answer_lost").hits

async def names(lab: Lab, hosts: HostNetwork) -> list[str]:
    async with Client(lab.url) as client:
        try:
            await client.log_in()
        except CallFailed as failed:
            return [failed.code]
        return [str(storage["name"]) for storage in await client.query("/backup-storage")]

reveal_type(Client.log_in)
"""


def test_a_module_called_simulator_beside_the_tests_does_not_get_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "simulator.py").write_text("")
    (tmp_path / "test_mine.py").write_text(SUITE.format(folder=str(tmp_path)))
    status, output = pytest_in(tmp_path)
    assert (status, "1 passed" in output) == (0, True), output


def test_mypy_finds_the_types_of_an_editable_install(tmp_path: Path) -> None:
    """`make install` makes such an install, and its import path is a line that mypy reads, not a finder of modules."""
    (tmp_path / "mine.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Coroutine[Any, Any, str]" in done.stdout


def test_the_version_stands_in_one_place() -> None:
    assert importlib.metadata.version("imagestore-sim") == imagestore_sim.__version__
