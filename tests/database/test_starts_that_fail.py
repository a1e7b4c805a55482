"""A start that cannot succeed: one line that says why, exit status 2, and nothing left behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from new_database import new_database

from imagestore_sim import open_files
from imagestore_sim.database import connections
from processes import run, run_here, running

pytestmark = pytest.mark.processes

SERVE = ("serve", "--port", "0", "--database", "node.db")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(new_database(folder), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _corrupt(folder: Path) -> Iterator[None]:
    file = new_database(folder)
    content = file.read_bytes()
    file.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    yield


@contextmanager
def _no_database(folder: Path) -> Iterator[None]:
    (folder / "node.db").write_text("zones: []\n" * 1000)
    yield


@contextmanager
def _directory(folder: Path) -> Iterator[None]:
    (folder / "node.db").mkdir()
    yield


@contextmanager
def _no_key(folder: Path) -> Iterator[None]:
    new_database(folder)
    (folder / "node.db.key").write_text("none")
    (folder / "node.db.key").chmod(0o600)
    yield


@contextmanager
def _log_only(folder: Path) -> Iterator[None]:
    (folder / "node.db-wal").write_bytes(b"x" * 4096)
    yield


@contextmanager
def _without(folder: Path, change: str) -> Iterator[None]:
    with closing(sqlite3.connect(new_database(folder))) as other:
        other.execute(change)
    yield


@contextmanager
def _locked_away(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(new_database(folder), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (_locked, "the database is locked by another process"),
        (_corrupt, "damaged|malformed"),
        (_no_database, "cannot be read as a SQLite database"),
        (_directory, "is a directory, give the path of a file in it"),
        (_no_key, "this is no key file"),
        (_log_only, "is gone, but changes that belong to it are in"),
        (_locked_away, "the database is locked by another process"),
        (partial(_without, change="DROP TABLE SessionVO"), "is damaged, it has no column uuid in a table SessionVO"),
        (
            partial(_without, change="ALTER TABLE ZoneVO DROP COLUMN description"),
            "is damaged, it has no column description in a table ZoneVO",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(
    broken: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.2)
    with broken(tmp_path):  # type: ignore[attr-defined]
        ended = run_here(*SERVE, cwd=tmp_path)
    assert (ended.status, ended.errors.count("\n")) == (2, 1), ended.errors
    assert ended.errors.startswith("imagestore-sim: ")
    assert any(one in ended.errors for one in said.split("|")), ended.errors


async def test_a_locked_database_is_one_line_of_a_whole_process(tmp_path: Path) -> None:
    with _locked(tmp_path):
        ended = await run(*SERVE, cwd=tmp_path)
    assert (ended.status, ended.errors.count("\n")) == (2, 1), ended.errors


@pytest.mark.parametrize("limit", ["--fsize=0", "--nofile=16"])
def test_a_process_that_may_write_or_open_too_little_is_one_line(limit: str, tmp_path: Path) -> None:
    command = ("prlimit", limit, sys.executable, "-m", "imagestore_sim", *SERVE)
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr


@pytest.mark.parametrize("name", ["link.db", "other/mount.db"])
async def test_a_database_in_use_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    async with running(*SERVE, cwd=tmp_path):
        other = tmp_path / name
        other.parent.mkdir(exist_ok=True)
        os.link(tmp_path / "node.db", other)
        ended = await run("serve", "--port", "0", "--database", str(other))
        assert ended.status == 2
        assert "is in use by another management node under another name" in ended.errors
        assert ended.errors.count("\n") == 1


def test_more_hosts_than_files_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "limit", lambda: 64)
    ended = run_here("lab", "--port", "0", "--hosts", "20")
    assert ended.status == 2
    assert "20 hosts need about 92 open files, and 64 are allowed; raise the limit with ulimit -n" in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_lab_without_a_temporary_folder_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("imagestore_sim.lab.TemporaryFolder", refuse)
    ended = run_here("lab", "--port", "0")
    assert ended.status == 2
    assert "no temporary folder can be made" in ended.errors
    assert ended.errors.count("\n") == 1
