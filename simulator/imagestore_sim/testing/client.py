"""A small ZStack client for tests: it logs in, calls, and follows jobs to their end."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from imagestore_sim import plain_reasons
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.context_managers import Closeable

Json = dict[str, Any]
POLL_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.25
PREFIX = "/zstack/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, headers and text as they came."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Json:
        """The JSON object in the answer, or an empty one."""
        try:
            body = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


def bearer(lab_token: str | None) -> dict[str, str]:
    """Return the header that carries the token of the lab's API; no header without a token."""
    return {} if lab_token is None else {"Authorization": f"Bearer {lab_token}"}


def login_of(account: str, password: str) -> Json:
    """Return the body of a login, which carries the SHA-512 of the password."""
    return {"logInByAccount": {"accountName": account, "password": hashlib.sha512(password.encode()).hexdigest()}}


class CallFailed(Exception):
    """A call was answered with an error; `error` is ZStack's error object, empty for plain text."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}: {answer.text}")
        self.status = answer.status
        error = answer.body.get("error", {})
        self.error: Json = error if isinstance(error, dict) else {"details": str(error)}

    @property
    def code(self) -> str:
        """The error's code, such as `SYS.1006`."""
        return str(self.error.get("code", ""))

    @property
    def reason(self) -> str:
        """One line for people, without JSON: code and details, or that a node would not answer so."""
        text = " ".join(str(self.error.get("details") or self.error.get("description") or "").split())
        if self.status == 200 or not (text or self.code):
            return f"does not answer as a management node does (HTTP {self.status})"
        return f"HTTP {self.status}: {' '.join(one for one in (self.code, text) if one)}"


def plain_reason(error: Exception) -> str:
    """Return why a request failed, as one line that continues `URL: `, such as `cannot be reached: ...`."""
    return error.reason if isinstance(error, CallFailed) else plain_reasons.plain_reason(error)


class Client(Closeable):
    """Talks to the management node at `url`; close it, or use `async with`. No wait exceeds `timeout` seconds."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 20.0,
        clock: Clock | None = None,
        poll_seconds: float = POLL_SECONDS,
        lab_token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` are sent with each request."""
        self.url = url
        self._lab_headers = bearer(lab_token)
        self.session_uuid: str | None = None
        self._clock = clock or RealClock()
        self._timeout = timeout
        self._poll_seconds = poll_seconds
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), headers=headers)

    async def close(self) -> None:
        """Close the connections. The session of the node stays open."""
        await self._http.close()

    async def log_in(self, account: str = "admin", password: str = "password") -> str:  # noqa: S107 - ZStack's own
        """Log in, and return the session's uuid, which later calls carry. Raise CallFailed."""
        answer = await self._call("PUT", "/accounts/login", login_of(account, password))
        inventory = answer.body.get("inventory")
        if not isinstance(inventory, dict) or not isinstance(inventory.get("uuid"), str):
            raise CallFailed(answer)
        self.session_uuid = str(inventory["uuid"])
        return self.session_uuid

    async def log_out(self) -> None:
        """End the session, if there is one. Raise CallFailed."""
        session, self.session_uuid = self.session_uuid, None
        if session is not None:
            await self.call("DELETE", f"/accounts/sessions/{session}")

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Send one HTTP request below `/zstack/v1`, or to a whole URL, and return its answer, whatever its status.

        `body` is sent as JSON, `data` as it is. A call of the lab's API carries the token instead of the session.
        """
        url = path if path.startswith("http") else f"{self.url}{PREFIX}{path}"
        all_headers = {"Authorization": f"OAuth {self.session_uuid}"} if self.session_uuid else {}
        if url.startswith(f"{self.url}/lab/"):
            all_headers = dict(self._lab_headers)
        if body is not None:
            data = json.dumps(body).encode()
            all_headers["Content-Type"] = "application/json; charset=utf-8"
        all_headers.update(headers or {})
        sent = None if data is None else io.BytesIO(data)  # aiohttp warns of large bodies that are bytes
        async with self._http.request(method, url, params=query, data=sent, headers=all_headers) as response:
            return Answer(response.status, response.headers, await response.text())

    async def call(self, method: str, path: str, body: object = None, *, query: Sequence[tuple[str, str]] = ()) -> Json:
        """Call an API, follow its job to the end, and return the result. Raise CallFailed or TimeoutError."""
        return (await self._call(method, path, body, query=query)).body

    async def _call(
        self, method: str, path: str, body: object = None, *, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        answer = await self.request(method, path, body, query=query)
        if answer.status == 202 and "location" in answer.body:
            answer = await self.follow(str(answer.body["location"]))
        if answer.status != 200:
            raise CallFailed(answer)
        return answer

    async def follow(self, location: str) -> Answer:
        """Poll a job at `location`, and return its final answer. Raise TimeoutError."""
        return await self._clock.wait_for(self._poll(location), self._timeout)

    async def _poll(self, location: str) -> Answer:
        pause = self._poll_seconds
        while True:
            answer = await self.request("GET", location)
            if answer.status != 202:
                return answer
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, max(LONGEST_PAUSE_SECONDS, self._poll_seconds))

    async def query(self, path: str, *conditions: str, **parameters: str) -> list[Json]:
        """Return the inventories that meet all conditions, such as `name=imagestore-1`. Raise CallFailed."""
        query = [*(("q", condition) for condition in conditions), *parameters.items()]
        answer = await self._call("GET", path, query=query)
        inventories: list[Json] | None = answer.body.get("inventories")
        if not isinstance(inventories, list):
            raise CallFailed(answer)
        return inventories

    async def add_image_store(self, hostname: str, **values: object) -> Json:
        """Add an ImageStore and return its inventory. Raise CallFailed.

        `values` override the fields of the call: name as the host, user root, password `password`, url /Cloud_bs.
        """
        defaults = {"name": hostname, "username": "root", "password": "password", "url": "/Cloud_bs"}
        body = {"params": defaults | {"hostname": hostname} | values}
        inventory: Json = (await self.call("POST", "/backup-storage/image-store", body))["inventory"]
        return inventory

    async def wait_for_status(self, name: str, status: str, *, within: float = 5.0) -> Json:
        """Return the inventory of the ImageStore called `name` as soon as it has that status.

        Raise TimeoutError after `within` seconds; its text has the status then.
        """
        seen = "not there"

        async def poll() -> Json:
            nonlocal seen
            while True:
                found = await self.query("/backup-storage/image-store", f"name={name}")
                seen = found[0]["status"] if found else "not there"
                if seen == status:
                    return found[0]
                await self._clock.sleep(POLL_SECONDS)

        try:
            return await self._clock.wait_for(poll(), within)
        except TimeoutError:
            raise TimeoutError(f"{name} is {seen}, and was not {status} within {within:g} s") from None
