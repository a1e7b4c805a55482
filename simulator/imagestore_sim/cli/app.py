"""The commands. What they need is imported when it is needed, so that `--help` answers at once."""

from __future__ import annotations

import errno
import gc
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from imagestore_sim import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from imagestore_sim.settings import Settings

UNUSABLE_INPUT = 2
LAB_PING_SECONDS = 5
"""A lab is to show soon what was done to its hosts; ZStack's own default is 60."""
UsageProblem: type[Exception] = typer.BadParameter.__mro__[2]
"""What the parser of options raises; where it stands depends on the version of Typer."""


class Commands(TyperGroup):
    """The commands; options and arguments that cannot be used end in one line, too."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command that the arguments name; with `standalone_mode`, end the process with its status."""
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except UsageProblem as problem:
            if not standalone_mode:
                raise
            raise SystemExit(_tell_usage(problem)) from None
        except typer.Abort:
            if not standalone_mode:
                raise
            typer.echo("imagestore-sim: aborted", err=True)
            raise SystemExit(1) from None
        except OSError as error:
            if not standalone_mode or not _is_of_the_machine(error):
                raise
            typer.echo(f"imagestore-sim: cannot start: {error.strerror}", err=True)
            raise SystemExit(UNUSABLE_INPUT) from None
        if standalone_mode:
            raise SystemExit(status if isinstance(status, int) else 0)
        return status


def _is_of_the_machine(error: OSError) -> bool:
    """Whether a start failed for want of files or of a place for them, of which libraries need some to be imported."""
    no_folder = isinstance(error, FileNotFoundError) and str(error.strerror).startswith("No usable temporary directory")
    return no_folder or error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EFBIG, errno.EROFS)


def _tell_usage(problem: Any) -> int:
    """Print what is wrong with the command line in one line; where nothing was asked for, the help has been printed."""
    if type(problem).__name__ != "NoArgsIsHelpError":
        typer.echo(f"imagestore-sim: {' '.join(problem.format_message().split())}", err=True)
    return UNUSABLE_INPUT


