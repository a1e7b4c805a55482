"""`imagestore-sim compare`: what differs between a node, mostly a real ZStack, and the emulator."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import FAILURE, SUCCESS, InputError
from imagestore_sim.cli.rules import IgnoreVariables, Needs, apply_rules

if TYPE_CHECKING:
    from imagestore_sim.parity.comparing import Comparison

COMPARING = "Comparing"
PASSWORD_VARIABLE, SECRET_VARIABLE = "IMAGESTORE_SIM_ACCOUNT_PASSWORD", "IMAGESTORE_SIM_ACCESS_SECRET"

RULES = (
    IgnoreVariables(("access_secret",), when=lambda given: given.access_key is None),
    Needs("access_secret", "access_key"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a node is compared: who logs in, whether calls may change something, what is shown and written."""

    url: str
    account: str
    password: str = field(repr=False)
    key: tuple[str, str] | None = field(repr=False)
    """Id and secret of the access key that signs calls in place of a session."""
    write: bool
    groups: tuple[str, ...]
    show: int
    """How many differences to print."""
    out: Path | None


def compare(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="URL of the node, such as http://192.168.0.10:8080.")],
    account: options.Account = "admin",
    password: Annotated[
        str | None,
        typer.Option(
            metavar="PASSWORD",
            help="Password of the account; prompt for it if unset.",
            envvar=PASSWORD_VARIABLE,
            rich_help_panel=options.LOG_IN,
        ),
    ] = None,
    access_key: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Sign calls with an access key instead of logging in.",
            envvar="IMAGESTORE_SIM_ACCESS_KEY",
            rich_help_panel=options.LOG_IN,
        ),
    ] = None,
    access_secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="Secret of the access key; prompt for it if unset.",
            envvar=SECRET_VARIABLE,
            rich_help_panel=options.LOG_IN,
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Also send calls that change something; delete what they create.",
            envvar="IMAGESTORE_SIM_COMPARE_WRITE",
            rich_help_panel=COMPARING,
        ),
    ] = False,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Send only the calls of this group; may be repeated.",
            envvar="IMAGESTORE_SIM_GROUP",
            rich_help_panel=COMPARING,
        ),
    ] = None,
    show: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Differences to print.", envvar="IMAGESTORE_SIM_SHOW", rich_help_panel=COMPARING
        ),
    ] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the node's answers, in the corpus's format, with addresses and names masked.",
            metavar="FILE",
            envvar="IMAGESTORE_SIM_COMPARE_OUT",
            rich_help_panel=COMPARING,
        ),
    ] = None,
) -> int:
    """Show what a ZStack answers differently from this emulator.

    Nothing is changed unless --write is given. Exit with status 0 if nothing differs, 1 if something does, 2 for
    unusable input.

    Examples:
        calls that only read; the password is asked for
        imagestore-sim compare http://192.168.0.10:8080
        also those that change something, and keep the answers
        imagestore-sim compare http://192.168.0.10:8080 --write --out answers.json
    """
    access_secret = apply_rules(context, RULES)["access_secret"]
    key = None
    if access_key is not None:
        key = (access_key, access_secret or _ask("Secret of the access key", SECRET_VARIABLE))
    elif password is None:
        password = _ask(f"Password of {account}", PASSWORD_VARIABLE)
    chosen = Options(url, account, password or "", key, write, tuple(group or ()), show, out)
    from imagestore_sim.cli.running import run

    return run(lambda: run_compare(chosen))


def _ask(what: str, variable: str) -> str:
    """Prompt for a secret on the terminal. Raise InputError where there is no terminal, with the variable to set."""
    if not sys.stdin.isatty():
        raise InputError(f"{what}: there is no terminal to ask for it; set ${variable}")
    return str(typer.prompt(what, hide_input=True, err=True))


async def run_compare(chosen: Options) -> int:
    """Compare, print what differs, and return the exit status. Raise InputError."""
    import asyncio
    from contextlib import AsyncExitStack

    from imagestore_sim.cli.compare_output import Report, silent_emulator, with_progress
    from imagestore_sim.clock import RealClock
    from imagestore_sim.parity.comparing import Comparison, Refused
    from imagestore_sim.parity.corpus import read_groups
    from imagestore_sim.parity.embedded import empty_lab
    from imagestore_sim.parity.runner import Runner
    from imagestore_sim.parity.wire import Endpoint, Unreachable

    try:
        endpoint = Endpoint.of(chosen.url.rstrip("/"))
        cases = await asyncio.to_thread(read_groups, chosen.groups)
    except ValueError as error:
        raise InputError(str(error)) from None
    clock = RealClock()
    node = Runner(endpoint, clock, account=chosen.account, password=chosen.password, key=chosen.key)
    async with AsyncExitStack() as stack:
        stack.enter_context(silent_emulator())
        lab = await stack.enter_async_context(empty_lab())
        emulator = Runner(Endpoint.of(lab.url), lab.clock)
        comparison = Comparison(node, emulator, clock, write=chosen.write)
        try:
            report = Report(await comparison.begin(), most_shown=chosen.show)
            with report.writing_to(chosen.out):
                async for one in with_progress(comparison, cases):
                    report.add(one)
        except (Refused, Unreachable) as error:
            raise InputError(str(error)) from None
        finally:
            left = await _end(comparison)
    report.close(comparison.not_sent, left)
    return FAILURE if report.different else SUCCESS


async def _end(comparison: Comparison) -> list[str]:
    """Delete what the calls have made. A node that cannot be reached any more keeps it."""
    import contextlib

    from imagestore_sim.parity.wire import Unreachable

    with contextlib.suppress(Unreachable):
        return await comparison.end()
    return []
