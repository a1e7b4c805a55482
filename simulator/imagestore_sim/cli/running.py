"""Run a command on an event loop: until it is done, or until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from imagestore_sim import open_files
from imagestore_sim.cli.exits import InputError
from imagestore_sim.clock import RealClock
from imagestore_sim.exposure import warning
from imagestore_sim.tasks import cancel_and_wait, new_event_loop, until_done_or_set

STOP_SECONDS = 2.0
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""Sent when the terminal is closed; not on Windows."""
COLLECTIONS = (10_000, 20, 50)
"""Thresholds of the garbage collector. By Python's own, what a ping needs while it waits soon counts as old, and a node
looks through all that its connections have again and again."""
MEMORY_DISK = "/dev/shm"  # noqa: S108 - nothing is written there under a name that another user can guess


def run(
    work: Callable[[], Awaitable[int]], *, new_loop: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
) -> int:
    """Run `work` on a new event loop and return its exit status. Raise InputError."""
    from imagestore_sim.bootstrap import BootstrapError
    from imagestore_sim.database import DatabaseError
    from imagestore_sim.node.errors import StartError

    async def main() -> int:
        return await work()

    prepare()
    try:
        with interruptible(), asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main())
    except (BootstrapError, DatabaseError, StartError) as error:
        raise InputError(str(error)) from None


def check_open_files() -> None:
    """Raise InputError if the process may hardly open a file more."""
    if open_files.left() < open_files.RESERVED:
        raise InputError(
            f"{open_files.limit()} open files are allowed, which is too few; raise the limit with ulimit -n"
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in a block, or cancel its task, where it would end the process at once."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def stoppable() -> Iterator[None]:
    """Take SIGTERM and SIGHUP as Ctrl-C in a block, which may be interrupted: what was seen is printed and kept.

    A program in the background of a script, or one that `timeout` ends, gets no Ctrl-C.
    """
    handlers = {one: _hang_up if one is HANGUP else _interrupt for one in _ending() if one is not signal.SIGINT}
    before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    try:
        with interruptible():
            yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _ending() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command in order: SIGHUP as well, unless it is ignored, as with nohup."""
    always = (signal.SIGINT, signal.SIGTERM)
    return always if HANGUP is None or signal.getsignal(HANGUP) is signal.SIG_IGN else (*always, HANGUP)


def _hang_up(number: int, frame: FrameType | None) -> None:
    """Take the first SIGHUP as Ctrl-C. The shell and the system each send one: another would end what ends in order."""
    signal.signal(number, signal.SIG_IGN)
    _interrupt(number, frame)


def _interrupt(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)  # that of an event loop which runs, or Python's
    if callable(handler):
        handler(signal.SIGINT, frame)
        return
    # SIGINT is ignored, as in the background of a script. Raise nothing in the middle of what a loop runs: where C has
    # called Python, as SQLite does, that is taken for an error.
    try:
        asyncio.get_running_loop().call_soon_threadsafe(_raise_interrupt)
    except RuntimeError:
        _raise_interrupt()


def _raise_interrupt() -> None:
    raise KeyboardInterrupt


def prepare() -> None:
    """Prepare the process for a command that does more than print. Raise InputError."""
    start_collecting_garbage()
    find_temporary_folder()
    check_open_files()


def find_temporary_folder() -> None:
    """Keep temporary files in memory where the file system is read-only, as that of a container can be."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        os.environ["TMPDIR"] = MEMORY_DISK  # for child processes, too


def start_collecting_garbage() -> None:
    """Enable the garbage collector if `main` has disabled it; it never looks at what has been imported by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(*COLLECTIONS)
        gc.enable()


def collect_no_more() -> None:
    """Leave what a start has made to no later collection: each took 0.1 s, and found nothing.

    Collect what is garbage among the latest objects, of which COLLECTIONS bounds the number. To look at those of 16,667
    storages takes 2 s, in which nothing is answered, and finds a thousand that have been left since the imports.
    """
    gc.collect(1)
    gc.freeze()


@asynccontextmanager
async def until_stopped() -> AsyncIterator[asyncio.Event]:
    """Yield an event that the first SIGINT, SIGTERM or SIGHUP sets; a second one ends the process, but no SIGHUP.

    A terminal that is closed ends a command as Ctrl-C does: a lab leaves nothing behind, a recording is written.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    signals = _ending()

    def stop() -> None:
        stopped.set()
        for one in signals:
            if one is not HANGUP:  # the shell and the system each send one as a terminal is closed
                loop.remove_signal_handler(one)

    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield stopped
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


@asynccontextmanager
async def started(
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    stopped: asyncio.Event,
    seconds: float = STOP_SECONDS,
) -> AsyncIterator[None]:
    """Run start(), cancelling it if `stopped` fires first; call stop() on exit, within `seconds`."""
    starting = asyncio.ensure_future(start())
    try:
        await _until_started(starting, stopped)
        yield
    finally:
        try:
            await RealClock().wait_for(stop(), seconds)
        except TimeoutError:
            print("imagestore-sim: some of it did not stop in time and was left", file=sys.stderr)


async def _until_started(starting: asyncio.Future[None], stopped: asyncio.Event) -> None:
    """Wait for the end of a start, which is cancelled if `stopped` fires or the caller is cancelled.

    A signal before `until_stopped` cancels the caller. What a start still opens must not meet what stop() closes.
    """
    try:
        await until_done_or_set(starting, stopped)
    finally:
        if not starting.done():
            await cancel_and_wait(starting)
    if not starting.cancelled():
        starting.result()


def announce(url: str, openings: Sequence[str]) -> None:
    """Warn of what `url` opens to other machines, then print the `ready` line."""
    warn_of_openings(url, openings)
    print(f"ready {url}", flush=True)


def warn_of_openings(where: str, openings: Sequence[str]) -> None:
    """Print to standard error what `where` opens to other machines, if anything."""
    if openings:
        print(warning(where, openings), file=sys.stderr, flush=True)