app = typer.Typer(
    cls=Commands,
    name="imagestore-sim",
    help="An emulator of ZStack's management node for ImageStore backup storages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _option(name: str, text: str, default: str | None = None, *, flag: str | None = None) -> typer.models.OptionInfo:
    """An option that a Settings field of the same name stands behind, and an environment variable too."""
    declaration = flag or "--" + name.replace("_", "-")
    option: typer.models.OptionInfo = typer.Option(
        declaration, help=text, show_default=default or False, envvar=f"IMAGESTORE_SIM_{name.upper()}"
    )
    return option


Host = Annotated[str | None, _option("host", "Address to listen on.", "127.0.0.1")]
Port = Annotated[int | None, _option("port", "Port to listen on; 0 picks a free one.", "8080")]
AllowedHost = Annotated[
    list[str] | None,
    _option("allowed_host", "Name that the node goes by (*.NAME: all below it); may be repeated.",
            "IP addresses, localhost, names without a dot"),
]  # fmt: skip


def _check_token(given: str | None) -> str | None:
    """Refuse what no header can carry, and do not repeat it."""
    from imagestore_sim.settings import is_token

    if given is not None and not is_token(given):
        fail("--lab-token: expected one word of letters, digits and -._~+/=")
    return given


LabToken = Annotated[
    str | None,
    typer.Option(
        "--lab-token",
        help="What calls of /lab/v1 carry as `Authorization: Bearer TOKEN`.",
        show_default="none is needed",
        envvar="IMAGESTORE_SIM_LAB_TOKEN",
        callback=_check_token,
    ),
]
Bootstrap = Annotated[Path | None, _option("bootstrap", "YAML file of records to begin with.")]
Identity = Annotated[Path | None, _option("identity_file", "Private key tried before a record's password.")]
HostKeys = Annotated[
    str | None, _option("host_keys", "ignore (trust any), tofu (the first shown) or strict.", "ignore")
]
KnownHosts = Annotated[
    Path | None, _option("known_hosts", "File of host keys for tofu and strict.", "beside the database")
]
SshConfig = Annotated[Path | None, _option("ssh_config", "OpenSSH configuration: ProxyJump, IdentityFile, Port...")]
ReadOnly = Annotated[bool | None, _option("read_only_hosts", "Never create anything on a host.", "off")]
Connection = Annotated[str | None, _option("probe_connection", "warm (keep one a host) or fresh.", "warm")]
Interval = Annotated[int | None, _option("ping_interval", "Seconds between pings (sets ping.interval).")]
Strict = Annotated[
    bool | None, _option("strict", "Refuse what ZStack refuses, though some clients need it to be forgiven.", "off")
]
Seed = Annotated[int | None, _option("seed", "Seed of everything random.", "0, and uuids by chance")]
Config = Annotated[Path | None, _option("config", "YAML file of settings; options and environment win over it.")]
LogLevel = Annotated[str | None, _option("log_level", "debug, info, warning or error.", "info")]
LogFormat = Annotated[str | None, _option("log_format", "text or json.", "text")]
MOMENTS = "YYYY-MM-DD HH:MM:SS in UTC, ISO 8601, or how long ago, such as 2h."
Account = Annotated[str, typer.Option(help="Who logs in to the node.", envvar="IMAGESTORE_SIM_ACCOUNT")]
# Not IMAGESTORE_SIM_PASSWORD: that is the one of hosts, for `host` and `probe`.
Password = Annotated[str, typer.Option(help="With which password.", envvar="IMAGESTORE_SIM_ACCOUNT_PASSWORD")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imagestore-sim {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Look at the commands below; each has its own --help."""


@app.command()
def lab(
    context: typer.Context,
    hosts: Annotated[int | None, _option("hosts", "Simulated hosts to begin with.", "3")] = None,
    any_host: Annotated[
        bool | None,
        _option(
            "any_host",
            "Give any other host name a simulated host on the spot.",
            "on",
            flag="--any-host/--no-any-host",
        ),
    ] = None,
    host: Host = None,
    port: Port = None,
    allowed_host: AllowedHost = None,
    lab_api: Annotated[
        bool | None, _option("lab_api", "Offer /lab/v1 to change things.", "on", flag="--lab-api/--no-lab-api")
    ] = None,
    lab_token: LabToken = None,
    database: Annotated[str | None, _option("database", "File to keep the records in.", "none is kept")] = None,
    bootstrap: Bootstrap = None,
    identity_file: Identity = None,
    probe_connection: Connection = None,
    ping_interval: Annotated[
        int | None, _option("ping_interval", "Seconds between pings.", "5; with --strict ZStack's 60")
    ] = None,
    strict: Strict = None,
    seed: Seed = None,
    config: Config = None,
    log_level: Annotated[str | None, _option("log_level", "debug, info, warning or error.", "warning")] = None,
    log_format: LogFormat = None,
) -> None:
    """Run a management node with simulated ImageStore hosts: no Docker, no root, nothing left behind.

    Prints `ready URL` once every storage is connected.
    """
    settings = _settings(context, log_level="warning")
    if settings.ping_interval is None and not settings.strict:
        settings = settings.model_copy(update={"ping_interval": LAB_PING_SECONDS})
    from imagestore_sim.cli.commands import run_lab

    _run(lambda: run_lab(settings))


@app.command()
def serve(
    context: typer.Context,
    host: Host = None,
    port: Port = None,
    allowed_host: AllowedHost = None,
    lab_api: Annotated[
        bool | None, _option("lab_api", "Offer /lab/v1 to change things.", "off", flag="--lab-api/--no-lab-api")
    ] = None,
    lab_token: LabToken = None,
    database: Annotated[str | None, _option("database", "A file, or a SQLAlchemy URL.", "imagestore-sim.db")] = None,
    bootstrap: Bootstrap = None,
    identity_file: Identity = None,
    host_keys: HostKeys = None,
    known_hosts: KnownHosts = None,
    ssh_config: SshConfig = None,
    read_only_hosts: ReadOnly = None,
    probe_connection: Connection = None,
    ping_interval: Interval = None,
    strict: Strict = None,
    seed: Seed = None,
    config: Config = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Run the management node alone, for real or containerised hosts.

    Prints `ready URL` once every storage has been tried. On a host it creates the storage's folder with `registry`
    and `export` in it where they are missing, and nothing else; --read-only-hosts forbids even that.
    """
    settings = _settings(context, lab_api=False)
    from imagestore_sim.cli.commands import run_node

    _run(lambda: run_node(settings))


@app.command()
def host(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name it goes by.")] = "imagestore-1",
    host: Host = None,
    port: Annotated[int | None, _option("port", "Port of its SSH server; 0 picks a free one.", "2222")] = None,
    username: Annotated[str, typer.Option(help="Who may log in.", envvar="IMAGESTORE_SIM_USERNAME")] = "root",
    password: Annotated[
        str, typer.Option(help="With which password.", envvar="IMAGESTORE_SIM_PASSWORD", show_envvar=True)
    ] = "password",  # noqa: S107 - what everyone expects of a test host
    size: Annotated[int, typer.Option(min=1, help="Bytes of its disk.", envvar="IMAGESTORE_SIM_SIZE")] = 2**40,
    used: Annotated[int, typer.Option(min=0, help="Bytes in use on it.", envvar="IMAGESTORE_SIM_USED")] = 0,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Run one simulated ImageStore host on an SSH port of its own; prints `ready ssh://HOST:PORT`."""
    if used > size:
        fail(f"--used {used} is more than --size {size}")
    settings = _settings(context, port=2222)
    from imagestore_sim.cli.commands import run_host

    _run(lambda: run_host(settings, name, username, password, size, used))


@app.command()
def chaos(
    context: typer.Context,
    host: Host = None,
    port: Annotated[int | None, _option("port", "Port to listen on; 0 picks a free one.", "8081")] = None,
    allowed_host: AllowedHost = None,
    lab_token: LabToken = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="Compose's name of the lab; that of the container which this runs in if unset.",
            envvar="IMAGESTORE_SIM_PROJECT",
        ),
    ] = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Break the hosts of a lab in containers by hand, over /lab/v1; what it broke is healed when it stops.

    Prints `ready URL` once it has found them. It needs Docker's socket, and the extra `compose`.
    """
    settings = _settings(context, port=8081)
    from imagestore_sim.cli.commands import run_chaos

    _run(lambda: run_chaos(settings, project))


@app.command()
def probe(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="[USER@]HOST[:PORT]", help="Where to log in.")],
    url: Annotated[str, typer.Option(help="The path whose capacity is wanted.")],
    password: Annotated[
        str | None,
        typer.Option(
            prompt=True,
            prompt_required=False,
            hide_input=True,
            help="Log in with a password; asked for if --password stands alone.",
            envvar="IMAGESTORE_SIM_PASSWORD",
        ),
    ] = None,
    identity_file: Identity = None,
    host_keys: HostKeys = None,
    known_hosts: Annotated[
        Path | None, _option("known_hosts", "File of host keys for tofu and strict.", "imagestore-sim.db.known_hosts")
    ] = None,
    ssh_config: SshConfig = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: bytes, and milliseconds.")] = False,
) -> None:
    """Probe one host by hand: its capacity, or why there is none and what to do. Exit status 0 or 1."""
    from imagestore_sim.cli.commands import run_probe

    settings = _settings(context)
    raise typer.Exit(_run(lambda: run_probe(settings, target, url, password, as_json=as_json)))


@app.command()
def ready(
    url: Annotated[str, typer.Argument(help="Where the node answers.")] = "http://127.0.0.1:8080",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for it at most.", envvar="IMAGESTORE_SIM_WAIT")
    ] = 0,
) -> None:
    """Tell whether the management node at URL is ready: it has tried to connect every storage. Exit status 0 or 1."""
    from imagestore_sim.cli.readiness import wait_until_ready

    try:
        problem = wait_until_ready(url, wait)
    except ValueError as error:
        fail(str(error))
    if problem is not None:
        typer.echo(f"imagestore-sim: {problem}", err=True)
        raise typer.Exit(1)
    typer.echo(f"ready {url}")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="YAML file of records, as for --bootstrap.")],
    url: Annotated[str, typer.Argument(help="Where the node answers.")] = "http://127.0.0.1:8080",
    lab_token: LabToken = None,
) -> None:
    """Add the records in a bootstrap file to those of a running node; one that is there already stays as it is.

    Returns once each new storage has been tried.
    """
    from imagestore_sim.cli.commands import run_load

    raise typer.Exit(_run(lambda: run_load(file, url, lab_token)))


