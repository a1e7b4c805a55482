"""What a shell offers on Tab for the values of options and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer

from imagestore_sim.settings import Settings
from processes import program

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
