"""Files that people name: what they hold, and what is no file with an end."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from imagestore_sim import whole_files
from imagestore_sim.whole_files import read_bytes, read_text


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_what_a_pipe_brings_in_pieces_is_read_to_its_end(pipe: Path) -> None:
    def write() -> None:
        with pipe.open("wb", buffering=0) as opened:
            for piece in (b"zones:\r\n", b"x" * 200_000, b"\n"):
                opened.write(piece)

    writing = threading.Thread(target=write)
    writing.start()
    assert read_text(pipe) == f"zones:\n{'x' * 200_000}\n"
    writing.join()


def test_a_pipe_that_brings_nothing_is_an_error(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "PIPE_SECONDS", 0.1)
    with pytest.raises(TimeoutError, match=r"nothing came through this pipe for 0\.1 s"):
        read_bytes(pipe)
    silent = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(TimeoutError):
            read_bytes(pipe)
    finally:
        os.close(silent)


def test_a_device_without_an_end_is_read_no_further_than_allowed() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        read_bytes(Path("/dev/zero"), 5000)
    assert read_bytes(Path(os.devnull)) == b""
