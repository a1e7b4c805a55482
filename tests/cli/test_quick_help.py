"""Pages of `--help` that are read from files are the pages that Typer writes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagestore_sim.cli.program import NAMES
from imagestore_sim.cli.quick_help import FOLDER, PROGRAM, show_page
from processes import run, run_program
from rows import rows


def test_each_command_has_a_page() -> None:
    assert {file.stem for file in Path(FOLDER).iterdir()} == {PROGRAM, *NAMES}


def test_the_command_line_names_the_program_as_it_was_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for path, called in (
        ("/usr/bin/imagestore-sim", "imagestore-sim"),
        ("/opt/simulator", "simulator"),
        ("/lib/imagestore_sim/__main__.py", "python -m imagestore_sim"),
    ):
        assert show_page([path, "lab", "-h"])
        assert capsys.readouterr().out.startswith(f"Usage: {called} lab [OPTIONS]\n")


@rows(
    "arguments",
    [[], ["lab"], ["--version"], ["lab", "--port", "0", "--help"], ["nothing", "--help"], ["../lab", "--help"]],
)
def test_anything_else_is_left_to_typer(arguments: list[str]) -> None:
    assert not show_page([PROGRAM, *arguments])


def test_a_narrow_terminal_gets_a_narrow_page() -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("COLUMNS", "60")
        assert not show_page([PROGRAM, "--help"])


@pytest.mark.processes
async def test_a_page_is_what_typer_writes_for_the_same_command_line() -> None:
    by_typer = "from imagestore_sim.cli.app import app; app(['probe', '-h'], prog_name='python -m imagestore_sim')"
    usual = await run_program(sys.executable, "-c", by_typer, COLUMNS="100")
    shown = await run("probe", "-h", COLUMNS="100", PYTHONVERBOSE="1")
    assert (shown.status, shown.output) == (usual.status, usual.output)
    assert "import 'imagestore_sim.cli.quick_help'" in shown.errors
    assert "import 'typer'" not in shown.errors
