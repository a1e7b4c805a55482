"""Whether a management node is ready, asked from outside; light, since container engines ask every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
from urllib.parse import SplitResult, urlsplit

from imagestore_sim.clock import Clock, RealClock

ANSWER_SECONDS = 3.0
PAUSE_SECONDS = 0.2
_MOST_BYTES = 65_536
MISDIRECTED = 421
"""What a node answers that is not known by the name in the URL."""


def wait_until_ready(url: str, seconds: float) -> str | None:
    """None as soon as the node at `url` is ready; else why it was not within `seconds`. Raises ValueError."""
    return asyncio.run(_wait(_parse(url), seconds, RealClock()))


def _parse(url: str) -> SplitResult:
    parts = urlsplit(url)
    with contextlib.suppress(ValueError):
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return parts
    raise ValueError(f"{url} is not the URL of a management node, such as http://127.0.0.1:8080")


async def _wait(url: SplitResult, seconds: float, clock: Clock) -> str | None:
    deadline = clock.monotonic() + seconds
    while True:
        left = deadline - clock.monotonic()
        # Without a time to wait there is still one question, and the node has some time to answer it.
        timeout = min(left, ANSWER_SECONDS) if left > 0 else ANSWER_SECONDS
        problem = await _ask(url, timeout)
        left = deadline - clock.monotonic()
        if problem is None or left <= 0:
            return problem
        await clock.sleep(min(PAUSE_SECONDS, left))


async def _ask(url: SplitResult, seconds: float) -> str | None:
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
    """What the system calls it; asyncio puts the address in its place, and a failed look-up has no such number."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _get_readyz(url: SplitResult, seconds: float) -> tuple[int, bytes]:
    """The status and the body of the answer; the status is 0 when it is no HTTP. Raises OSError."""
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
