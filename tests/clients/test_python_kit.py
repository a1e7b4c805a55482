"""The Python kit with containers, and the code of docs/kits.md and of the guides about Python, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from client_programs import TESTCONTAINERS
from code_blocks import code_blocks
from imagestore_sim.testing import Lab, LabError

pytestmark = pytest.mark.clients
SECONDS = 300
DOCS = Path(__file__).parents[2] / "docs"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=20):
            return True
    except urllib.error.URLError:
        return False


def test_a_lab_runs_in_a_container(lab_image: str) -> None:
    with Lab(image=lab_image, hosts=1, clock="paused", lab_token="secret") as lab:
        lab.host("imagestore-1").stop()
        lab.wait_for_status("imagestore-1", "Disconnected", within="2m")
        url = lab.url
    assert not answers(url)
    with pytest.raises(LabError, match="docker run: the lab ended with status 2 before it was ready"):
        Lab(image=lab_image, database="/nowhere/lab.db").start()
    assert left_of(lab_image) == b""


def test_a_lab_runs_by_testcontainers(lab_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reaper (Ryuk), which comes from a registry of images, is left out: the test stops what it starts."""
    from testcontainers.core.config import testcontainers_config

    from imagestore_sim.testing import LabContainer

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    container = LabContainer(lab_image, hosts=2, clock="paused", lab_token="secret")
    with pytest.raises(RuntimeError, match="the container does not run"):
        print(container.lab)
    with container:
        assert container.lab.url == container.url
        container.lab.host("imagestore-2").stop()
        container.lab.wait_for_status("imagestore-2", "Disconnected", within="2m")
    assert left_of(lab_image) == b""


def test_the_code_of_the_documents_passes(tmp_path: Path) -> None:
    own_class, fake_time, options = code_blocks((DOCS / "kits.md").read_text(), "python")
    (tmp_path / "test_class.py").write_text(own_class)
    (tmp_path / "test_time.py").write_text(fake_time)
    (tmp_path / "conftest.py").write_text(options)
    assert "OK" in run("-m", "unittest", "-v", "test_class", cwd=tmp_path)
    assert "2 passed" in run("-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path)


def test_the_guide_to_testcontainers_passes(lab_image: str, tmp_path: Path) -> None:
    [guide] = code_blocks((DOCS / "guides" / "testcontainers.md").read_text(), "python")
    (tmp_path / "test_guide.py").write_text(guide.replace('"imagestore-sim"', f'"{lab_image}"'))
    options = ("-m", "pytest", "-p", "no:cacheprovider", "test_guide.py")
    assert "1 passed" in run(*options, cwd=tmp_path, **TESTCONTAINERS)


def run(*arguments: str, cwd: Path, **more: str) -> str:
    """Run Python there; return what it prints, and fail with it."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | more, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def left_of(image: str) -> bytes:
    """Return the ids of the containers of an image."""
    listed = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
    return subprocess.run(listed, capture_output=True, check=True, timeout=SECONDS).stdout
