"""`imagestore-sim lab`: a management node and simulated hosts in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.completion import words
from imagestore_sim.cli.exits import SUCCESS
from imagestore_sim.cli.rules import Refuse, apply_rules

if TYPE_CHECKING:
    import asyncio

    from imagestore_sim.lab import Lab
    from imagestore_sim.settings import Settings

IN_BACKGROUND = "In the background"
LOG_FILE = "lab.log"
"""Of a lab in the background, in its temporary folder."""
PING_SECONDS = 5
"""A lab shows soon what happens to its hosts; ZStack's own default is 60."""
RULES = (
    Refuse(lambda given: given.env and given.kill, "--kill: is not used with --env"),
    Refuse(
        lambda given: given.shell is not None and not (given.env or given.kill),
        "--shell: expected together with --env or --kill",
    ),
)


def lab(
    context: typer.Context,
    hosts: Annotated[
        int | None, options.setting("hosts", "Simulated hosts to start with.", "3", group=options.PROBES, value="N")
    ] = None,
    any_host: Annotated[
        bool | None,
        options.setting(
            "any_host",
            "Create a simulated host for any other host name that a client adds.",
            "on",
            group=options.PROBES,
            flag="--any-host/--no-any-host",
        ),
    ] = None,
    host: options.Host = None,
    port: options.Port = None,
    allowed_host: options.AllowedHost = None,
    lab_api: Annotated[
        bool | None,
        options.setting(
            "lab_api", "Let /lab/v1 change things.", "on", group=options.LISTENING, flag="--lab-api/--no-lab-api"
        ),
    ] = None,
    lab_token: options.LabToken = None,
    database: Annotated[
        str | None,
        options.setting(
            "database",
            "File, or URL of a MariaDB, to keep the records in.",
            "a temporary one",
            group=options.RECORDS,
            value="FILE|URL",
        ),
    ] = None,
    vault_key: options.VaultKey = None,
    vault_key_file: options.VaultKeyFile = None,
    bootstrap: options.Bootstrap = None,
    identity_file: options.Identity = None,
    hosts_file: options.HostsFile = None,
    probe_connection: options.Connection = None,
    probe_modules: options.ProbeModules = None,
    ping_interval: Annotated[
        int | None,
        options.setting(
            "ping_interval",
            "Seconds between pings.",
            "5; with --strict ZStack's 60",
            group=options.PROBES,
            value="SECONDS",
        ),
    ] = None,
    ping_mode: options.PingMode = None,
    image_lengths: options.ImageLengths = None,
    fault: options.Fault = None,
    strict: options.Strict = None,
    zstack: options.ZStack = None,
    seed: options.Seed = None,
    clock: options.LabClock = None,
    config: options.Config = None,
    log_level: Annotated[
        str | None,
        options.setting(
            "log_level",
            "Least level to log: debug, info, warning or error.",
            "warning",
            group=options.LOGS,
            value="LEVEL",
            few=True,
        ),
    ] = None,
    log_format: options.LogFormat = None,
    env: Annotated[
        bool,
        typer.Option(
            "--env",
            "-E",
            help="Print variables for your shell, by which clients find the lab; it goes on in the background, unless"
            " one answers at --port already.",
            rich_help_panel=IN_BACKGROUND,
        ),
    ] = False,
    kill: Annotated[
        bool,
        typer.Option(
            "--kill",
            "-k",
            help="End the lab in the background, and print what unsets its variables.",
            rich_help_panel=IN_BACKGROUND,
        ),
    ] = False,
    shell: Annotated[
        str | None,
        typer.Option(
            help="Whose words to print: those of sh (bash and zsh, too), fish or powershell.",
            metavar="SHELL",
            show_default="the shell that runs this",
            autocompletion=words("sh", "bash", "zsh", "fish", "powershell"),
            rich_help_panel=IN_BACKGROUND,
        ),
    ] = None,
) -> int:
    """Run a management node with simulated ImageStore hosts: no Docker, no root, nothing left behind.

    Print `ready URL` once every storage is connected.

    Examples:
        three hosts and their storages on http://127.0.0.1:8080
        imagestore-sim lab
        many hosts, pinged each second, on a free port
        imagestore-sim lab --hosts 200 --ping-interval 1 --port 0
        the same uuids and times in each run; clients move the clock
        imagestore-sim lab --seed 7 --clock paused
        lose the answer to the first call that adds something
        imagestore-sim lab --fault 'answer_lost api=Add* first=1'
        in the background, with variables for clients; -k ends it
        eval "$(imagestore-sim lab -E)"; eval "$(imagestore-sim lab -k)"
    """
    from imagestore_sim.cli.quick_imports import quick_imports

    apply_rules(context, RULES)
    if kill:
        return _end(shell)
    with quick_imports():
        settings = options.read_options(context, log_level="warning")
    if settings.ping_interval is None and not settings.strict:
        settings = settings.model_copy(update={"ping_interval": PING_SECONDS})
    return _print_variables(settings, shell) if env else _run(settings)


