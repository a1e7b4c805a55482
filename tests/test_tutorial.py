"""The tutorial keeps its word: a reader's commands are run, in its order."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from code_blocks import code_blocks, shell
from processes import running

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
NODE = "http://127.0.0.1:8080"
COMMAND = ".venv/bin/imagestore-sim"


async def test_the_first_hour_goes_as_the_tutorial_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    starting, asking, breaking, replaying = code_blocks(TEXT, "sh")
    install, lab_command = starting.splitlines()
    assert install == "make install"
    arguments = shlex.split(lab_command.replace("--port 8080", "--port 0").removeprefix(COMMAND))
    async with running(*arguments, cwd=tmp_path) as lab:
        status, said = await shell((asking + breaking).replace(NODE, lab.url), cwd=tmp_path)
        assert status == 0, said
        assert said.count('"status":"Connected"') == 3, said
        assert said.count('"name":"imagestore-1","status":"Disconnected"') == 1, said
        assert await lab.stop() == 0
    replay = replaying.replace(COMMAND, f"{sys.executable} -m imagestore_sim").replace(
        "scenarios/", f"{ROOT}/scenarios/"
    )
    status, said = await shell(replay, cwd=tmp_path, seconds=120)
    assert status == 0, said
    assert (tmp_path / "report" / "index.html").is_file()


async def test_the_tutorial_s_test_passes(tmp_path: Path) -> None:
    [example] = code_blocks(TEXT, "python")
    (tmp_path / "test_outage.py").write_text(example, encoding="utf-8")
    status, said = await shell(f"{sys.executable} -m pytest -q test_outage.py", cwd=tmp_path)
    assert (status, "1 passed" in said) == (0, True), said
