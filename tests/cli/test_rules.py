"""Rules about combinations of options: what they refuse, in which words, and which variables they ignore."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import run_here

NODE = "http://127.0.0.1:1"
REFUSED = [
    (("host", "--used", "2", "--size", "1"), "--used 2 is more than --size 1"),
    (("replay",), "expected a scenario file, or a folder of such"),
    (("replay", "f", "--hosts", "docker"), "--hosts: expected embedded or compose, but got 'docker'"),
    (("replay", "f", "--clock", "wall"), "--clock: expected virtual or real, but got 'wall'"),
    (("replay", "f", "--keep"), "--keep: expected together with --hosts compose"),
    (("replay", "f", "--speed", "3"), "--speed: expected a number above 0, together with --clock real"),
    (
        ("replay", "f", "--clock", "real", "--speed", "0"),
        "--speed: expected a number above 0, together with --clock real",
    ),
    (
        ("replay", "f", "--hosts", "compose", "--clock", "virtual"),
        "--clock: containers live in real time; expected real with --hosts compose",
    ),
    (
        ("replay", "f", "--node", NODE, "--seed", "1"),
        "--node: the lab has hosts, a clock and a seed, and plays one scenario after another; expected no --hosts,"
        " --clock, --speed, --seed or --jobs",
    ),
    (("record", "--out", "o"), "expected the URL of a node, or --database"),
    (("record", NODE, "--out", "o", "--database", "d"), "expected the URL of a node, or --database"),
    (
        ("record", NODE, "--out", "o", "--since", "1h"),
        "--since and --until: expected together with --database",
    ),
    (("record", NODE, "--out", "o", "--for", "long"), "--for: 'long' is no duration, such as 90s, 2m30s or 1.5h"),
    (
        ("record", "--database", "d", "--out", "o", "--for", "1m"),
        "--for: a database is read at once; expected --since and --until",
    ),
    (
        ("record", "--database", "d", "--out", "o", "--since", "1h", "--until", "2h"),
        "--since: expected a moment before --until",
    ),
    (("compare", NODE, "--access-secret", "s"), "--access-secret: expected together with --access-key"),
]


@pytest.mark.parametrize(("arguments", "complaint"), REFUSED, ids=[" ".join(case[0]) for case in REFUSED])
def test_a_combination_that_cannot_be_used_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    finished = run_here(*arguments, cwd=tmp_path)
    assert (finished.status, finished.output) == (2, "")
    assert finished.errors == f"imagestore-sim: {complaint}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_moment_that_cannot_be_read_names_its_option(tmp_path: Path) -> None:
    finished = run_here("record", "--database", "d", "--out", "o", "--until", "soon", cwd=tmp_path)
    assert finished.status == 2
    assert finished.errors.startswith("imagestore-sim: --until: 'soon' is no moment, such as ")


def test_a_variable_for_other_runs_is_ignored_and_an_option_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ("replay", "empty", "--node", NODE)
    environment = {"IMAGESTORE_SIM_REPLAY_HOSTS": "docker", "IMAGESTORE_SIM_REPLAY_CLOCK": "wall"}
    ignored = run_here(*arguments, cwd=tmp_path, **environment)
    assert "there is no scenario" in ignored.errors
    refused = run_here(*arguments, "--clock", "wall", cwd=tmp_path)
    assert refused.errors == "imagestore-sim: --clock: expected virtual or real, but got 'wall'\n"
