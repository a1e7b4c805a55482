"""Every generated document is what its source says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from generate import DOCS, GENERATED

pytest.importorskip("aiodocker", reason="needs the extra `compose`")
AGAIN = "run `make docs`"


@pytest.mark.parametrize("name", [name for name, one in GENERATED.items() if one.quick])
def test_a_document_is_up_to_date(name: str) -> None:
    assert GENERATED[name].stale() == [], AGAIN


@pytest.mark.scenarios
def test_the_pictures_of_the_stories_are_up_to_date() -> None:
    assert GENERATED["stories"].stale() == [], f"{AGAIN} PAGES=stories"


def test_pictures_are_small() -> None:
    assert max(file.stat().st_size for file in (DOCS / "stories").iterdir()) < 4096


def test_a_stale_document_is_listed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generate.DOCS", tmp_path)
    (tmp_path / "metrics.md").write_text("old")
    assert GENERATED["metrics"].stale() == [tmp_path / "metrics.md"]
    GENERATED["metrics"].write()
    assert GENERATED["metrics"].stale() == []


def test_files_of_a_folder_that_are_too_many_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generate.DOCS", tmp_path)
    monkeypatch.setattr("generators.scenarios.pictures", lambda: {"one.svg": "<svg/>"})
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "gone.svg").write_text("<svg/>")
    assert GENERATED["stories"].stale() == [tmp_path / "stories" / "gone.svg", tmp_path / "stories" / "one.svg"]
    GENERATED["stories"].write()
    assert [file.name for file in (tmp_path / "stories").iterdir()] == ["one.svg"]


def test_the_command_refuses_a_name_that_it_does_not_know() -> None:
    command = [sys.executable, str(DOCS / "generate.py"), "nothing"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, "there is no document nothing; there are commands," in finished.stderr) == (2, True)
