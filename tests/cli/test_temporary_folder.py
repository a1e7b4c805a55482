"""Temporary files on a file system that is read-only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from imagestore_sim.cli.running import find_temporary_folder


def test_they_are_in_memory_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setenv("TMPDIR", "/nonexistent")
    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    find_temporary_folder()
    assert os.environ["TMPDIR"] == "/dev/shm"


def test_they_are_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    find_temporary_folder()
    assert tempfile.gettempdir() == str(tmp_path)
