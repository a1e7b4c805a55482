"""`imagestore-sim probe`: SSH probes by hand, of one host or of many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.rules import Parsed, Refuse, apply_rules

LEAST_SECONDS = 1.0
ASKING, MANY = "What to ask", "Many hosts"


def _seconds(text: str) -> float:
    from imagestore_sim.units import parse_seconds

    seconds = parse_seconds(text)
    if seconds < LEAST_SECONDS:
        raise ValueError(f"{text} is too often: expected a second at least")
    return seconds


RULES = (
    Refuse(lambda given: given.url is not None and given.agent, "--url: is not used with --agent"),
    Parsed("watch", _seconds),
)


def probe(
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[USER@]HOST[:PORT]...",
            help="Where to log in; `-` reads lines from standard input, each a target, and its PATH if not --url.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Absolute path whose capacity to measure; not used with --agent.",
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
    inventory: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Probe the storages of a bootstrap file, each with its own user, password and path, but those that say"
            " `tracked: false`.",
            rich_help_panel=MANY,
        ),
    ] = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="Probes at once.", rich_help_panel=MANY)
    ] = 20,
    watch: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Probe again and again, each 10s or 1m, until Ctrl-C.", rich_help_panel=MANY
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, a line for each probe: bytes, milliseconds.", rich_help_panel=ASKING),
    ] = False,
) -> int:
    """Probe hosts by hand. Print their capacity, or why a probe failed and what to do.

    Several hosts are shown as a table in the order given, with --json as lines in the order of their answers. The exit
    status is 0 if every probe succeeded and 1 if one failed; with --watch that of the last complete round, or 3.

    With --agent, print whether the host's agent answers, as a ping with `ping.mode` agent asks it.

    Examples:
        the capacity of /zs/1 on a host; the password is asked for
        imagestore-sim probe root@10.0.0.1 --url /zs/1 --password
        the same for programs, with a key, on another port
        imagestore-sim probe root@10.0.0.1:2222 --url /zs/1 --identity-file key --json
        all storages of a bootstrap file, each half a minute
        imagestore-sim probe --inventory records.yaml --watch 30s
        the hosts in a file, with a key
        imagestore-sim probe - --url /zs/1 --identity-file key < hosts.txt
        whether the agent of the host answers
        imagestore-sim probe 10.0.0.1 --agent
    """
    given = apply_rules(context, RULES)
    from imagestore_sim.cli.probe_rounds import How, run_probes
    from imagestore_sim.cli.probe_targets import Given, is_one, read_targets
    from imagestore_sim.cli.running import run

    settings = options.read_options(context)
    asked = read_targets(targets or [], inventory, Given(url, password, agent))
    how = How(parallel, given["watch"], agent=agent, as_json=as_json, alone=is_one(targets or [], inventory))
    return run(lambda: run_probes(settings, asked, how))
