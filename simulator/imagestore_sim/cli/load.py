"""`imagestore-sim load`: more records for a running node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import SUCCESS, InputError

if TYPE_CHECKING:
    from imagestore_sim.bootstrap import Bootstrap
    from imagestore_sim.testing.client import Answer


def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of records, as for --bootstrap.")],
    url: options.NodeUrl = options.NODE_URL,
    lab_token: options.OfLabToken = None,
) -> int:
    """Add the records of a bootstrap file to a running node; skip those that it has already.

    Return once each new storage has been tried.

    Examples:
        add records to the node on this machine
        imagestore-sim load more.yaml
        and to one elsewhere
        imagestore-sim load more.yaml http://192.168.0.10:8080 --lab-token TOKEN
    """
    from imagestore_sim.cli.running import run

    return run(lambda: run_load(file, url, lab_token))


async def run_load(file: Path, url: str, lab_token: str | None) -> int:
    """Add the records of `file` to those of the node at `url`, and wait for the new storages. Raise InputError."""
    import asyncio

    import aiohttp

    from imagestore_sim.bootstrap import read_bootstrap
    from imagestore_sim.testing.client import CallFailed, plain_reason

    records = await asyncio.to_thread(read_bootstrap, file)
    content = records.model_dump_json(exclude_defaults=True)
    try:
        answer = await _post(f"{url.rstrip('/')}/lab/v1/snapshot", content, lab_token)
    except (aiohttp.ClientError, OSError, UnicodeError) as error:  # UnicodeError: a name that no resolver takes
        raise InputError(f"{url}: {plain_reason(error)}") from None
    if answer.status != 200 or answer.body != {"added": True}:
        raise InputError(f"{url}: {_in_file(records, CallFailed(answer).reason)}")
    count = len(records.backupStorages)
    print(
        f"{url}: the records of {file} are there, {count} backup {'storage' if count == 1 else 'storages'} among them"
    )
    return SUCCESS


def _in_file(records: Bootstrap, reason: str) -> str:
    """Return why a node refuses records, with the line of the file in place of that of the text which was sent."""
    import re

    from imagestore_sim.bootstrap.errors import RecordProblem

    found = re.fullmatch(r"HTTP 400: snapshot, line \d+: ([^\s:]+): (.*)", reason)
    if found is None:
        return reason
    place = [int(step) - 1 if step.isdecimal() else step for step in found[1].split(".")]
    return str(records.error(RecordProblem(place, found[2])))


async def _post(url: str, content: str, lab_token: str | None) -> Answer:
    import io

    import aiohttp

    from imagestore_sim.testing.client import Answer, bearer
    from imagestore_sim.web_client import http_url

    async with (
        aiohttp.ClientSession(headers=bearer(lab_token)) as session,
        session.post(http_url(url), data=io.BytesIO(content.encode()), params={"wait": "true"}) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.text(errors="replace"))
