"""An option without its value is asked for on a terminal; a command line without a command shows the page of help."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagestore_sim.cli.help_page import split_help
from imagestore_sim.cli.program import root
from processes import COMMAND, PLAIN

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

TARGET = ("probe", "127.0.0.1:1", "--url", "/")
PROMPT = b"Password: "  # with its space, since the terminal still shows what is typed before that
SECRET = "not-for-the-screen"


def on_a_terminal(arguments: Sequence[str], typed: str, cwd: Path) -> tuple[int, str]:
    """Run the command with a terminal, type a line once it has asked; return its exit status, and what it showed."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=os.environ | PLAIN,
        start_new_session=True, preexec_fn=take_terminal,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := _read(ours):
                shown += piece
                if typed and PROMPT in shown:
                    os.write(ours, f"{typed}\n".encode())
                    typed = ""
            return process.wait(60), shown.decode()
        finally:
            process.kill()
            os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process has closed its end
        return b""


LAST = (*TARGET, "--password")
BEFORE_AN_OPTION = (*TARGET[:2], "--password", *TARGET[2:])


@pytest.mark.parametrize("arguments", [LAST, BEFORE_AN_OPTION])
def test_a_password_without_a_value_is_asked_for_and_not_shown(arguments: Sequence[str], tmp_path: Path) -> None:
    status, shown = on_a_terminal(arguments, SECRET, tmp_path)
    assert status == 1
    assert shown.startswith("Password:")
    assert "127.0.0.1:1: connection refused" in shown
    assert SECRET not in shown


def test_without_a_terminal_the_error_names_the_variable(tmp_path: Path) -> None:
    finished = subprocess.run(
        [*COMMAND, *TARGET, "--password"], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | PLAIN, start_new_session=True, timeout=90, check=False,
    )  # fmt: skip
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        "imagestore-sim: --password has no value, and there is no terminal to ask for it;"
        " set $IMAGESTORE_SIM_PASSWORD\n"
    )


def test_no_command_shows_the_page_of_help(tmp_path: Path) -> None:
    finished = subprocess.run(
        COMMAND, capture_output=True, text=True, cwd=tmp_path, env=os.environ | PLAIN, timeout=90, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr.startswith("Usage: ")
    for _, example in split_help(root.__doc__)[1]:
        assert example in finished.stderr
