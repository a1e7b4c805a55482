"""`imagestore-sim chaos`: faults by hand on the hosts of a lab in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import SUCCESS, InputError

if TYPE_CHECKING:
    from imagestore_sim.settings import Settings


def chaos(
    context: typer.Context,
    host: options.Host = None,
    port: Annotated[
        int | None,
        options.setting(
            "port",
            "Port to listen on; 0 picks a free one.",
            "8081",
            group=options.LISTENING,
            value="PORT",
            variable="CHAOS_PORT",
        ),
    ] = None,
    allowed_host: options.AllowedHost = None,
    lab_token: options.LabToken = None,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Project name of the lab in Compose; by default that of the container which this runs in.",
            envvar="IMAGESTORE_SIM_PROJECT",
            rich_help_panel="Containers",
        ),
    ] = None,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
) -> int:
    """Break the hosts of a lab in containers by hand, over /lab/v1; heal them on exit.

    Print `ready URL` once the hosts are found. This needs Docker's socket, and the extra `compose`.

    Examples:
        the hosts of the Compose project `lab`
        imagestore-sim chaos --project lab
        list them, with the faults that each of them has
        curl http://127.0.0.1:8081/lab/v1/hosts
    """
    from imagestore_sim.cli.running import run

    settings = options.read_options(context, port=8081)
    return run(lambda: run_chaos(settings, project))


async def run_chaos(settings: Settings, project: str | None) -> int:
    """Serve the lab's API for containers until a signal stops it. Raise InputError."""
    try:
        from imagestore_sim.chaos import STOP_SECONDS, Chaos
        from imagestore_sim.containers.errors import EngineProblem
    except ModuleNotFoundError as error:
        if error.name != "aiodocker":
            raise
        raise InputError("chaos needs a library for Docker: pip install 'imagestore-sim[compose]'") from None
    from imagestore_sim import logs
    from imagestore_sim.cli.running import announce, started, until_stopped
    from imagestore_sim.clock import RealClock
    from imagestore_sim.node.from_settings import new_guard

    logs.configure(settings.log_level, settings.log_format)
    async with until_stopped() as stopped:
        chaos = Chaos(settings.host, settings.port, project, RealClock(), new_guard(settings))
        try:
            async with started(chaos.start, chaos.stop, stopped, STOP_SECONDS):
                if not stopped.is_set():
                    announce(chaos.url, chaos.openings())
                    await stopped.wait()
        except (OSError, EngineProblem) as error:
            raise InputError(str(error)) from None
    return SUCCESS