@app.command()
def replay(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE|FOLDER...", help="Scenarios, or folders of such.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes to play in.", envvar="IMAGESTORE_SIM_JOBS")
    ] = 1,
    hosts: Annotated[
        str,
        typer.Option(
            help="embedded (simulated) or compose (containers of Docker).", envvar="IMAGESTORE_SIM_REPLAY_HOSTS"
        ),
    ] = "embedded",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the containers where they are.", envvar="IMAGESTORE_SIM_KEEP")
    ] = False,
    clock: Annotated[
        str | None,
        typer.Option(
            help="virtual (nobody waits) or real; virtual, and real with --hosts compose, if not given.",
            envvar="IMAGESTORE_SIM_CLOCK",
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            help="Of the real clock: so many times as fast; on containers: waits and pings so many times as short.",
            envvar="IMAGESTORE_SIM_SPEED",
        ),
    ] = 1.0,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for a page, JUnit XML, and every event.", envvar="IMAGESTORE_SIM_REPORT"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="In place of the scenarios' own.", envvar="IMAGESTORE_SIM_REPLAY_SEED")
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(help="Play on the lab that runs at this URL, in its time.", envvar="IMAGESTORE_SIM_NODE"),
    ] = None,
    account: Account = "admin",
    password: Password = "password",  # noqa: S107 - ZStack's own
    lab_token: LabToken = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of scenario files, and end.")] = False,
) -> None:
    """Replay failure scenarios. Exit status 0: all has held, 1: some has not, 2: unusable input, 3: interrupted."""
    from imagestore_sim.cli import replay as command

    _all_is_imported()
    if schema:
        typer.echo(command.schema())
        return
    if node is not None and hosts == "compose" and _is_from_environment(context, "node"):
        node = None
    if node is not None:  # it has all of these itself, so what the environment says is meant for other runs
        hosts = "embedded" if _is_from_environment(context, "hosts") else hosts
        clock = None if _is_from_environment(context, "clock") else clock
        speed = 1.0 if _is_from_environment(context, "speed") else speed
        seed = None if _is_from_environment(context, "seed") else seed
        jobs = 1 if _is_from_environment(context, "jobs") else jobs
    if hosts not in ("embedded", "compose"):
        fail(f"--hosts: expected embedded or compose, but got {hosts!r}")
    if keep and hosts != "compose":
        fail("--keep: expected together with --hosts compose")
    if clock is None:
        clock = "real" if hosts == "compose" else "virtual"
    if clock not in ("virtual", "real"):
        fail(f"--clock: expected virtual or real, but got {clock!r}")
    if clock == "virtual" and hosts == "compose":
        fail("--clock: containers live in real time; expected real with --hosts compose")
    if not 0 < speed < float("inf") or (clock == "virtual" and speed != 1.0):
        fail("--speed: expected a number above 0, together with --clock real")
    if not files:
        fail("expected a scenario file, or a folder of such")
    if node is not None and (clock, speed, seed, jobs, hosts) != ("virtual", 1.0, None, 1, "embedded"):
        fail("--node: the lab has hosts, a clock and a seed, and plays one scenario after another; expected no --hosts,"
             " --clock, --speed, --seed or --jobs")  # fmt: skip
    options = command.Options(
        clock, speed, seed, jobs, report, None if node is None else node.rstrip("/"), account, password,
        containers=hosts == "compose", keep=keep, lab_token=lab_token,
    )  # fmt: skip
    raise typer.Exit(command.run_replay(files, options))


