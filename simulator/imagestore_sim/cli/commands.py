"""What the commands do, once their options have been read."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from rich.console import Console

from imagestore_sim import logs, open_files
from imagestore_sim.bootstrap import read_bootstrap
from imagestore_sim.cli.output import describe, follow
from imagestore_sim.clock import RealClock
from imagestore_sim.exposure import is_exposed, warning
from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
from imagestore_sim.lab import Lab
from imagestore_sim.node.from_settings import new_guard, new_prober
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.probe import Capacity, ProbeFailure, Target
from imagestore_sim.probe.resolving import literal_address
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import until_done_or_set
from imagestore_sim.testing.client import Answer, CallFailed, bearer, plain_reason
from imagestore_sim.web_server import authority

if TYPE_CHECKING:
    from imagestore_sim.cli.compare import Options

STOP_SECONDS = 2.0
TARGET = re.compile(
    r"(?:(?P<user>[^@]+)@)?"
    r"(?:(?:\[(?P<address>[^\[\]@]+:[^\[\]@]+)\]|(?P<host>[^:@\[\]]+))(?::(?P<port>[0-9]{1,9}))?"
    r"|(?P<bare>[^@\[\]:]*:[^@\[\]:]*:[^@\[\]]*))"
)


class InputError(Exception):
    """Something that a command was given cannot be used; the text says what, and why."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def run_lab(settings: Settings) -> int:
    """A lab, until somebody stops it."""
    logs.configure(settings.log_level, settings.log_format)
    open_files.raise_limit()
    async with _until_stopped() as stopped:
        lab = Lab(settings)
        async with _started(lab.start, lab.stop, stopped):
            if stopped.is_set():
                return 0
            _warn(lab.url, await lab.node.openings())
            print(f"ready {lab.url}", flush=True)
            await follow(lab, Console(), stopped)
    return 0


async def run_node(settings: Settings) -> int:
    """A management node, until somebody stops it."""
    logs.configure(settings.log_level, settings.log_format)
    open_files.raise_limit()
    async with _until_stopped() as stopped:
        node = ManagementNode(settings)
        async with _started(node.start, node.stop, stopped):
            if not stopped.is_set():
                _warn(node.url, await node.openings())
                print(f"ready {node.url}", flush=True)
                await stopped.wait()
    return 0


async def run_chaos(settings: Settings, project: str | None) -> int:
    """The lab's API for containers, until somebody stops it."""
    try:
        from imagestore_sim.chaos import STOP_SECONDS as HEALED_SECONDS
        from imagestore_sim.chaos import Chaos
        from imagestore_sim.containers.errors import EngineProblem
    except ModuleNotFoundError as error:
        if error.name != "aiodocker":
            raise
        raise InputError("chaos needs a library for Docker: pip install 'imagestore-sim[compose]'") from None

    logs.configure(settings.log_level, settings.log_format)
    async with _until_stopped() as stopped:
        chaos = Chaos(settings.host, settings.port, project, RealClock(), new_guard(settings))
        try:
            async with _started(chaos.start, chaos.stop, stopped, HEALED_SECONDS):
                if not stopped.is_set():
                    _warn(chaos.url, chaos.openings())
                    print(f"ready {chaos.url}", flush=True)
                    await stopped.wait()
        except (OSError, EngineProblem) as error:
            raise InputError(str(error)) from None
    return 0


async def run_host(settings: Settings, name: str, username: str, password: str, size: int, used: int) -> int:
    """One simulated host, until somebody stops it."""
    logs.configure(settings.log_level, settings.log_format)
    disk = VirtualDisk(size=size, used=used)
    host = SimulatedHost(name, disk=disk, credentials=Credentials(username, password))
    async with _until_stopped() as stopped:
        try:
            await host.start(settings.host, settings.port)
        except OSError as error:
            raise InputError(
                f"cannot listen on {authority(settings.host, settings.port)}: {error.strerror or error}"
            ) from None
        try:
            address, port = host.address
            if is_exposed([(address, port)]):
                _warn(authority(address, port), [f"{username} logs in with the password that --password gives"])
            print(f"ready ssh://{authority(address, port)}", flush=True)
            await stopped.wait()
        finally:
            await host.stop()
    return 0


