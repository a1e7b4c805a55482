"""Asynchronous calls over HTTP: answered 202 with the address of a job to poll (wire-protocol 3.2, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from aiohttp import web

from imagestore_sim.database.wide_text import is_wide
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.binding import Body, Values
from imagestore_sim.rest.encoding import to_plain_json
from imagestore_sim.rest.errors import PlainError
from imagestore_sim.rest.faulted_job import FaultedJob
from imagestore_sim.rest.identity import Claim
from imagestore_sim.rest.job_starter import JobOrder, JobStarter
from imagestore_sim.rest.job_web_hooks import JobWebHook
from imagestore_sim.rest.jobs import POLLS, Jobs
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.origins import address_of
from imagestore_sim.rest.request_target import CONTEXT, VERSION
from imagestore_sim.rest.responses import json_response
from imagestore_sim.web_server import connection_of

S = TypeVar("S")
JOB_UUID = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@-]{32}")
"""A uuid of a job: ZStack looks at its length alone, but it has to be a segment of the path to poll (RFC 3986, 3.3)."""
FindLocation = Callable[[], str | None]
WHOLE_NUMBER = re.compile("[+-]?[0-9]{1,18}", re.ASCII)


class AsyncCalls(Generic[S]):
    """Starts the jobs of asynchronous calls, and answers the polls of them."""

    def __init__(self, starter: JobStarter[S], jobs: Jobs, location: FindLocation) -> None:
        """Take `location`, which returns the HOST:PORT to poll at, where that is not the one that a client used."""
        self._starter = starter
        self._jobs = jobs
        self._location = location

    async def poll(self, request: web.BaseRequest, job_uuid: str) -> web.Response:
        """Answer a poll. Raise PlainError 404 for an unknown job, and 405 for a method other than GET."""
        if request.method != "GET":
            raise PlainError(405, "only GET method is allowed for querying job status")
        polled = await self._jobs.poll(job_uuid, connection_of(request), with_schema=wants_schema(request))
        return json_response(*polled)

    async def job_uuid(self, request: web.BaseRequest) -> str:
        """Return the uuid that `X-Job-UUID` chooses for the job, or a new one.

        Raise PlainError 400 for a uuid that cannot be polled, or has been used (wire-protocol 5.5).
        """
        given = request.headers.get("X-Job-UUID")
        if given is None:
            return new_uuid("job")
        if not JOB_UUID.fullmatch(given):
            raise PlainError(400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped")
        if request.method in ("POST", "PUT", "DELETE"):
            await self._jobs.store.refuse_duplicate(given)
        return given

    async def start(
        self,
        request: web.BaseRequest,
        message: type[Message],
        values: Values,
        claim: Claim,
        job: str,
        milliseconds: int,
        faulted: FaultedJob | None = None,
    ) -> web.Response:
        """Start the job of a call, and answer 202 with its time-out and the address to poll.

        `faulted` is what faults do to it.
        """
        if not _beyond_three_bytes(values):
            hook = _hook_of(request, message, job)
            order = JobOrder(uuid=job, message=message, values=values, claim=claim, hook=hook, faulted=faulted)
            await self._starter.start(order)
        # The address that the client used is the only one that it can certainly reach (clients 1.4).
        address = self._location() or address_of(request)
        location = f"http://{address}/{CONTEXT}/{VERSION}/{POLLS}/{job}"
        return json_response(202, to_plain_json({"apiTimeout": milliseconds, "location": location}))


def _hook_of(request: web.BaseRequest, message: type[Message], job: str) -> JobWebHook | None:
    url = request.headers.get("X-Web-Hook")
    return JobWebHook(url, job, message.api, wants_schema(request)) if url else None


def wants_schema(request: web.BaseRequest) -> bool:
    """Return whether a request asks for the schema of the answer."""
    return "X-JSON-Schema" in request.headers


def timeout_of(request: web.BaseRequest, message: type[Message], body: Body) -> int:
    """Return the milliseconds that a call may take: from its header, else its body, else the API's default.

    Raise PlainError 500 for a header that is no whole number.
    """
    given = request.headers.get("X-API-Timeout")
    if given is None:
        in_body = message.timeout_in(request.method, body)
        return message.api.timeout_seconds * 1000 if in_body is None else in_body
    if not WHOLE_NUMBER.fullmatch(given):
        raise PlainError(500, f'For input string: "{given}"')
    return int(given) * 1000


def _beyond_three_bytes(value: object) -> bool:
    """Return whether a value holds a character of four UTF-8 bytes, which ZStack's database cannot store.

    ZStack answers such a call, but neither does nor stores it: its job is expired from the start (observed 5).
    """
    if isinstance(value, str):
        return is_wide(value)
    if isinstance(value, Mapping):
        return any(_beyond_three_bytes(one) for one in (*value.keys(), *value.values()))
    return isinstance(value, list) and any(map(_beyond_three_bytes, value))