@app.command()
def record(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The file to write.", envvar="IMAGESTORE_SIM_OUT")],
    url: Annotated[str | None, typer.Argument(help="Where the node answers.")] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long, such as 10m.", envvar="IMAGESTORE_SIM_FOR")
    ] = None,
    account: Account = "admin",
    password: Password = "password",  # noqa: S107 - ZStack's own
    lab_token: LabToken = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="File or URL of a node's database, in place of a node.", envvar="IMAGESTORE_SIM_RECORD_DATABASE"
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help=f"{MOMENTS} The first event if unset.", envvar="IMAGESTORE_SIM_SINCE")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help=f"{MOMENTS} The last event if unset.", envvar="IMAGESTORE_SIM_UNTIL")
    ] = None,
) -> None:
    """Record what happens on a running node, until Ctrl-C, or what its database says has happened, as a scenario."""
    from imagestore_sim.cli.commands import run_record
    from imagestore_sim.cli.replay import run_record_stored
    from imagestore_sim.units import parse_moment, parse_seconds

    if url is not None:  # a node that is named wins over what the environment says of databases
        database = None if _is_from_environment(context, "database") else database
        since = None if _is_from_environment(context, "since") else since
        until = None if _is_from_environment(context, "until") else until
    elif _is_from_environment(context, "lasts"):
        lasts = None
    if (url is None) == (database is None):
        fail("expected the URL of a node, or --database")
    if database is None and (since is not None or until is not None):
        fail("--since and --until: expected together with --database")
    try:
        moments = [None if one is None else parse_moment(one) for one in (since, until)]
    except ValueError as error:
        fail(str(error))
    try:
        seconds = None if lasts is None else parse_seconds(lasts)
    except ValueError as error:
        fail(f"--for: {error}")
    if url is not None:
        raise typer.Exit(_run(lambda: run_record(url, out, seconds, account, password, lab_token)))
    if seconds is not None:
        fail("--for: a database is read at once; expected --since and --until")
    begin, end = moments
    if begin is not None and end is not None and begin >= end:
        fail("--since: expected a moment before --until")
    raise typer.Exit(_run(lambda: run_record_stored(str(database), out, begin, end)))


