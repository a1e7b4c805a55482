"""`imagestore-sim host`: one simulated ImageStore host on an SSH port of its own."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import SUCCESS, InputError
from imagestore_sim.cli.rules import Refuse, apply_rules

if TYPE_CHECKING:
    from imagestore_sim.settings import Settings

T = TypeVar("T")
DISK = "Account and disk"
RULES = (Refuse(lambda given: given.used > given.size, "--used {used} is more than --size {size}"),)


def host(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Host name that its shell shows.")] = "imagestore-1",
    host: options.Host = None,
    port: Annotated[
        int | None,
        options.setting(
            "port",
            "Port of its SSH server; 0 picks a free one.",
            "2222",
            group=options.LISTENING,
            value="PORT",
            variable="SSH_PORT",
        ),
    ] = None,
    agent_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port of its agent; 0 picks a free one.",
            envvar="IMAGESTORE_SIM_AGENT_PORT",
            rich_help_panel=options.LISTENING,
        ),
    ] = 0,
    username: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="User who may log in.", envvar="IMAGESTORE_SIM_USERNAME", rich_help_panel=DISK
        ),
    ] = "root",
    password: Annotated[
        str,
        typer.Option(
            metavar="PASSWORD", help="Password of the user.", envvar="IMAGESTORE_SIM_PASSWORD", rich_help_panel=DISK
        ),
    ] = "password",  # noqa: S107 - what everyone expects of a test host
    size: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="BYTES",
            help="Size of its disk.",
            show_default="1099511627776, 1 TiB",
            envvar="IMAGESTORE_SIM_SIZE",
            rich_help_panel=DISK,
        ),
    ] = 2**40,
    used: Annotated[
        int,
        typer.Option(
            min=0, metavar="BYTES", help="Bytes in use on its disk.", envvar="IMAGESTORE_SIM_USED", rich_help_panel=DISK
        ),
    ] = 0,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
) -> int:
    """Run one simulated ImageStore host on an SSH port of its own. Print `ready ssh://HOST:PORT`.

    The next line is `agent https://HOST:PORT`. Nodes ask for agents on port 8000; --agent-port 8000 takes that.

    Examples:
        a host with a disk of one terabyte, almost full
        imagestore-sim host --size 1000000000000 --used 990000000000
        a host of another name and password, on a free port
        imagestore-sim host store-7 --port 0 --password secret
    """
    apply_rules(context, RULES)
    settings = options.read_options(context, port=2222)
    from imagestore_sim.cli.running import run

    return run(lambda: run_host(settings, name, username, password, size, used, agent_port))


async def run_host(
    settings: Settings, name: str, username: str, password: str, size: int, used: int, agent_port: int
) -> int:
    """Run one simulated host until a signal stops it. Raise InputError for a port that cannot be had."""
    from imagestore_sim import logs
    from imagestore_sim.cli.running import until_stopped, warn_of_openings
    from imagestore_sim.exposure import is_exposed
    from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
    from imagestore_sim.web_server import authority

    logs.configure(settings.log_level, settings.log_format)
    disk = VirtualDisk(size=size, used=used)
    host = SimulatedHost(name, disk=disk, credentials=Credentials(username, password))
    async with until_stopped() as stopped:
        try:
            await _listen(host.start(settings.host, settings.port), settings.host, settings.port, "--port")
            agent = await _listen(host.agent.open(settings.host, agent_port), settings.host, agent_port, "--agent-port")
            where = authority(*host.address)
            if is_exposed([host.address, agent]):
                warn_of_openings(where, [f"{username} logs in with the password that --password gives"])
            print(f"ready ssh://{where}\nagent https://{authority(*agent)}", flush=True)
            await stopped.wait()
        finally:
            await host.stop()
    return SUCCESS


async def _listen(opening: Awaitable[T], host: str, port: int, option: str) -> T:
    """Return the result of `opening`. Raise InputError where it cannot listen on a port."""
    from imagestore_sim.node.errors import cannot_listen

    try:
        return await opening
    except OSError as error:
        raise InputError(cannot_listen(host, port, error, option)) from None
