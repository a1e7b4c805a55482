"""The command line that is sent to a host, run by a real shell, and its answer, read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from imagestore_sim.probe.shell import Answer, parse, script
from rows import rows

DF = '$t df -kP -- "$1"'
LOGIN_SHELLS = [shell for shell in ("sh", "bash", "zsh", "tcsh", "fish") if shutil.which(shell)]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a PATH with the fewest commands of a host."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("sh", "env", "true", "df"):
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return directory


def add_program(directory: Path, name: str, text: str) -> None:
    """Put a program into `directory`, in place of one that is there."""
    program = directory / name
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def run(url: object, *, path: Path | None = None, command: str = DF, shell: str = "sh", seconds: int = 5) -> Answer:
    """Return the answer of a local shell."""
    done = subprocess.run(
        [str(shutil.which(shell)), "-c", script(command, str(url), seconds)],
        env=None if path is None else {"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = parse(done.stdout)
    assert answer is not None, done
    return answer


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
@pytest.mark.parametrize("name", ["plain", "with space", "it's", 'say "so"', "$HOME", "-rf", "a;b", "ünïcode"])
def test_any_login_shell_passes_any_path(tmp_path: Path, shell: str, name: str) -> None:
    url = tmp_path / name
    url.mkdir()
    answer = run(url, shell=shell)
    assert answer.status == 0
    assert answer.directory
    assert "%" in answer.output


def test_a_missing_path_shows_in_status_and_output(tmp_path: Path) -> None:
    answer = run(tmp_path / "missing")
    assert (answer.status, answer.directory) == (1, False)
    assert "No such file or directory" in answer.output


def test_a_file_is_no_directory_though_df_has_an_answer(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    answer = run(file)
    assert (answer.status, answer.directory, answer.file) == (0, False, True)


def test_a_host_without_timeout_answers_all_the_same(tmp_path: Path, programs: Path) -> None:
    assert run(tmp_path, path=programs).status == 0


def test_a_timeout_too_old_for_its_options_is_not_used(tmp_path: Path, programs: Path) -> None:
    add_program(programs, "timeout", "echo 'timeout: unrecognized option: k' >&2; exit 1")
    assert run(tmp_path, path=programs).status == 0


def test_a_missing_command_has_status_127(tmp_path: Path, programs: Path) -> None:
    (programs / "df").unlink()
    assert run(tmp_path, path=programs).status == 127


def test_a_command_that_hangs_is_ended_on_the_host(tmp_path: Path, programs: Path) -> None:
    add_program(programs, "df", "exec /bin/sleep 60")
    (programs / "timeout").symlink_to(str(shutil.which("timeout")))
    assert run(tmp_path, path=programs, seconds=1).status == 124


@rows(
    ("said", "answer"),
    [
        ("__BEGIN__\nout\n__END__ rc=0 directory=0\n", Answer("out\n", 0, True)),
        ("__BEGIN__\r\nout\r\n__END__ rc=0 directory=0\r\n", Answer("out\r\n", 0, True)),
        ("Welcome!\n__BEGIN__\nout\n__END__ rc=1 directory=1\nlogout\n", Answer("out\n", 1, False)),
        ("+ echo __BEGIN__; df\n__BEGIN__\nout__END__ rc=127 directory=0", Answer("out", 127, True)),
        ("__BEGIN__\n__END__ rc=0 directory=0", Answer("", 0, True)),
        ("", None),
        ("This account is currently not available.\n", None),
        ("__BEGIN__\ncut off", None),
        ('echo "__END__ rc=$rc directory=$?"', None),
    ],
)
def test_the_answer_is_found_between_its_sentinels(said: str, answer: Answer | None) -> None:
    assert parse(said) == answer
