"""The Go kit and its example pass their own tests with the imagestore-sim that is installed here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from client_programs import TESTCONTAINERS
from code_blocks import code_blocks

pytestmark = pytest.mark.clients
ROOT = Path(__file__).parents[2]
KIT = ROOT / "clients" / "go"
DOCS = ROOT / "docs"
GUIDE = DOCS / "guides" / "go-sdk.md"
MODULE = "github.com/imagestore-sim/imagestore-sim/clients/go"
IMPORTS_OF_README = """package mine

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

"""
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
    """The tests stop what they start."""
    folder = KIT / "testcontainers"
    go("vet", "./...", folder=folder)
    go("test", "-count=1", "./...", folder=folder, LAB_IMAGE=lab_image, **TESTCONTAINERS)


@pytest.mark.usefixtures("toolchain")
def test_the_code_of_the_documents_passes(tmp_path: Path, image_of_a_lab: str | None) -> None:
    """Each page is a package of one module, which takes the kit from here."""
    readme = "".join(code_blocks((KIT / "README.md").read_text(), "go"))
    pages = {"kits": the_block(DOCS / "kits.md"), "readme": IMPORTS_OF_README + readme}
    if image_of_a_lab is not None:
        guide = the_block(DOCS / "guides" / "testcontainers.md")
        pages["guide"] = guide.replace('"imagestore-sim"', f'"{image_of_a_lab}"')
    go("mod", "init", "example.org/mine", folder=tmp_path)
    for module, folder in (("", KIT), ("/testcontainers", KIT / "testcontainers")):
        go(
            "mod",
            "edit",
            "-replace",
            f"github.com/imagestore-sim/imagestore-sim/clients/go{module}={folder}",
            folder=tmp_path,
        )
    for name, text in pages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine_test.go").write_text(text)
    go("mod", "tidy", folder=tmp_path)
    go("vet", "./...", folder=tmp_path)
    go("test", "-count=1", "-timeout=240s", "./...", folder=tmp_path, **TESTCONTAINERS)


def the_block(page: Path) -> str:
    [block] = code_blocks(page.read_text(), "go")
    return block


@pytest.mark.usefixtures("toolchain")
def test_the_guide_for_zstacks_sdk_passes_as_it_is_written(tmp_path: Path) -> None:
    text = GUIDE.read_text()
    install, test = code_blocks(text, "sh")
    commands = [line.replace("../imagestore-sim", str(ROOT)) for line in install.splitlines() if "pip" not in line]
    for line in (*commands[1:], *test.splitlines()):
        command, *arguments = shlex.split(line.removeprefix("mkdir watcher && cd watcher"))
        assert command == "go"
        if arguments[:2] == ["mod", "tidy"]:
            for name, source in re.findall(r"^## \d\. `(\S+)`$.*?```go\n(.*?)```", text, re.DOTALL | re.MULTILINE):
                (tmp_path / name).write_text(source)
        output = go(*arguments, *(["-v"] if arguments[0] == "test" else []), folder=tmp_path)
    assert output.count("--- PASS") == 3


@pytest.mark.usefixtures("toolchain")
def test_the_go_kit_is_formatted() -> None:
    formatter = shutil.which("gofmt")
    if formatter is None:
        pytest.skip("needs gofmt")
    done = subprocess.run([formatter, "-l", str(KIT)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
