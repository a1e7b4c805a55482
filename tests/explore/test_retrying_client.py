"""A Go client that tries again adds an image twice when an answer is lost, until it is mended."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from imagestore_sim.explore.judging import play_judged
from imagestore_sim.explore.story import content_of, read
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.replay import play_virtually
from processes import Finished, run_here

pytestmark = pytest.mark.clients
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "retrying-client"
STORY = """
title: the answer to an AddImage is lost
hosts: {imagestore-1: }
timeline:
  - fault: {node: answer_lost, when: {api: AddImage, first: 1}}
  - program: {command: COMMAND}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    program = tmp_path_factory.mktemp("client") / "retrying-client"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=EXAMPLE, check=True, timeout=300)
    return program


def played(command: str) -> Result:
    return play_virtually(parse_scenario(STORY.replace("COMMAND", command), "s.yaml"))


def test_a_lost_answer_makes_it_add_an_image_twice(client: Path) -> None:
    result = played(str(client))
    assert result.verdict is Verdict.FAILED
    assert result.steps[1].seen.endswith("it believes that it has added one image: there are 2")


def test_the_mended_one_finds_what_it_has_added(client: Path) -> None:
    result = played(f"{client} -fixed")
    assert result.verdict is Verdict.HELD, result.wrong
    assert result.steps[1].seen == "exit status 0: added: <nil>, found: 1, <nil>"


def explored(command: str, seed: int, folder: Path) -> Finished:
    """Play the story of a seed, and the next one, around the program."""
    return run_here("explore", "--client", command, "--runs", "2", "--seed", str(seed), "--out", str(folder))


def test_a_search_finds_it_shrinks_it_and_is_green_once_it_is_mended(client: Path, tmp_path: Path) -> None:
    for seed in range(1, 100, 2):  # what a seed draws changes with what there is to draw
        found = explored(str(client), seed, tmp_path)
        if "program-ends-well" in found.output:
            break
    assert found.status == 1, found
    assert "program-ends-well: exit status 1: it believes that it has added one image: there are 2" in found.output
    [file] = tmp_path.glob("program-ends-well-*.yaml")
    story = content_of(file)
    assert len(story["timeline"]) <= 3
    assert play_judged(read(story)).verdict is Verdict.FAILED
    for step in story["timeline"]:
        if "program" in step:
            step["program"]["command"] += " -fixed"
    assert play_judged(read(story)).verdict is Verdict.HELD
    mended = explored(f"{client} -fixed", seed, tmp_path / "mended")
    assert (mended.status, "0 findings" in mended.output) == (0, True), mended
