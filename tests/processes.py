"""Run the commands, each in its own process, or in this one where only output and exit status matter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from typer.main import get_command
from typer.testing import CliRunner

from imagestore_sim import logs
from imagestore_sim.cli.app import app

COMMAND = (sys.executable, "-m", "imagestore_sim")
PLAIN = {"NO_COLOR": "1", "COLUMNS": "120"}
WAIT_SECONDS = 90.0  # on a busy machine
READY_SECONDS = 120.0  # with a thousand storages


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    status: int
    output: str
    errors: str


async def run(*arguments: str, cwd: Path | None = None, **environment: str) -> Finished:
    """Run a command of the console script to its end. Raise TimeoutError, and kill it, after WAIT_SECONDS."""
    return await run_program(*COMMAND, *arguments, cwd=cwd, **environment)


async def run_program(*command: str, cwd: Path | None = None, **environment: str) -> Finished:
    """Run a program to its end. Raise TimeoutError, and kill it, after WAIT_SECONDS."""
    async with child(*command, cwd=cwd, **_options(environment)) as process:
        output, errors = await asyncio.wait_for(process.communicate(), WAIT_SECONDS)
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(), errors.decode())


@cache
def program() -> Any:
    """Return the console script's parser, made once in a process: it reads the options of every command."""
    return get_command(app)


def run_here(*arguments: str, cwd: Path | None = None, typed: str | None = None, **environment: str) -> Finished:
    """Run a command that ends soon in this process, which saves a second, and return what it prints.

    It reads `typed` from standard input.

    On another thread than the main one, only a command that handles no signals can run. Logging stays as it is.
    """
    status: object = 0
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.object(logs, "configure"),
        CliRunner(env=PLAIN | environment).isolation(typed) as (output, errors, _),
    ):
        try:
            program()(list(arguments), prog_name="python -m imagestore_sim")
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(status, int)
        return Finished(status, output.getvalue().decode(), errors.getvalue().decode())


class Running:
    """A command that has printed `ready URL`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end of the process, and return its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        await asyncio.wait_for(self.process.communicate(), WAIT_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def running(*arguments: str, cwd: Path | None = None, **environment: str) -> AsyncIterator[Running]:
    """Start a command, and yield it once it has printed `ready`. Kill it at the end of the block if it still runs."""
    async with child(*COMMAND, *arguments, cwd=cwd, **_options(environment)) as process:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)).decode()
        if not line.startswith("ready "):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            _, errors = await process.communicate()
            raise AssertionError(f"expected a ready line, but got {line!r}: {errors.decode()}")
        yield Running(process, line.split()[1])


@asynccontextmanager
async def child(*command: str | Path, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a program, and kill it at the end of the block if it still runs: a leaked one may fail the next test.

    `options` are those of asyncio.create_subprocess_exec. With `start_new_session` its own children are killed, too.
    """
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if options.get("start_new_session"):
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
        await process.communicate()


def _options(environment: dict[str, str]) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    return {
        "env": os.environ | PLAIN | environment,
        "stdin": asyncio.subprocess.DEVNULL,
        "stdout": pipe,
        "stderr": pipe,
    }
