"""Web hooks: the result of a job, posted to the address that its call named (wire-protocol 3.4)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import aiohttp

from simulator.clock import Clock
from simulator.rest.jobs import Ended
from simulator.rest.parameters import Api
from simulator.tasks import Tasks

logger = logging.getLogger(__name__)
ATTEMPTS = 15
SECONDS_BETWEEN = 2.0
SECONDS_AN_ATTEMPT = 10.0


@dataclass(frozen=True, slots=True)
class WebHook:
    """Where the result of a job is to go, and whether with its schema."""

    url: str
    job: str
    api: Api
    with_schema: bool


class WebHooks:
    """Delivers the results of jobs, again and again until the other side takes one or the attempts are used up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks = Tasks()
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give up what has not been delivered yet."""
        await self._tasks.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    def deliver(self, hook: WebHook, ended: Ended) -> None:
        """Begin to deliver how a job ended."""
        self._tasks.begin(self._deliver(hook, ended), f"web hook of job {hook.job}")

    async def _deliver(self, hook: WebHook, ended: Ended) -> None:
        headers = _headers(hook, ended)
        body = ended.body(with_schema=hook.with_schema)
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._clock.sleep(SECONDS_BETWEEN)
            problem = await self._post(hook.url, headers, body)
            if problem is None:
                return
            logger.info("web hook %s of job %s: attempt %d: %s", hook.url, hook.job, attempt + 1, problem)
        logger.warning("web hook %s of job %s was given up after %d attempts", hook.url, hook.job, ATTEMPTS)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> str | None:
        """What kept the other side from taking it; None if nothing did."""
        if self._http is None:
            # As ZStack does, without a look at certificates: hooks stand in test networks.
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
        try:
            return await self._clock.wait_for(_status_of(self._http, url, headers, body), SECONDS_AN_ATTEMPT)
        except TimeoutError:
            return f"no answer within {SECONDS_AN_ATTEMPT:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(error) or type(error).__name__


async def _status_of(http: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes) -> str | None:
    async with http.post(url, headers=headers, data=body, allow_redirects=False) as response:
        return None if 200 <= response.status < 300 else f"it answered {response.status}"


def _headers(hook: WebHook, ended: Ended) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Job-UUID": hook.job,
        "X-Job-Success": "true" if ended.success else "false",
    }
    if hook.api.batch:
        headers["X-Job-Batch"] = _batch(ended)
    return headers


def _batch(ended: Ended) -> str:
    done, total = ended.reply.batch or (0, 0)
    if not ended.success or not done:
        return "FAIL"
    return "SUCCESS" if done == total else "PARTIAL"
