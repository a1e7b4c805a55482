"""Calls a node's API for a scenario: logs in, again before the session expires, and follows jobs to their end."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from imagestore_sim.clock import Clock
from imagestore_sim.rest.faulted_request import HEADER, PAST_FAULTS
from imagestore_sim.scenario.play.answers import EXPIRED, error_code
from imagestore_sim.testing.client import Answer, Client

LONGEST_JOB = 6 * 3600.0
POLL_SECONDS = 0.5
LOGIN_LASTS = 3600.0
"""Seconds after which the client logs in again, before its session expires."""


class NodeClient:
    """A client of the node at `url`, in the time of `clock`. It meets no fault of the management plane."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        account: str = "admin",
        password: str = "password",  # noqa: S107 - ZStack's own
        lab_token: str | None = None,
        longest_job: float = LONGEST_JOB,
    ) -> None:
        """Wait for an answer, or for the end of a job, for `longest_job` seconds of the clock at the most."""
        self.url = url
        self._clock = clock
        self._account = account
        self._password = password
        self._client = Client(
            url,
            timeout=longest_job,
            clock=clock,
            poll_seconds=POLL_SECONDS,
            lab_token=lab_token,
            headers={HEADER: PAST_FAULTS},
        )
        self._closed = False
        self._logged_in = clock.monotonic() - LOGIN_LASTS
        self._login = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections, but not the session. Calls that are under way end without an answer."""
        self._closed = True
        await self._client.close()

    async def log_out(self) -> None:
        """End the session, if there is one. Raise CallFailed, OSError or aiohttp.ClientError."""
        await self._client.log_out()

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the API (`path` is below /zstack/v1), follow the job to its end, and return the last answer.

        Raise OSError, TimeoutError or aiohttp.ClientError when the node does not answer, CallFailed at the login.
        """
        client = await self._logged_in_client()
        path, _, question = path.partition("?")
        query = parse_qsl(question.replace("+", "%2B"), keep_blank_values=True)
        try:
            answer = await client.request(method, path, body, query=query)
            if error_code(answer) == EXPIRED:  # a fault has ended its session
                await self._log_in()
                answer = await client.request(method, path, body, query=query)
            return await client.follow(str(answer.body["location"])) if answer.status == 202 else answer
        except RuntimeError as error:  # aiohttp's, of a session that was closed meanwhile
            if self._closed:
                raise ConnectionAbortedError("the node was stopped meanwhile") from error
            raise

    async def page(self, path: str) -> str:
        """Return a page outside of ZStack's API, such as /metrics. Raises as `request` does."""
        client = await self._logged_in_client()
        return (await client.request("GET", f"{self.url}{path}")).text

    async def _logged_in_client(self) -> Client:
        async with self._login:
            if self._clock.monotonic() - self._logged_in >= LOGIN_LASTS:
                await self._log_in()
        return self._client

    async def _log_in(self) -> None:
        """Log in. Raise CallFailed if the node refuses it, as one that is not ready does: the next call tries again."""
        now = self._clock.monotonic()
        await self._client.log_in(self._account, self._password)
        self._logged_in = now
