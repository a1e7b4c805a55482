"""What a killed process leaves in the folder of temporary files is removed by a later one; nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagestore_sim import temporary_folders
from imagestore_sim.temporary_folders import LOCK, PREFIX, TemporaryFolder, remove_leftovers

HOLD = """
import sys, time
from pathlib import Path
from imagestore_sim.temporary_folders import TemporaryFolder
folder = TemporaryFolder()
Path(folder.name, "lab.db").write_text("x")
Path(folder.name, "below").mkdir()
Path(folder.name, "below", "more").write_text("x")
Path(folder.name, "link").symlink_to(sys.argv[1])
print(folder.name, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of temporary files, of this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    temporary_folders._tidy.cache_clear()
    return folder


def holding(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that has a temporary folder; return it, and the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_folder_of_a_killed_process_is_removed_by_a_later_one_and_no_other(parent: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    dead, left = holding(kept)
    living, used = holding(kept)
    try:
        killed(dead)
        for name in ("unlocked", "empty"):
            (parent / f"{PREFIX}{name}").mkdir()
        (parent / f"{PREFIX}unlocked" / "lab.db").write_text("x")
        (parent / "other").mkdir()
        (parent / "other" / LOCK).write_text("")
        with TemporaryFolder() as own:
            assert not left.exists()
            assert used.is_dir()
            assert (used / "lab.db").exists()
            assert Path(own).is_dir()
            assert remove_leftovers(str(parent)) == 0
        assert not Path(own).exists()
        assert sorted(one.name for one in parent.iterdir()) == sorted(
            ["other", f"{PREFIX}empty", f"{PREFIX}unlocked", used.name]
        )
        assert (kept / "file").exists(), "a link is removed, not what it leads to"
    finally:
        killed(living)
    assert remove_leftovers(str(parent)) == 1
    assert not used.exists()


def test_a_link_to_a_folder_or_to_a_lock_is_left_with_what_it_leads_to(parent: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / LOCK).write_text("")
    (mine / "file").write_text("x")
    (parent / f"{PREFIX}link").symlink_to(mine)
    (parent / f"{PREFIX}locked-by-link").mkdir()
    (parent / f"{PREFIX}locked-by-link" / LOCK).symlink_to(mine / LOCK)
    (parent / f"{PREFIX}file").write_text("x")
    (parent / f"{PREFIX}pipe").mkdir()
    os.mkfifo(parent / f"{PREFIX}pipe" / f"{LOCK}.new")
    before = sorted(parent.rglob("*"))
    assert remove_leftovers(str(parent)) == 0
    assert sorted(parent.rglob("*")) == before
    assert (mine / "file").exists()


def test_the_folder_of_another_user_is_left(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (parent / f"{PREFIX}theirs").mkdir()
    (parent / f"{PREFIX}theirs" / LOCK).write_text("")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert remove_leftovers(str(parent)) == 0
    monkeypatch.undo()
    assert remove_leftovers(str(parent)) == 1


def test_a_process_removes_no_more_than_some(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        (parent / f"{PREFIX}{number}").mkdir()
        (parent / f"{PREFIX}{number}" / LOCK).write_text("")
    monkeypatch.setattr(temporary_folders, "MOST_REMOVED", 3)
    assert [remove_leftovers(str(parent)) for _ in range(4)] == [3, 3, 1, 0]


def test_a_folder_whose_lock_cannot_be_made_is_not_left(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(temporary_folders, "_locked", fail)
    with pytest.raises(OSError, match="No space left"):
        TemporaryFolder()
    assert list(parent.iterdir()) == []


def test_on_a_file_system_without_locks_a_folder_is_left_to_its_process(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: object, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("imagestore_sim.temporary_folders.fcntl.flock", fail)
    with TemporaryFolder() as folder:
        assert list(Path(folder).iterdir()) == []
        assert remove_leftovers(str(parent)) == 0
    assert list(parent.iterdir()) == []


def test_a_folder_of_temporary_files_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remove_leftovers(str(tmp_path / "nowhere"))
    temporary_folders._tidy(str(tmp_path / "nowhere"))