@app.command()
def compare(
    url: Annotated[str, typer.Argument(help="Where the node answers, such as http://192.168.0.10:8080.")],
    account: Account = "admin",
    password: Annotated[
        str | None,
        typer.Option(help="With which password; asked for if unset.", envvar="IMAGESTORE_SIM_ACCOUNT_PASSWORD"),
    ] = None,
    access_key: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Sign calls with an access key instead of logging in.",
            envvar="IMAGESTORE_SIM_ACCESS_KEY",
        ),
    ] = None,
    access_secret: Annotated[
        str | None,
        typer.Option(help="Secret of the access key; asked for if unset.", envvar="IMAGESTORE_SIM_ACCESS_SECRET"),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Send calls that change something, too; what they made is deleted.",
            envvar="IMAGESTORE_SIM_COMPARE_WRITE",
        ),
    ] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="Only calls of this group; may be repeated.", envvar="IMAGESTORE_SIM_GROUP")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Differences to show.", envvar="IMAGESTORE_SIM_SHOW")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the node's answers, in the form of the corpus, addresses and names masked.",
            envvar="IMAGESTORE_SIM_COMPARE_OUT",
        ),
    ] = None,
) -> None:
    """Show what differs between the node at URL, mostly a real ZStack, and this emulator.

    Nothing is changed unless --write is given. Exit status 0: nothing differs, 1: something does, 2: unusable input.
    """
    from imagestore_sim.cli.commands import run_compare
    from imagestore_sim.cli.compare import Options

    if access_secret is not None and access_key is None:
        fail("--access-secret: expected together with --access-key")
    key = None
    if access_key is not None:
        key = (access_key, access_secret or _ask("Secret of the access key"))
    elif password is None:
        password = _ask(f"Password of {account}")
    options = Options(url, account, password or "", key, write, tuple(group or ()), show, out)
    raise typer.Exit(_run(lambda: run_compare(options)))


