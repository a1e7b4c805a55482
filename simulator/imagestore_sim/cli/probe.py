"""`imagestore-sim probe`: one SSH probe by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import FAILURE, SUCCESS, InputError
from imagestore_sim.cli.rules import Refuse, apply_rules

if TYPE_CHECKING:
    from imagestore_sim.probe import Target
    from imagestore_sim.settings import Settings

TARGET = re.compile(
    r"(?:(?P<user>[^@]+)@)?"
    r"(?:(?:\[(?P<address>[^\[\]@]+:[^\[\]@]+)\]|(?P<host>[^:@\[\]]+))(?::(?P<port>[0-9]{1,9}))?"
    r"|(?P<bare>[^@\[\]:]*:[^@\[\]:]*:[^@\[\]]*))"
)
"""[USER@]HOST[:PORT]; an IPv6 address in brackets, or bare without a port."""


RULES = (
    Refuse(lambda given: given.url is None and not given.agent, "Missing option '--url'"),
    Refuse(lambda given: given.url is not None and given.agent, "--url: is not used with --agent"),
)
SSH_PORT, AGENT_PORT = 22, 8000
ASKING = "What to ask"


def probe(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="[USER@]HOST[:PORT]", help="Where to log in.")],
    url: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Absolute path whose capacity to measure; required without --agent.",
            rich_help_panel=ASKING,
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            prompt=True,
            prompt_required=False,
            hide_input=True,
            metavar="[PASSWORD]",
            rich_help_panel=options.PROBES,
            help="Password to log in with; prompt for it if --password has no value.",
            envvar="IMAGESTORE_SIM_PASSWORD",
        ),
    ] = None,
    identity_file: options.Identity = None,
    host_keys: options.HostKeys = None,
    known_hosts: Annotated[
        Path | None,
        options.setting(
            "known_hosts",
            "File of host keys for tofu and strict.",
            "imagestore-sim.db.known_hosts",
            group=options.PROBES,
            value="FILE",
        ),
    ] = None,
    ssh_config: options.SshConfig = None,
    agent: Annotated[
        bool,
        typer.Option(
            "--agent",
            help="Ask the agent of the host in place of SSH; PORT is the agent's, 8000 by default.",
            rich_help_panel=ASKING,
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: bytes, and milliseconds.", rich_help_panel=ASKING)
    ] = False,
) -> int:
    """Probe one host by hand. Print its capacity, or why the probe failed and what to do. Exit with status 0 or 1.

    With --agent, print whether the host's agent answers, as a ping with `ping.mode` agent asks it.

    Examples:
        the capacity of /zs/1 on a host; the password is asked for
        imagestore-sim probe root@10.0.0.1 --url /zs/1 --password
        the same for programs, with a key, on another port
        imagestore-sim probe root@10.0.0.1:2222 --url /zs/1 --identity-file key --json
        whether the agent of the host answers
        imagestore-sim probe 10.0.0.1 --agent
    """
    apply_rules(context, RULES)
    from imagestore_sim.cli.running import run

    settings = options.read_options(context)
    asked = parse_target(target, url or "/", password, default_port=AGENT_PORT if agent else SSH_PORT)
    return run(lambda: run_probe(settings, asked, agent=agent, as_json=as_json))


async def run_probe(settings: Settings, target: Target, *, agent: bool, as_json: bool) -> int:
    """Probe a target or its agent, print the outcome, and return the exit status. Raise InputError."""
    from rich.console import Console

    from imagestore_sim.cli.probe_output import print_json, print_outcome
    from imagestore_sim.clock import RealClock
    from imagestore_sim.node.from_settings import new_prober
    from imagestore_sim.probe import PingMode, ProbeFailure

    try:
        prober = new_prober(settings, RealClock(), agent_port=target.port)
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        outcome = await (prober.reach(target, PingMode.AGENT) if agent else prober.probe(target))
    finally:
        await prober.close()
    if as_json:
        print_json(outcome)
    else:
        print_outcome(outcome, Console())
    return FAILURE if isinstance(outcome, ProbeFailure) else SUCCESS


def parse_target(text: str, url: str, password: str | None, *, default_port: int = SSH_PORT) -> Target:
    """Return the target of a probe from `[USER@]HOST[:PORT]`; user root by default. Raise InputError."""
    from imagestore_sim.probe import Target
    from imagestore_sim.probe.resolving import literal_address

    match = TARGET.fullmatch(text)
    host = "" if match is None else match["host"] or match["address"] or match["bare"]
    if match is None or (":" in host and literal_address(host) is None):
        raise InputError(f"{text} is not [user@]host[:port]; an IPv6 address is in brackets where a port follows it")
    port = int(match["port"] or default_port)
    if not 1 <= port <= 65535:
        raise InputError(f"{text}: {port} is no port, it must be between 1 and 65535")
    if not url.startswith("/"):
        raise InputError(f"--url: {url} is not an absolute path")
    return Target(host, port, match["user"] or "root", url, password)