def _end(shell: str | None) -> int:
    """End the lab in the background, and unset its variables."""
    from imagestore_sim.cli.connection import end_lab, print_no_variables, shell_of

    words_of = shell_of(shell)
    end_lab()
    print_no_variables(words_of)
    return SUCCESS


def _print_variables(settings: Settings, shell: str | None) -> int:
    """Print the variables of the lab that runs already, or of one that goes on in the background."""
    from imagestore_sim.cli.connection import Background, print_variables, running_lab, shell_of, variables
    from imagestore_sim.cli.running import stoppable
    from imagestore_sim.settings import token_of

    words_of, token = shell_of(shell), token_of(settings)
    if (url := running_lab(settings)) is not None:
        print_variables(words_of, variables(url, token=token))
        return SUCCESS
    copy = Background()
    if copy.is_here:
        return _run(settings, in_background=True)
    with stoppable():
        url, log = copy.wait_until_ready()
    print_variables(words_of, variables(url, token=token, process=copy.process, log=log))
    return SUCCESS


def _run(settings: Settings, *, in_background: bool = False) -> int:
    from imagestore_sim.cli.quick_imports import quick_imports

    with quick_imports():
        from imagestore_sim.cli.running import run
        from imagestore_sim.lab import lab_loop

    return run(lambda: run_lab(settings, in_background=in_background), new_loop=lambda: lab_loop(settings))


async def run_lab(settings: Settings, *, in_background: bool = False) -> int:
    """Run a lab until a signal stops it; in the background, nothing is shown once it is ready."""
    from imagestore_sim import logs, open_files
    from imagestore_sim.cli.connection import leave_terminal
    from imagestore_sim.cli.running import announce, collect_no_more, started, until_stopped
    from imagestore_sim.cli.stories import StoriesOnDemand
    from imagestore_sim.lab import Lab, clock_of_loop
    from imagestore_sim.scenario.recording.by_hand import ScenarioWriter
    from imagestore_sim.settings import token_of

    logs.configure(settings.log_level, settings.log_format)
    open_files.raise_limit()
    async with until_stopped() as stopped:
        stories = StoriesOnDemand(lambda: running.url, token_of(settings), has_hosts=True, any_host=settings.any_host)
        running = Lab(settings, clock=clock_of_loop(), story_writer=ScenarioWriter(), stories=stories.open)
        async with started(running.start, running.stop, stopped), stories:
            if not stopped.is_set():
                announce(running.url, await running.node.openings())
                collect_no_more()
                if in_background:
                    leave_terminal(running.ssh_config.with_name(LOG_FILE))
                    await stopped.wait()
                else:
                    await _follow(running, stopped)
    return SUCCESS


async def _follow(running: Lab, stopped: asyncio.Event) -> None:
    """Show a lab until `stopped` is set. What that needs is imported once the lab is ready."""
    from rich.console import Console

    from imagestore_sim.cli.lab_output import follow

    await follow(running, Console(), stopped)
