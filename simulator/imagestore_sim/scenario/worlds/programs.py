"""Programs that run against the node of a story, and the time that they have."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from imagestore_sim.clock import Clock
from imagestore_sim.lab_api.lab_time import TIME_HEADER
from imagestore_sim.rest.faulted_request import HEADER, PAST_FAULTS
from imagestore_sim.rest.journal import Entry
from imagestore_sim.virtual_clock import VirtualClock

URL_VARIABLE = "IMAGESTORE_LAB_URL"
"""The variable in which a program finds the node."""
MOST_OUTPUT = 2000
"""Characters that are kept of what a program wrote."""
CHUNK = 64 * 1024
"""Bytes that are read of it at once."""
LAST_CHUNKS = 16
"""How many are read at most once the program has ended: more than a pipe holds."""


async def run_command(command: str, within: float, variables: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a shell command; return its exit status and the end of its output.

    After `within` real seconds it is killed with all that it has started, and the status is None. What has left its
    session runs on, and its output is lost.
    """
    output = _End()
    try:
        process = await asyncio.create_subprocess_shell(
            command,
            env={**os.environ, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.writer,
            stderr=output.writer,
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
    finally:
        output.close()
    return status, output.text()


class _End:
    """Keeps the end of what is written into a pipe, however much that is.

    A thread reads it: on the event loop, the order of a story would depend on how fast the program writes.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._stopped, self._stop = os.pipe()
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="output of a program", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read what is there, and no more: what has left the session of the program may hold the pipe open."""
        os.close(self.writer)
        os.close(self._stop)
        self._thread.join()
        os.close(self._reader)
        os.close(self._stopped)

    def text(self) -> str:
        """Return it, once it is closed."""
        return self._kept.decode(errors="replace").strip()[-MOST_OUTPUT:]

    def _read(self) -> None:
        left = LAST_CHUNKS
        with selectors.DefaultSelector() as selector:
            for one in (self._reader, self._stopped):
                selector.register(one, selectors.EVENT_READ)
            while left:
                ready = {key.fd for key, _ in selector.select()}
                if self._stopped in ready:
                    left = left - 1 if self._reader in ready else 0
                if self._reader in ready:
                    if not (chunk := os.read(self._reader, CHUNK)):
                        return
                    self._kept = (self._kept + chunk)[-4 * MOST_OUTPUT :]


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
            if self._clock is not None:
                self._clock.restart()  # it may have slowed the clock down
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
