"""The options that several commands take, and how they become Settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli.completion import values_of_setting
from imagestore_sim.cli.exits import InputError
from imagestore_sim.cli.rules import source_of

if TYPE_CHECKING:
    from imagestore_sim.settings import Settings


LISTENING, RECORDS, PROBES, BEHAVIOUR, LOGS = (
    "Listening and access",
    "Records",
    "Hosts and probes",
    "Behaviour",
    "Settings and logs",
)
"""Groups of options on pages of help."""
LOG_IN = "Access to the node"


def setting(
    name: str,
    text: str,
    default: str | None = None,
    *,
    group: str,
    value: str | None = None,
    flag: str | None = None,
    few: bool = False,
    variable: str | None = None,
) -> typer.models.OptionInfo:
    """Return the option that sets the field `name` of Settings, with the variable IMAGESTORE_SIM_NAME.

    `default` is what --help shows: the option itself has none, so that a file of settings can give the value. `value`
    is a word for the value there. A shell offers the values of a field that has only a `few`. `variable` replaces NAME
    where another command means something else by that one: all commands read the same environment.
    """
    declaration = flag or "--" + name.replace("_", "-")
    option: typer.models.OptionInfo = typer.Option(
        declaration,
        help=text,
        metavar=value,
        show_default=default or False,
        envvar=f"IMAGESTORE_SIM_{variable or name.upper()}",
        autocompletion=values_of_setting(name) if few else None,
        rich_help_panel=group,
    )
    return option


MOST_JOBS = 256
"""Each is a process of 100 MB."""


def jobs_option(group: str) -> typer.models.OptionInfo:
    """Return the option for the number of processes that stories are played in."""
    option: typer.models.OptionInfo = typer.Option(
        "--jobs",
        "-j",
        metavar="NUMBER",
        min=1,
        max=MOST_JOBS,
        help="Processes to play in.",
        envvar="IMAGESTORE_SIM_JOBS",
        rich_help_panel=group,
    )
    return option


def _check_token(token: str | None) -> str | None:
    """Refuse a token that no header can carry, without repeating it."""
    from imagestore_sim.settings import is_token

    if token is not None and not is_token(token):
        raise InputError("--lab-token: expected one word of letters, digits and -._~+/=")
    return token


Host = Annotated[str | None, setting("host", "Address to listen on.", "127.0.0.1", group=LISTENING, value="ADDRESS")]
Port = Annotated[
    int | None, setting("port", "Port to listen on; 0 picks a free one.", "8080", group=LISTENING, value="PORT")
]
AllowedHost = Annotated[
    list[str] | None,
    setting(
        "allowed_host",
        "Accept requests to this host name, or to all names below it (*.NAME); may be repeated.",
        "IP addresses, localhost, names without a dot",
        group=LISTENING,
        value="NAME",
    ),
]
LabToken = Annotated[
    str | None,
    typer.Option(
        "--lab-token",
        metavar="TOKEN",
        help="Token of /lab/v1, sent as `Authorization: Bearer TOKEN`.",
        show_default="none is needed",
        envvar="IMAGESTORE_SIM_LAB_TOKEN",
        callback=_check_token,
        rich_help_panel=LISTENING,
    ),
]
OfLabToken = Annotated[
    str | None,
    typer.Option(
        "--lab-token",
        metavar="TOKEN",
        help="Token of the node's /lab/v1, if it needs one.",
        envvar="IMAGESTORE_SIM_LAB_TOKEN",
        callback=_check_token,
        rich_help_panel=LOG_IN,
    ),
]
VaultKey = Annotated[
    str | None,
    typer.Option(
        "--vault-key",
        metavar="KEY",
        help="Key of the passwords in the database; rather give the variable, which no list of processes shows.",
        show_default="a file beside the database",
        envvar="IMAGESTORE_SIM_VAULT_KEY",
        rich_help_panel=RECORDS,
    ),
]
VaultKeyFile = Annotated[
    Path | None,
    setting(
        "vault_key_file", "File of that key.", "beside the database; a MariaDB needs one", group=RECORDS, value="FILE"
    ),
]
Bootstrap = Annotated[
    Path | None, setting("bootstrap", "YAML file of records to start with.", group=RECORDS, value="FILE")
]
Identity = Annotated[
    Path | None,
    setting("identity_file", "Private key to try before a record's password.", group=PROBES, value="FILE"),
]
HostKeys = Annotated[
    str | None,
    setting(
        "host_keys",
        "Host keys to trust: ignore (any), tofu (the first seen) or strict.",
        "ignore",
        group=PROBES,
        value="WHICH",
        few=True,
    ),
]
KnownHosts = Annotated[
    Path | None,
    setting("known_hosts", "File of host keys for tofu and strict.", "beside the database", group=PROBES, value="FILE"),
]
SshConfig = Annotated[
    Path | None,
    setting("ssh_config", "OpenSSH configuration: ProxyJump, IdentityFile, Port...", group=PROBES, value="FILE"),
]
HostsFile = Annotated[
    list[Path] | None,
    setting(
        "hosts_file",
        "Addresses of host names, as /etc/hosts has them: those of a fleet (host --hosts-file); may be repeated.",
        group=PROBES,
        value="FILE",
    ),
]
WriteImages = Annotated[
    bool | None,
    setting(
        "write_images",
        "Write images to the hosts of ImageStores, as sparse files below their url.",
        "off",
        group=PROBES,
    ),
]
ImageLengths = Annotated[
    bool | None,
    setting("image_lengths", "Ask web servers how long the files of images are that are added.", "off", group=PROBES),
]
ReadOnly = Annotated[bool | None, setting("read_only_hosts", "Never create anything on a host.", "off", group=PROBES)]
Connection = Annotated[
    str | None,
    setting(
        "probe_connection",
        "SSH connections of probes: warm (keep one per host) or fresh.",
        "warm",
        group=PROBES,
        value="HOW",
        few=True,
    ),
]
Interval = Annotated[
    int | None,
    setting("ping_interval", "Seconds between pings (sets ping.interval).", group=PROBES, value="SECONDS"),
]
ProbeModules = Annotated[
    Path | None,
    setting("probe_modules", "YAML file of the hosts that /probe may log in to, and how.", group=PROBES, value="FILE"),
]
PingMode = Annotated[
    str | None,
    setting(
        "ping_mode",
        "What a ping asks of a host: capacity, ssh, tcp or agent (sets ping.mode).",
        "capacity",
        group=PROBES,
        value="MODE",
        few=True,
    ),
]
Fault = Annotated[
    list[str] | None,
    setting(
        "fault",
        "Set a fault of the management plane at the start: 'answer_lost api=Add* first=1'; may be repeated.",
        "none",
        group=BEHAVIOUR,
        value="FAULT",
    ),
]
Strict = Annotated[
    bool | None,
    setting("strict", "Refuse what ZStack refuses, even if some clients rely on leniency.", "off", group=BEHAVIOUR),
]
ZStack = Annotated[
    str | None,
    setting(
        "zstack",
        "Version of ZStack to answer as: 3.10, 4.8, 5.2 or 5.4.",
        "5.2",
        group=BEHAVIOUR,
        value="VERSION",
        few=True,
    ),
]
ClusterMode = Annotated[
    str | None,
    setting(
        "cluster_mode",
        "How soon nodes that share a MariaDB take over from one that has died: faithful (30-40 s, as in ZStack) or"
        " quick (under 5 s).",
        "faithful",
        group=RECORDS,
        value="MODE",
        few=True,
    ),
]
Advertise = Annotated[
    str | None,
    setting(
        "advertise",
        "Address at which clients and other nodes reach this one, where a MariaDB is shared.",
        "--host, or this machine's address towards the database",
        group=LISTENING,
        value="HOST[:PORT]",
    ),
]
Seed = Annotated[
    int | None,
    setting("seed", "Seed of everything random.", "0, with random uuids", group=BEHAVIOUR, value="NUMBER"),
]
LabClock = Annotated[
    str | None,
    setting(
        "clock",
        "The machine's time (real), or a clock that stands still until clients move it: paused at 2024-01-01T00:00:00Z,"
        " or a time to begin with.",
        "real",
        group=BEHAVIOUR,
        value="CLOCK",
    ),
]
Config = Annotated[
    Path | None,
    setting("config", "YAML file of settings; options and variables override it.", group=LOGS, value="FILE"),
]
LogLevel = Annotated[
    str | None,
    setting(
        "log_level",
        "Least level to log: debug, info, warning or error.",
        "info",
        group=LOGS,
        value="LEVEL",
        few=True,
    ),
]
LogFormat = Annotated[
    str | None,
    setting("log_format", "Format of log lines: text or json.", "text", group=LOGS, value="FORMAT", few=True),
]
NODE_URL = "http://127.0.0.1:8080"
NodeUrl = Annotated[str, typer.Argument(metavar="URL", help="URL of the node.", envvar="IMAGESTORE_LAB_URL")]
Account = Annotated[
    str,
    typer.Option(metavar="NAME", help="Account to log in as.", envvar="IMAGESTORE_SIM_ACCOUNT", rich_help_panel=LOG_IN),
]
# Not IMAGESTORE_SIM_PASSWORD: that is the password of hosts, for `host` and `probe`.
Password = Annotated[
    str,
    typer.Option(
        metavar="PASSWORD",
        help="Password of the account.",
        envvar="IMAGESTORE_SIM_ACCOUNT_PASSWORD",
        rich_help_panel=LOG_IN,
    ),
]


def read_options(context: typer.Context, **defaults: object) -> Settings:
    """Return the settings that a command's options make, over the file of --config, over the command's `defaults`.

    Raise InputError, which names the option, the variable, or the line of the file.
    """
    from pydantic import ValidationError

    from imagestore_sim.settings import describe_bad_line, describe_bad_value, read_settings
    from imagestore_sim.validation_errors import first_problem

    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    try:
        return read_settings(given, defaults)
    except ValidationError as error:
        problem = first_problem(error)
        name = str(problem.place[0]) if problem.place else ""
        text = describe_bad_value(problem)
        if name in given:
            raise InputError(f"{source_of(context, name)}: {text}") from None
        file = Path(str(given["config"]))
        unknown = problem.kind == "extra_forbidden"
        raise InputError(describe_bad_line(file, name, None if unknown else text)) from None
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from None
