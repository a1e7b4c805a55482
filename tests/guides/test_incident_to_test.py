"""The guide from an incident to a test keeps its word: its commands, script and story are used as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from code_blocks import code_blocks, shell
from imagestore_sim.testing import Lab
from processes import COMMAND

pytestmark = pytest.mark.processes
GUIDE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "incident-to-test.md").read_text("utf-8")
RECORD, FAIL, IN_CI, ON_A_LAB = code_blocks(GUIDE, "sh")
MISSING = "&q=status%3DConnected"


async def say(script: str, folder: Path, status: int = 0) -> str:
    """Run a block of the guide, with this checkout as the program; return what it prints."""
    script = script.replace("pip install ./imagestore-sim", "true")
    script = script.replace("imagestore-sim ", f"{shlex.join(COMMAND)} ")
    ended, said = await shell(script.replace("-E ", "-E --port 0 "), cwd=folder, seconds=120)
    assert ended == status, said
    return said


async def test_an_outage_is_read_from_the_database_of_a_node_and_played_again(tmp_path: Path) -> None:
    with Lab(hosts=1, clock="virtual", database=str(tmp_path / "node.db")) as lab:
        lab.host("imagestore-1").break_("refuse")
        lab.wait_for_status("imagestore-1", "Disconnected", within="3m")
        lab.heal()
        lab.wait_for_status("imagestore-1", "Connected", within="3m")
    said = await say(RECORD.replace(" --since 8h", ""), tmp_path)
    assert "1 held in" in said
    outage = (tmp_path / "outage.yaml").read_text()
    assert "kind: refuse" in outage
    assert "status: Disconnected" in outage
    assert "1 held in" in await say(ON_A_LAB, tmp_path)


async def test_the_story_fails_with_the_mistake_and_holds_without_it(tmp_path: Path) -> None:
    [script], [story] = code_blocks(GUIDE, "python"), code_blocks(GUIDE, "yaml")
    assert MISSING in script
    (tmp_path / "incidents").mkdir()
    (tmp_path / "incidents" / "lost-at-night.yaml").write_text(story)
    (tmp_path / "pick.py").write_text(script.replace(MISSING, ""))
    said = await say(FAIL, tmp_path, status=1)
    assert "1 failed, 0 held" in said
    assert "exit status 1" in said
    (tmp_path / "pick.py").write_text(script)
    assert "1 held in" in await say(IN_CI, tmp_path)
    assert (tmp_path / "report" / "junit.xml").exists()
