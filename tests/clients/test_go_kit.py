"""The Go kit and its example pass their own tests with the imagestore-sim that is installed here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients
KIT = Path(__file__).parents[2] / "clients" / "go"
SECONDS = 300
OLDEST = (1, 25)
LEFT_OUT = ("IMAGESTORE_LAB_URL", "IMAGESTORE_LAB_TOKEN")


def go(*arguments: str, folder: Path, **more: str) -> str:
    """Run Go there with the command of this environment; return what it prints, and fail with it."""
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    environment["IMAGESTORE_SIM_COMMAND"] = str(Path(sys.executable).parent / "imagestore-sim")
    done = subprocess.run(
        [shutil.which("go") or "go", *arguments],
        cwd=folder,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def toolchain() -> None:
    """Skip without Go, or with one that has no testing/synctest."""
    if shutil.which("go") is None:
        pytest.skip("needs Go 1.25 or newer")
    version = re.search(r"go(\d+)\.(\d+)", go("version", folder=KIT))
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        pytest.skip("needs Go 1.25 or newer")


@pytest.mark.usefixtures("toolchain")
@pytest.mark.parametrize("folder", [KIT, KIT / "example"], ids=["kit", "example"])
def test_the_go_kit_and_its_example_pass(folder: Path, image_of_a_lab: str | None) -> None:
    go("vet", "./...", folder=folder)
    go("test", "-count=1", "-timeout=240s", "./...", folder=folder, LAB_IMAGE=image_of_a_lab or "")


@pytest.mark.usefixtures("toolchain")
def test_the_go_kit_runs_labs_by_testcontainers(lab_image: str) -> None:
    """Its reaper (Ryuk), which comes from a registry of images, is left out: the tests stop what they start."""
    folder = KIT / "testcontainers"
    go("vet", "./...", folder=folder)
    go("test", "-count=1", "./...", folder=folder, LAB_IMAGE=lab_image, TESTCONTAINERS_RYUK_DISABLED="true")


@pytest.mark.usefixtures("toolchain")
def test_the_go_kit_is_formatted() -> None:
    formatter = shutil.which("gofmt")
    if formatter is None:
        pytest.skip("needs gofmt")
    done = subprocess.run([formatter, "-l", str(KIT)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
