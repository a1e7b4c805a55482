"""`make install` with a Python that is too old, and after one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
MAKEFILE = Path(__file__).parent.parent / "Makefile"
OLD = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 10); sys.version = "3.10.13 ()"; exec(sys.argv[1])' "$2"
"""
NEW = f"""#!/bin/sh
test "$2" != venv || {{ echo "$@" >> asked; exit 9; }}
exec {sys.executable} "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the Makefile and two Pythons: `new` notes how it is to make an environment, and fails."""
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for name, script in (("old", OLD), ("new", NEW)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def _make(folder: Path, target: str, python: str) -> subprocess.CompletedProcess[str]:
    # Not as a part of the `make` that may run the tests: it would say which folder it enters.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", target, f"PYTHON=./{python}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=alone)


def test_an_old_python_is_refused_in_a_line_before_anything_is_made(checkout: Path) -> None:
    refused = _make(checkout, "lab", "old")
    assert (refused.returncode, refused.stdout) == (2, "")
    line = "Python 3.11 or newer is needed, and ./old is 3.10.13; name a newer one: make lab PYTHON=python3.11"
    assert refused.stderr.splitlines()[0] == line
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("of", ["old", "gone", None])
def test_an_environment_of_an_old_python_or_of_one_that_is_gone_is_made_again(checkout: Path, of: str | None) -> None:
    if of is not None:
        (checkout / ".venv" / "bin").mkdir(parents=True)
        (checkout / ".venv" / "bin" / "python").symlink_to(checkout / of)
    _make(checkout, "install", "new")
    assert (checkout / "asked").read_text() == "-m venv --clear .venv\n"


def test_an_environment_of_a_new_python_is_kept(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(checkout / "new")
    _make(checkout, "install", "new")
    assert (checkout / "asked").read_text() == "-m venv .venv\n"
