"""What is built stands alone: the sdist has every file, and the wheel works in an empty folder without a checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.clients]

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Built:
    """What `make package` makes, and an environment that the wheel is installed in."""

    sdist: Path
    command: Path


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program without the variables of this one's tests; return what it prints."""
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", ".", cwd=ROOT)
    run(sys.executable, "-m", "venv", "environment", cwd=folder)
    [wheel], [sdist] = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    python = folder / "environment" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder)
    # The libraries are those of this environment, behind the installed package.
    [packages] = (folder / "environment" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Built(sdist, python.with_name("imagestore-sim"))


@pytest.fixture
def call(built: Built, tmp_path: Path) -> Callable[..., str]:
    """Return what runs the installed command in an empty folder."""
    return lambda *arguments: run(built.command, *arguments, cwd=tmp_path)


def test_the_wheel_plays_a_story_by_its_name(call: Callable[..., str], tmp_path: Path) -> None:
    listed = call("replay", "--list")
    assert re.search(r"^disk-fills-up +The disk fills up, .*", listed, re.MULTILINE)
    assert len(listed.splitlines()) == len(list((ROOT / "scenarios").glob("*.yaml")))
    played = call("replay", "disk-fills-up", "--report", "report")
    assert "1 held in" in played
    page = (tmp_path / "report" / "index.html").read_text()
    assert "imagestore-sim replay disk-fills-up --seed 0" in page


@pytest.mark.parametrize("name", ["scenario", "bootstrap", "config"])
def test_the_wheel_prints_the_schemas(call: Callable[..., str], name: str) -> None:
    assert call("schema", name) == (ROOT / "docs" / "schemas" / f"{name}.json").read_text()


def test_the_compose_file_of_the_wheel_names_what_was_installed(call: Callable[..., str]) -> None:
    text = call("compose-file")
    places = [place for place in re.findall(r'(?:context: |- )"(/[^":]+)', text) if not place.startswith("/zs")]
    assert len(places) > 5
    assert str(ROOT) not in text
    assert [place for place in places if not Path(place).exists()] == []
    [node] = {place for place in places if Path(place).name == "imagestore_sim"}
    assert (Path(node) / re.findall(r"dockerfile: (shipped_files/\S+)", text)[0]).is_file()


def test_the_sdist_has_every_file_under_version_control(built: Built) -> None:
    listed = run("git", "ls-files", cwd=ROOT).split("\n")
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert [name for name in listed if name and name not in held] == []
