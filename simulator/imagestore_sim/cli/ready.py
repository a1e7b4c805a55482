"""`imagestore-sim ready`: whether a management node is ready.

Container engines run this every few seconds, so it imports only the standard library and Typer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import SplitResult, urlsplit

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.exits import FAILURE, SUCCESS, InputError, print_error

if TYPE_CHECKING:
    from imagestore_sim.clock import Clock

ANSWER_SECONDS = 3.0
PAUSE_SECONDS = 0.2
_MOST_BYTES = 65_536
PATH = re.compile("[!-~]*")
"""The path of a URL, as a request line can carry it."""
PLAIN = re.compile(r"[0-9]+(\.[0-9]+)?")
"""A number of seconds without a unit."""
MISDIRECTED = 421
"""The status of a node that does not accept the host name in the URL."""


def ready(
    url: options.NodeUrl = options.NODE_URL,
    wait: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Wait this long at most until it is ready, such as 60s.",
            envvar="IMAGESTORE_SIM_WAIT",
        ),
    ] = None,
) -> int:
    """Check whether the node at URL is ready: it has tried to connect every storage. Exit with status 0 or 1.

    Examples:
        wait for up to a minute, in a script
        imagestore-sim ready http://127.0.0.1:8080 --wait 60
    """
    problem = wait_until_ready(url, 0.0 if wait is None else _seconds(wait))
    if problem is not None:
        print_error(problem)
        return FAILURE
    typer.echo(f"ready {url}")
    return SUCCESS


def _seconds(text: str) -> float:
    from imagestore_sim.units import parse_seconds  # Pydantic with it, which a health check can do without

    try:
        return parse_seconds(float(text) if PLAIN.fullmatch(text) else text)
    except ValueError as error:
        raise InputError(f"--wait: {error}") from None


def wait_until_ready(url: str, seconds: float) -> str | None:
    """Return None as soon as the node at `url` is ready, or after `seconds` why it is not. Raise InputError."""
    import asyncio

    from imagestore_sim.clock import RealClock

    return asyncio.run(_wait(_parse(url), seconds, RealClock()))


def _parse(url: str) -> SplitResult:
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname and parts.port != 0 and PATH.fullmatch(parts.path):
            parts.hostname.encode("idna")  # as the resolver does: ValueError for a label that is empty or too long
            return parts
    raise InputError(f"{url} is not the URL of a management node, such as http://127.0.0.1:8080")


async def _wait(url: SplitResult, seconds: float, clock: Clock) -> str | None:
    deadline = clock.monotonic() + seconds
    while True:
        left = deadline - clock.monotonic()
        # Ask once even if there is no time to wait, and give the node time to answer.
        timeout = min(left, ANSWER_SECONDS) if left > 0 else ANSWER_SECONDS
        problem = await _ask(url, timeout)
        left = deadline - clock.monotonic()
        if problem is None or left <= 0:
            return problem
        await clock.sleep(min(PAUSE_SECONDS, left))


async def _ask(url: SplitResult, seconds: float) -> str | None:
    import asyncio

    try:
        status, body = await asyncio.to_thread(_get_readyz, url, seconds)
    except TimeoutError:
        return f"{url.geturl()} does not answer"
    except OSError as error:
        return f"{url.geturl()} cannot be reached: {_explain(error)}"
    try:
        answer = json.loads(body)
        if status == MISDIRECTED:
            return f"{url.geturl()}: {answer['error']}"
        is_ready, steps = answer["ready"], ", ".join(answer["waitingFor"])
        problems = "; ".join(answer.get("problems", ()))
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"{url.geturl()} does not answer as a management node does"
    if status == 200 and is_ready is True:
        return None
    return f"{url.geturl()} is not ready, {problems or f'it waits for: {steps}'}"


def _explain(error: OSError) -> str:
    """Return the system's text: asyncio puts the address in its place, and a failed look-up has no errno."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _get_readyz(url: SplitResult, seconds: float) -> tuple[int, bytes]:
    """Return the status and the body of the answer; the status is 0 if it is not HTTP. Raise OSError."""
    import http.client

    assert url.hostname is not None
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=seconds)
    try:
        connection.request("GET", f"{url.path.rstrip('/')}/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES)
    except http.client.HTTPException:
        return 0, b""
    finally:
        connection.close()