async def run_compare(options: Options) -> int:
    """Compare a node with the emulator. Raises InputError."""
    from imagestore_sim.cli.compare import Unusable
    from imagestore_sim.cli.compare import run_compare as compare

    try:
        return await compare(options)
    except Unusable as error:
        raise InputError(str(error)) from None


async def run_load(file: Path, url: str, lab_token: str | None) -> int:
    """Add the records of a bootstrap file to a running node's; returns once each new storage has been tried."""
    records = await asyncio.to_thread(read_bootstrap, file)
    content = records.model_dump_json(exclude_defaults=True)
    try:
        answer = await _post(f"{url.rstrip('/')}/lab/v1/snapshot", content, lab_token)
    except (aiohttp.ClientError, OSError) as error:
        raise InputError(f"{url}: {plain_reason(error)}") from None
    if answer.status != 200 or answer.body != {"added": True}:
        raise InputError(f"{url}: {CallFailed(answer).reason}")
    count = len(records.backupStorages)
    print(
        f"{url}: the records of {file} are there, {count} backup {'storage' if count == 1 else 'storages'} among them"
    )
    return 0


async def _post(url: str, content: str, lab_token: str | None) -> Answer:
    async with (
        aiohttp.ClientSession(headers=bearer(lab_token)) as session,
        session.post(url, data=io.BytesIO(content.encode()), params={"wait": "true"}) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.text(errors="replace"))


async def run_record(
    url: str, out: Path, lasts: float | None, account: str, password: str, lab_token: str | None
) -> int:
    """Record a node until somebody stops that, or for so many seconds."""
    from imagestore_sim.cli.replay import run_record as record

    async with _until_stopped() as stopped:
        if lasts is not None:
            asyncio.get_running_loop().call_later(lasts, stopped.set)  # real: as long as was asked for
        return await record(url, out, stopped, account, password, lab_token)


async def run_probe(settings: Settings, target: str, url: str, password: str | None, *, as_json: bool) -> int:
    """One probe; prints what it found, and answers the exit status."""
    try:
        prober = new_prober(settings, RealClock())
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        found = await prober.probe(_parse_target(target, url, password))
    finally:
        await prober.close()
    if as_json:
        print(orjson.dumps(_to_json(found)).decode())
    else:
        describe(found, Console())
    return 0 if isinstance(found, Capacity) else 1


def _warn(where: str, openings: list[str]) -> None:
    if openings:
        print(warning(where, openings), file=sys.stderr, flush=True)


def _parse_target(text: str, url: str, password: str | None) -> Target:
    match = TARGET.fullmatch(text)
    host = "" if match is None else match["host"] or match["address"] or match["bare"]
    if match is None or (":" in host and literal_address(host) is None):
        raise InputError(f"{text} is not [user@]host[:port]; an IPv6 address is in brackets where a port follows it")
    port = int(match["port"] or 22)
    if not 1 <= port <= 65535:
        raise InputError(f"{text}: {port} is no port, it must be between 1 and 65535")
    if not url.startswith("/"):
        raise InputError(f"--url: {url} is not an absolute path")
    return Target(host, port, match["user"] or "root", url, password)


def _to_json(found: Capacity | ProbeFailure) -> dict[str, Any]:
    phases = {phase: round(milliseconds, 3) for phase, milliseconds in found.phases.items()}
    if isinstance(found, ProbeFailure):
        return {"reason": found.reason, "message": found.message, "phases": phases}
    inodes = {"total": found.inodes.total, "available": found.inodes.available} if found.inodes else None
    return {
        "total": found.total,
        "available": found.available,
        "inodes": inodes,
        "readOnly": found.read_only,
        "method": found.method,
        "phases": phases,
    }


@asynccontextmanager
async def _until_stopped() -> AsyncIterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process as it always would."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop)
    try:
        yield stopped
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)


@asynccontextmanager
async def _started(
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    stopped: asyncio.Event,
    seconds: float = STOP_SECONDS,
) -> AsyncIterator[None]:
    """Something started, unless it is stopped before that has come to its end; stopped again within so many seconds."""
    starting = asyncio.ensure_future(start())
    try:
        await until_done_or_set(starting, stopped)
        if not starting.done():
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
        else:
            starting.result()
        yield
    finally:
        try:
            await RealClock().wait_for(stop(), seconds)
        except TimeoutError:
            print("imagestore-sim: some of it did not stop in time and was left", file=sys.stderr)