def _ask(what: str) -> str:
    """Ask for a secret on the terminal; where there is none, that is an error."""
    if not sys.stdin.isatty():
        fail(f"{what}: expected as an option or in the environment, since there is no terminal to ask on")
    return str(typer.prompt(what, hide_input=True, err=True))


def _settings(context: typer.Context, **defaults: object) -> Settings:
    """The settings that the given options make, with what the file named by --config adds."""
    from pydantic import ValidationError

    from imagestore_sim.settings import SECRET_SETTINGS, bad_line, read_settings
    from imagestore_sim.validation_errors import first_problem

    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    try:
        return read_settings(given, defaults)
    except ValidationError as error:
        problem = first_problem(error)
        name = str(problem.place[0]) if problem.place else ""
        text = problem.text if name in SECRET_SETTINGS else f"{problem.text}, but it is {problem.value!r}"
        if name in given:
            fail(f"{_source(context, name)}: {text}")
        fail(bad_line(Path(str(given["config"])), name, None if problem.kind == "extra_forbidden" else text))
    except (OSError, ValueError) as error:
        fail(" ".join(str(error).split()))


def _is_from_environment(context: typer.Context, name: str) -> bool:
    """Whether nobody has given the option on the command line, and a variable has."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def _source(context: typer.Context, name: str) -> str:
    """What a person has to change: the option, or the variable where that has given it."""
    option = f"--{name.replace('_', '-')}"
    return f"{option} (IMAGESTORE_SIM_{name.upper()})" if _is_from_environment(context, name) else option


def _run(work: Callable[[], Awaitable[int]]) -> int:
    """Run a command on the fastest event loop there is; what it cannot use ends it with one line and status 2."""
    import asyncio

    from imagestore_sim import open_files
    from imagestore_sim.bootstrap import BootstrapError
    from imagestore_sim.cli.commands import InputError, new_event_loop
    from imagestore_sim.database import DatabaseError
    from imagestore_sim.node.errors import StartError

    async def main() -> int:
        return await work()

    _all_is_imported()
    if open_files.left() < open_files.RESERVED:
        fail(f"{open_files.limit()} open files are allowed, which is too few; raise the limit with ulimit -n")
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main())
    except (BootstrapError, DatabaseError, StartError, InputError) as error:
        fail(str(error))


def fail(text: str) -> NoReturn:
    """Say in one line what cannot be used, and end with status 2."""
    typer.echo(f"imagestore-sim: {' '.join(text.split())}", err=True)
    raise typer.Exit(UNUSABLE_INPUT)


def _all_is_imported() -> None:
    """Have the garbage collector begin, if `main` has put it off; what is there by now is never looked at again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def main() -> None:
    """The console script."""
    gc.disable()  # modules and classes by the thousand: to look for garbage among them took a quarter of the start
    # What is old in a host's cipher suite is nothing that a user of this program can mend by a line of Python.
    warnings.filterwarnings("ignore", module=r"asyncssh\b")
    app()
