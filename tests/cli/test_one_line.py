"""What a machine does to a command is one line at most, and no traceback: a full disk, few files, Ctrl-C, no output."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from processes import COMMAND, PLAIN

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent.parent
STORY = ROOT / "scenarios" / "one-lost-ping.yaml"
INTERRUPTED_IMPORT = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = {arguments!r}
from imagestore_sim.__main__ import main
main()
"""
"""A script in which Ctrl-C comes when a module is imported."""
WITHOUT_THREADS = """
import sys, threading

def refuse(function, *arguments):
    raise RuntimeError("can't start new thread")

threading._start_new_thread = refuse  # as where ulimit -u, or --pids-limit of a container, allows none
sys.argv[1:] = ["lab", "--port", "0"]
from imagestore_sim.__main__ import main
main()
"""
"""A script that can start no thread."""


def ended(
    *command: str, output: int | IO[Any] = subprocess.PIPE, files: int | None = None, **options: Any
) -> tuple[int, str]:
    """Run a program to its end; return its exit status, and what it wrote to stderr."""

    def prepare() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, preexec_fn=prepare, text=True,
        env=os.environ | PLAIN, timeout=90, check=False, **options,
    )  # fmt: skip
    return finished.returncode, finished.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["schema", "config"]])
def test_an_output_that_cannot_be_written_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        status, errors = ended(*COMMAND, *arguments, output=full)
    assert (status, errors) == (2, "imagestore-sim: cannot go on: output or a file: No space left on device\n")


@pytest.mark.parametrize("arguments", [["probe", "127.0.0.1:1", "--url", "/"], ["--version"]])
def test_a_command_runs_without_standard_output(arguments: list[str]) -> None:
    command = " ".join((*COMMAND, *arguments))
    status, errors = ended("sh", "-c", f"exec {command} >&-")
    assert (status, errors) == (1 if "probe" in arguments else 0, "")


@pytest.mark.parametrize(
    ("arguments", "files", "text"),
    [
        (["replay", str(STORY)], 16, "16 open files are allowed, which is too few; raise the limit with ulimit -n"),
        (["replay", str(STORY)], 34, "1 hosts need about 35 open files, and 34 are allowed; raise the limit with"),
        (["openapi", "--lab"], 16, "16 open files are allowed, which is too few; raise the limit with ulimit -n"),
    ],
)
def test_too_few_files_are_one_line(arguments: list[str], files: int, text: str) -> None:
    status, errors = ended(*COMMAND, *arguments, files=files)
    assert (status, errors.count("\n")) == (2, 1), errors
    assert text in errors


def test_a_limit_of_threads_is_one_line(tmp_path: Path) -> None:
    status, errors = ended(sys.executable, "-c", WITHOUT_THREADS, cwd=tmp_path)
    assert status == 2
    assert errors == (
        "imagestore-sim: no thread can be started; raise the limit of processes (ulimit -u) or of memory (ulimit -v)\n"
    )


@pytest.mark.parametrize("module", ["typer", "imagestore_sim.cli.replay"])
def test_ctrl_c_before_a_command_runs_ends_it_without_a_word(module: str) -> None:
    script = INTERRUPTED_IMPORT.format(module=module, arguments=["replay", str(STORY)])
    assert ended(sys.executable, "-c", script) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("imagestore_sim.testing.client", ["load", "more.yaml", "http://127.0.0.1:1"]),
        ("imagestore_sim.parity.runner", ["compare", "http://127.0.0.1:1", "--password", "password"]),
    ],
)
def test_ctrl_c_while_a_command_runs_ends_it_without_a_word(module: str, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("zones: []\n")
    script = INTERRUPTED_IMPORT.format(module=module, arguments=arguments)
    assert ended(sys.executable, "-c", script, cwd=tmp_path) == (130, "")


def test_a_recording_is_refused_at_once_where_its_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.yaml").mkdir()
    status, errors = ended(*COMMAND, "record", "http://127.0.0.1:1", "--out", str(tmp_path / "out.yaml"))
    assert (status, errors) == (2, f"imagestore-sim: --out {tmp_path}/out.yaml: is a folder\n")
