"""`imagestore-sim host`: simulated ImageStore hosts on real SSH ports, without a management node."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.rules import Parsed, Refuse, apply_rules

DISK = "Account and disk"
FLEET = "Many hosts"
DEFAULT_SIZE = 2**40


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError(f"expected an IPv4 address, but got {text!r}") from None


RULES = (
    Refuse(lambda given: given.size and given.used > given.size, "--used {used} is more than --size {size}"),
    Refuse(lambda given: given.used > (given.size or DEFAULT_SIZE), f"--used {{used}} is more than {DEFAULT_SIZE}"),
    Refuse(
        lambda given: given.port_each and given.first is not None,
        "--from gives each host an address of its own, and --port-each a port: give one of them",
    ),
    Refuse(
        lambda given: given.port_each and given.inventory is not None and given.hosts_out is None,
        "--inventory with --port-each needs --hosts-file: no two storages may have one hostname, so they have names",
    ),
    Parsed("first", _address, "--from"),
)


def host(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Host name that its shell shows; of many hosts that of the first."),
    ] = "imagestore-1",
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
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port of its agent; 0 picks a free one.",
            show_default="a free one; with --port-each agents do not listen",
            envvar="IMAGESTORE_SIM_AGENT_PORT",
            rich_help_panel=options.LISTENING,
        ),
    ] = None,
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
        int | None,
        typer.Option(
            min=1,
            metavar="BYTES",
            help="Size of its disk.",
            show_default="1099511627776, 1 TiB; of many hosts each has its own, in part used",
            envvar="IMAGESTORE_SIM_SIZE",
            rich_help_panel=DISK,
        ),
    ] = None,
    used: Annotated[
        int,
        typer.Option(
            min=0, metavar="BYTES", help="Bytes in use on its disk.", envvar="IMAGESTORE_SIM_USED", rich_help_panel=DISK
        ),
    ] = 0,
    count: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Hosts to run, each at an address of its own, all on one port. Their names are numbered.",
            envvar="IMAGESTORE_SIM_COUNT",
            rich_help_panel=FLEET,
        ),
    ] = 1,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="Address of the first host, an IPv4 one; the others follow it.",
            show_default="127.1.0.1",
            envvar="IMAGESTORE_SIM_FROM",
            rich_help_panel=FLEET,
        ),
    ] = None,
    port_each: Annotated[
        bool,
        typer.Option(
            "--port-each",
            help="Give each host a port of its own, from --port on, at --host, in place of an address of its own.",
            envvar="IMAGESTORE_SIM_PORT_EACH",
            rich_help_panel=FLEET,
        ),
    ] = False,
    inventory: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a bootstrap file with a storage on each host; - writes it to standard output.",
            envvar="IMAGESTORE_SIM_HOST_INVENTORY",
            rich_help_panel=FLEET,
        ),
    ] = None,
    hosts_out: Annotated[
        Path | None,
        typer.Option(
            "--hosts-file",
            metavar="FILE",
            help="Write their addresses like /etc/hosts, for --hosts-file of a node; the inventory has names then.",
            envvar="IMAGESTORE_SIM_HOST_HOSTS_FILE",
            rich_help_panel=FLEET,
        ),
    ] = None,
    lab_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port of /lab/v1, to break hosts by name; 0 picks a free one.",
            show_default="there is none",
            envvar="IMAGESTORE_SIM_LAB_PORT",
            rich_help_panel=options.LISTENING,
        ),
    ] = None,
    allowed_host: options.AllowedHost = None,
    lab_token: options.LabToken = None,
    seed: options.Seed = None,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
) -> int:
    """Run a simulated ImageStore host on an SSH port of its own, or thousands with --count. Print `ready ssh://HOST:PORT`.

    The next line is `agent https://HOST:PORT`. Nodes ask for agents on port 8000: --agent-port 8000 takes that, and
    with another PORT --hosts-file tells nodes.

    Examples:
        a host with a disk of one terabyte, almost full
        imagestore-sim host --size 1000000000000 --used 990000000000
        a host of another name and password, on a free port
        imagestore-sim host store-7 --port 0 --password secret
        a thousand hosts, imagestore-1 and on, and the records that a node reads
        imagestore-sim host --count 1000 --inventory fleet.yaml
        hosts that nodes on other machines reach at the name of this one
        imagestore-sim host --count 1000 --port-each --host 0.0.0.0
        the same, with agents, on ports of their own from 20000 on
        imagestore-sim host --count 1000 --port-each --host 0.0.0.0 --agent-port 20000
        break one of them by its name
        imagestore-sim host --count 1000 --lab-port 8081
    """
    values = apply_rules(context, RULES)
    settings = options.read_options(context, port=2222)
    from imagestore_sim.cli.fleet_run import HostOptions, run_hosts
    from imagestore_sim.cli.running import run

    given = HostOptions(
        name=name,
        count=count,
        first=values["first"],
        agent_port=agent_port,
        username=username,
        password=password,
        size=size,
        used=used,
        inventory=inventory,
        hosts_file=hosts_out,
        lab_port=lab_port,
        port_each=port_each,
    )
    return run(lambda: run_hosts(settings, given))
