"""The Python kit with containers, and the code of docs/kits.md and of the guides about Python, as users run it."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request

import pytest

from imagestore_sim.testing import Lab, LabError

pytestmark = pytest.mark.clients
SECONDS = 300


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
    with pytest.raises(LabError, match="docker run: the lab ended before it was ready"):
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


def left_of(image: str) -> bytes:
    """Return the ids of the containers of an image."""
    listed = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
    return subprocess.run(listed, capture_output=True, check=True, timeout=SECONDS).stdout
