"""Programs that run against the node of a story, and the time that they have."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import IO

from imagestore_sim.clock import Clock
from imagestore_sim.lab_api.lab_time import TIME_HEADER
from imagestore_sim.rest.faulted_request import HEADER, PAST_FAULTS
from imagestore_sim.rest.journal import Entry
from imagestore_sim.virtual_clock import VirtualClock

URL_VARIABLE = "IMAGESTORE_LAB_URL"
"""The variable in which a program finds the node."""
MOST_OUTPUT = 2000
"""Characters that are kept of what a program wrote."""


async def run_command(command: str, within: float, variables: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a shell command; return its exit status and the end of its output.

    After `within` real seconds it is killed with all that it has started, and the status is None.
    """
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_shell(
            command,
            env={**os.environ, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within):  # real: the program is
                status: int | None = await process.wait()
        except TimeoutError:
            status = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return status, _end_of(output)


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4 * MOST_OUTPUT))
    return file.read().decode(errors="replace").strip()[-MOST_OUTPUT:]


def is_by_story(entry: Entry) -> bool:
    """Return whether a request was made by the story itself, past all faults of the management plane."""
    return dict(entry.headers).get(HEADER.lower()) == PAST_FAULTS


class ProgramTime:
    """The time of a program: virtual time stands still until its requests move it.

    Once a request comes that carries no time, the program has the machine's time. While the node is down, no request
    can move the time, so it jumps to what is due, as it does without a program.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock if isinstance(clock, VirtualClock) else None
        self._running = 0
        self._real = ExitStack()
        self._is_real = False

    def begin(self) -> None:
        """Let a program begin."""
        self._running += 1
        self._apply(is_up=True)

    def end(self) -> None:
        """Let a program end."""
        self._running -= 1
        if not self._running:
            self._is_real = False
        self._apply(is_up=True)

    def node_is(self, *, up: bool) -> None:
        """Note that the node has come up or is going down."""
        self._apply(is_up=up)

    def see(self, entry: Entry) -> None:
        """Look at a request that the node has got."""
        names = dict(entry.headers)
        if self._running and not is_by_story(entry) and TIME_HEADER.lower() not in names:
            self._is_real = True
            self._apply(is_up=True)

    def _apply(self, *, is_up: bool) -> None:
        if self._clock is None:
            return
        self._real.close()
        if self._running and self._is_real:
            self._real.enter_context(self._clock.outside())
        if self._running and is_up and not self._is_real:
            self._clock.pause()
        else:
            self._clock.resume()
