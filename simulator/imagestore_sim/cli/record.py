"""`imagestore-sim record`: what happens on a node, or has happened, as a scenario."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import FAILURE, SUCCESS, InputError, print_error
from imagestore_sim.cli.rules import IgnoreVariables, Parsed, Refuse, apply_rules

if TYPE_CHECKING:
    from imagestore_sim.scenario.recording.recording import Recording

RECORDING = "Recording"


def _seconds(text: str) -> float:
    from imagestore_sim.units import parse_seconds

    return parse_seconds(text)


def _moment(text: str) -> float:
    from imagestore_sim.units import parse_moment

    return parse_moment(text)


RULES = (
    IgnoreVariables(("database", "since", "until"), when=lambda given: given.url is not None),
    IgnoreVariables(("lasts",), when=lambda given: given.url is None),
    Refuse(lambda given: (given.url is None) == (given.database is None), "expected the URL of a node, or --database"),
    Refuse(
        lambda given: given.database is None and (given.since is not None or given.until is not None),
        "--since and --until: expected together with --database",
    ),
    Parsed("since", _moment),
    Parsed("until", _moment),
    Parsed("lasts", _seconds, "--for"),
    Refuse(
        lambda given: given.url is None and given.lasts is not None,
        "--for: a database is read at once; expected --since and --until",
    ),
    Refuse(
        lambda given: given.since is not None and given.until is not None and given.since >= given.until,
        "--since: expected a moment before --until",
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What to record, either of a running node or of a database, and the file to write."""

    out: Path
    url: str | None
    lasts: float | None
    """Seconds to record a running node; None: until a signal."""
    account: str
    password: str = field(repr=False)
    lab_token: str | None = field(repr=False)
    database: str | None
    """File or URL of a node's database."""
    since: float | None
    """Epoch seconds of the first event to take from a database; None: its first."""
    until: float | None


def record(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="File to write.", envvar="IMAGESTORE_SIM_OUT", rich_help_panel=RECORDING),
    ],
    url: Annotated[str | None, typer.Argument(metavar="URL", help="URL of the node.")] = None,
    lasts: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TIME",
            help="Time to record, such as 10m.",
            envvar="IMAGESTORE_SIM_FOR",
            rich_help_panel=RECORDING,
        ),
    ] = None,
    account: options.Account = "admin",
    password: options.Password = "password",  # noqa: S107 - ZStack's own
    lab_token: options.OfLabToken = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="Read a node's database, a file or a URL, in place of a running node.",
            metavar="FILE|URL",
            rich_help_panel=RECORDING,
            envvar="IMAGESTORE_SIM_RECORD_DATABASE",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Begin here, not at the first event.",
            envvar="IMAGESTORE_SIM_SINCE",
            rich_help_panel=RECORDING,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="End here, not at the last event.",
            envvar="IMAGESTORE_SIM_UNTIL",
            rich_help_panel=RECORDING,
        ),
    ] = None,
) -> int:
    """Record what happens on a running node until Ctrl-C, or what its database holds, as a scenario.

    WHEN is YYYY-MM-DD HH:MM:SS in UTC, ISO 8601, or how long ago, such as 2h. Exit with status 1, and keep what was
    recorded, if the node ends meanwhile or cannot be reached any more.

    Examples:
        what happens in the next ten minutes
        imagestore-sim record http://127.0.0.1:8080 --for 10m --out outage.yaml
        the last two hours of a node that has stopped
        imagestore-sim record --database node.db --since 2h --out outage.yaml
    """
    chosen = Options(**apply_rules(context, RULES))
    from imagestore_sim.cli.running import run

    return run(lambda: run_record(chosen))


async def run_record(chosen: Options) -> int:
    """Record, write the scenario, and return the exit status. Raise InputError."""
    import asyncio

    await asyncio.to_thread(_check_place, chosen.out)
    recording = await (_follow(chosen, chosen.url) if chosen.url is not None else _read(chosen))
    await _write(recording, chosen.out)
    if recording.lost:
        print_error(f"{chosen.url}: {recording.lost}; {chosen.out} holds what was recorded until then")
        return FAILURE
    return SUCCESS


def _check_place(out: Path) -> None:
    """Raise InputError if the file cannot be written, before hours have been recorded for it."""
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no such folder")
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise InputError(f"--out {out}: there is no permission to write it")


async def _follow(chosen: Options, url: str) -> Recording:
    import asyncio

    import aiohttp

    from imagestore_sim.cli.running import until_stopped
    from imagestore_sim.scenario.recording.from_node import follow_node
    from imagestore_sim.scenario.worlds.event_stream import EventsMissed
    from imagestore_sim.testing.client import CallFailed, plain_reason
    from imagestore_sim.units import duration_text
    from imagestore_sim.web_client import http_url

    loop = asyncio.get_running_loop()
    async with until_stopped() as stopped:
        if chosen.lasts is not None:  # the machine's time, whatever the node's clock does
            ending = loop.call_later(chosen.lasts, stopped.set)  # real: the user waits

        def began() -> None:
            lasts = "until it is interrupted" if chosen.lasts is None else f"for {duration_text(chosen.lasts)}"
            print(f"recording {url} {lasts}", flush=True)
            if chosen.lasts is not None:  # what it took to begin is not recorded
                ending.cancel()
                loop.call_later(chosen.lasts, stopped.set)  # real: see above

        try:
            http_url(url)
            return await follow_node(
                url.rstrip("/"),
                stopped,
                account=chosen.account,
                password=chosen.password,
                lab_token=chosen.lab_token,
                began=began,
            )
        except (CallFailed, EventsMissed, aiohttp.ClientError, OSError, ValueError) as error:
            raise InputError(f"{url}: {plain_reason(error)}") from None


async def _read(chosen: Options) -> Recording:
    from imagestore_sim.database import DatabaseError
    from imagestore_sim.scenario.recording.from_database import read_database

    try:
        return await read_database(str(chosen.database), chosen.since, chosen.until)
    except DatabaseError as error:
        raise InputError(f"--database {error}") from None


async def _write(recording: Recording, out: Path) -> None:
    import asyncio

    from imagestore_sim.scenario.recording.scenario_text import scenario_text
    from imagestore_sim.units import duration_text

    try:
        await asyncio.to_thread(out.write_text, scenario_text(recording), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from None
    length = duration_text(round(recording.ended - recording.began, 1))
    print(f"{out}: {len(recording.events)} events of {length}")
