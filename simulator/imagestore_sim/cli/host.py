"""`imagestore-sim host`: one simulated ImageStore host on an SSH port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import SUCCESS, InputError
from imagestore_sim.cli.rules import Refuse, apply_rules

if TYPE_CHECKING:
    from imagestore_sim.hosts import SimulatedHost
    from imagestore_sim.settings import Settings

RULES = (Refuse(lambda given: given.used > given.size, "--used {used} is more than --size {size}"),)


def host(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Host name that its shell shows.")] = "imagestore-1",
    host: options.Host = None,
    port: Annotated[int | None, options.setting("port", "Port of its SSH server; 0 picks a free one.", "2222")] = None,
    username: Annotated[str, typer.Option(help="User who may log in.", envvar="IMAGESTORE_SIM_USERNAME")] = "root",
    password: Annotated[
        str, typer.Option(help="Password of the user.", envvar="IMAGESTORE_SIM_PASSWORD", show_envvar=True)
    ] = "password",  # noqa: S107 - what everyone expects of a test host
    size: Annotated[int, typer.Option(min=1, help="Size of its disk, in bytes.", envvar="IMAGESTORE_SIM_SIZE")] = 2**40,
    used: Annotated[int, typer.Option(min=0, help="Bytes in use on its disk.", envvar="IMAGESTORE_SIM_USED")] = 0,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
) -> int:
    """Run one simulated ImageStore host on an SSH port of its own. Print `ready ssh://HOST:PORT`."""
    apply_rules(context, RULES)
    settings = options.read_options(context, port=2222)
    from imagestore_sim.cli.running import run

    return run(lambda: run_host(settings, name, username, password, size, used))


async def run_host(settings: Settings, name: str, username: str, password: str, size: int, used: int) -> int:
    """Run one simulated host until a signal stops it."""
    from imagestore_sim import logs
    from imagestore_sim.cli.running import until_stopped, warn_of_openings
    from imagestore_sim.exposure import is_exposed
    from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
    from imagestore_sim.web_server import authority

    logs.configure(settings.log_level, settings.log_format)
    disk = VirtualDisk(size=size, used=used)
    host = SimulatedHost(name, disk=disk, credentials=Credentials(username, password))
    async with until_stopped() as stopped:
        await _start(host, settings)
        try:
            address, port = host.address
            where = authority(address, port)
            if is_exposed([(address, port)]):
                warn_of_openings(where, [f"{username} logs in with the password that --password gives"])
            print(f"ready ssh://{where}", flush=True)
            await stopped.wait()
        finally:
            await host.stop()
    return SUCCESS


async def _start(host: SimulatedHost, settings: Settings) -> None:
    from imagestore_sim.web_server import authority

    try:
        await host.start(settings.host, settings.port)
    except OSError as error:
        where = authority(settings.host, settings.port)
        raise InputError(f"cannot listen on {where}: {error.strerror or error}") from None
