"""What a shell offers on Tab for the values of options and arguments."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer

from imagestore_sim.settings import Settings
from processes import COMMAND, program, run_here, run_program

COMMANDS: Any = program()


def offered(command: str, name: str, typed: str = "") -> list[str]:
    [parameter] = [one for one in COMMANDS.commands[command].params if one.name == name]
    context = typer.Context(COMMANDS.commands[command])
    return [item.value for item in parameter.shell_complete(context, typed)]


@pytest.mark.parametrize("command", ["lab", "serve"])
def test_every_setting_of_a_few_values_offers_them(command: str) -> None:
    few = {
        name: [one for part in (field.annotation, *get_args(field.annotation)) if get_origin(part) is Literal
               for one in get_args(part)]
        for name, field in Settings.model_fields.items()
    }  # fmt: skip
    taken = {one.name for one in COMMANDS.commands[command].params}
    closed = {name: values for name, values in few.items() if values and name in taken}
    assert "log_level" in closed
    assert {name: offered(command, name) for name in closed} == closed
    assert offered(command, "log_level", "w") == ["warning"]


def test_replay_offers_stories_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk-of-ours.yaml").touch()
    (tmp_path / "disks").mkdir()
    (tmp_path / "disk.txt").touch()
    assert {"disk-fills-up", "disk-of-ours.yaml", "disks/"} <= set(offered("replay", "files", "disk"))
    assert "disk.txt" not in offered("replay", "files", "disk")
    assert offered("replay", "files", "disks/") == []
    assert offered("replay", "hosts") == ["embedded", "compose"]
    assert offered("schema", "name", "s") == ["scenario"]


@pytest.mark.parametrize(
    ("shell", "files"),
    [
        ("bash", {".bashrc", ".bash_completions"}),
        ("zsh", {".zshrc", ".zfunc"}),
        ("fish", {".config"}),
    ],
)
def test_completion_is_installed_and_shown_for_the_shell_that_is_named(
    shell: str, files: set[str], tmp_path: Path
) -> None:
    for arguments in (("--install-completion", shell), (f"--install-completion={shell}",)):
        installed = run_here(*arguments, HOME=str(tmp_path))
        assert (installed.status, installed.output.split()[0]) == (0, shell), installed
        assert {file.name for file in tmp_path.iterdir()} == files
    shown = run_here("--show-completion", shell, HOME=str(tmp_path))
    assert (shown.status, shown.errors) == (0, "")
    assert f"complete_{shell}" in shown.output


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        (("tcsh",), "tcsh is not one that can be completed for; name one of bash, zsh, fish, powershell, pwsh"),
        (("bash", "zsh"), "expected one shell, but got bash zsh"),
    ],
)
@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_an_unknown_shell_is_refused_and_nothing_is_written(
    option: str, named: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    finished = run_here(option, *named, HOME=str(tmp_path))
    assert (finished.status, finished.output) == (2, "")
    assert finished.errors == f"imagestore-sim: {option}: {complaint}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_home_that_cannot_be_written_is_one_line(shell: str) -> None:
    finished = run_here("--install-completion", shell, HOME="/proc")
    assert (finished.status, finished.output, finished.errors.count("\n")) == (2, "", 1)
    assert finished.errors.startswith("imagestore-sim: --install-completion: /proc/.")


def test_a_file_of_the_shell_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_bytes(b"\xff\n")
    finished = run_here("--install-completion", "bash", HOME=str(tmp_path))
    assert (finished.status, finished.errors.count("\n")) == (2, 1)
    assert (tmp_path / ".bashrc").read_bytes() == b"\xff\n"


@pytest.mark.processes
async def test_without_a_name_it_is_the_shell_that_runs(tmp_path: Path) -> None:
    command = f"{shlex.join(COMMAND)} --show-completion; exit $?"  # a last command would take the place of the shell
    finished = await run_program("bash", "-c", command, cwd=tmp_path)
    assert (finished.status, "complete_bash" in finished.output) == (0, True), finished
