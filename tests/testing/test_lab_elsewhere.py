"""The Python kit with a lab in another process: a command, a container, or one that runs already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from imagestore_sim.settings import Settings
from imagestore_sim.testing import Lab, LabError
from imagestore_sim.testing.lab_command import options_of

COMMAND = str(Path(sys.executable).with_name("imagestore-sim"))
SECONDS = 300
GONE_SECONDS = 60.0

TESTS = """
import pytest

@pytest.fixture(scope="session")
def imagestore_shared_options():
    return {"hosts": 1, "clock": "paused"}

@pytest.mark.parametrize("number", range(4))
def test_each_begins_afresh(imagestore_shared_lab, number):
    lab = imagestore_shared_lab
    assert lab.requests.last == 0 and lab.clock.paused
    assert lab.host("imagestore-1").listening
    lab.log_in()
    lab.host("imagestore-1").stop()
    assert lab.wait_for_status("imagestore-1", "Disconnected", within="2m").status == "Disconnected"
"""
DYING = """
import sys, time
from imagestore_sim.testing import Lab
print(Lab(hosts=0, command=sys.argv[1]).start().url, flush=True)
time.sleep(300)
"""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=20):
            return True
    except OSError:  # refused, reset, or cut amid the answer
        return False


def pytest_in(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    (folder / "test_mine.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # of a worker, say
    done = subprocess.run(
        command, cwd=folder, env=ours | environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_settings_become_options() -> None:
    settings = Settings(
        hosts=5, port=0, clock="paused", strict=True, any_host=False, seed=0, fault=("status code=502",), lab_token="a"
    )
    assert options_of(settings) == [
        "--no-any-host", "--clock", "paused", "--fault", "status code=502", "--hosts", "5", "--strict",
    ]  # fmt: skip


@pytest.mark.processes
def test_a_lab_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGESTORE_SIM_COMMAND", COMMAND)
    lab = Lab(hosts=1, clock="2030-01-01T00:00:00Z", ping_interval=60, lab_token="secret")
    with lab:
        url = lab.url
        assert list(lab.hosts) == ["imagestore-1"]
        assert lab.clock.paused
        lab.clock.step("8h")
        lab.reset()
        assert lab.clock.paused
        assert lab.clock.now == pytest.approx(1_893_456_000 + 8 * 3600, abs=60)
    assert not answers(url)
    lab.stop()


@pytest.mark.processes
def test_a_command_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="/nowhere/imagestore-sim is not there: install it"):
        Lab(command="/nowhere/imagestore-sim").start()
    ended = r"imagestore-sim lab: the lab ended with status 2 before it was ready\n.*/nowhere"
    with pytest.raises(LabError, match=ended):
        Lab(command=COMMAND, database="/nowhere/lab.db").start()
    silent = "before it was ready, and wrote nothing to its standard error$"
    for script, how in (("exit 3", "status 3"), ("kill -9 $$", r"status 137 \(signal 9\)"), ("echo ready", "status 0")):
        with pytest.raises(LabError, match=f"the lab ended with {how} {silent}"):
            Lab(command=program(tmp_path, script)).start()


def program(folder: Path, script: str) -> str:
    """Write a program of the shell, and return its path."""
    path = folder / "a program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.processes
def test_a_lab_that_dies_is_told_with_its_status_and_its_last_words(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    dies = program(tmp_path, f"echo $$ >'{pid}'\nexec '{COMMAND}' \"$@\" --log-level info")
    with Lab(hosts=1, command=dies) as lab:
        host = lab.host("imagestore-1")
        os.kill(int(pid.read_text()), signal.SIGKILL)
        begin = time.monotonic()
        for call in (host.stop, lab.log_in, lambda: lab.wait_for_status("imagestore-1", "Disconnected")):
            with pytest.raises(LabError, match=r": the lab has ended with status 137 \(signal 9\)\n(.*\n)*.*INFO"):
                call()
        assert time.monotonic() - begin < 20
    with pytest.raises(LabError, match=r"/stop: the lab was stopped$"):
        host.stop()


@pytest.mark.processes
def test_a_lab_takes_its_options_from_the_test_alone_and_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "HOSTS": "9",
        "CLOCK": "paused",
        "LAB_TOKEN": "secret",
        "DATABASE": str(tmp_path / "kept.db"),
        "HOST": "::1",
    }
    for name, value in options.items():
        monkeypatch.setenv(f"IMAGESTORE_SIM_{name}", value)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    folder = tmp_path / "a folder, große"
    folder.mkdir()
    folder.chmod(0o555)
    monkeypatch.chdir(folder)
    with Lab(command=COMMAND) as lab:
        assert (len(lab.hosts), lab.clock.paused, lab.url[:17]) == (3, False, "http://127.0.0.1:")
        lab.log_in()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.processes
def test_no_lab_is_left_of_tests_that_are_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", DYING, COMMAND], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        url = process.stdout.readline().strip()
        assert answers(url)
        process.send_signal(signal.SIGKILL)
    end = time.monotonic() + GONE_SECONDS
    while answers(url):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.processes
def test_the_plugin_resets_a_lab_that_runs_already(tmp_path: Path) -> None:
    with Lab(hosts=1) as lab:
        status, output = pytest_in(tmp_path, IMAGESTORE_LAB_URL=lab.url)
        assert (status, "4 passed" in output) == (0, True), output
        status, output = pytest_in(tmp_path, "-n", "2", IMAGESTORE_LAB_URL=lab.url)
        assert (status, "names one lab, which the workers of xdist would reset" in output) == (1, True), output
        assert answers(lab.url)


@pytest.mark.processes
def test_each_worker_of_xdist_has_a_process_of_its_own(tmp_path: Path) -> None:
    status, output = pytest_in(tmp_path, "-n", "2", IMAGESTORE_SIM_COMMAND=COMMAND)
    assert (status, "4 passed" in output) == (0, True), output
