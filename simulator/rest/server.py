"""The REST door: an HTTP request on its way to an API and back, in the order of wire-protocol 0."""

from __future__ import annotations

from typing import Generic, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from simulator.rest.authentication import session_uuid_of
from simulator.rest.binding import Values, parse_body
from simulator.rest.dispatch import Dispatcher
from simulator.rest.encoding import to_json, to_plain_json
from simulator.rest.errors import ApiError, PlainError
from simulator.rest.jobs import Jobs
from simulator.rest.messages import Handlers, Message, Reply
from simulator.rest.parameters import Api
from simulator.rest.routing import CONTEXT, VERSION, Router, Slot, split_path
from simulator.uuids import new_uuid

S = TypeVar("S")
JOBS = "api-jobs"
JOB_UUID_LENGTH = 32
JSON = {"Content-Type": "application/json; charset=utf-8"}


class RestServer(Generic[S]):
    """Answers everything below `/zstack/v1` and `/v1`."""

    def __init__(self, handlers: Handlers[S], dispatcher: Dispatcher[S], jobs: Jobs) -> None:
        self._router = Router(handlers.by_message)
        self._dispatcher = dispatcher
        self._jobs = jobs

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The response to a request, whatever it is."""
        try:
            path = split_path(request.raw_path)
            if path is None:
                raise PlainError(404, f"nothing is served at {request.path}")
            if len(path) == 2 and path[0] == JOBS:
                return await self._poll(request, path[1])
            return await self._call(request, self._router.find(path))
        except PlainError as error:
            return web.Response(status=error.status, text=error.text, headers=_closing(error.status))

    async def _poll(self, request: web.BaseRequest, job_uuid: str) -> web.Response:
        if request.method != "GET":
            raise PlainError(405, "only GET method is allowed for querying job status")
        status, body = await self._jobs.poll(job_uuid, with_schema="X-JSON-Schema" in request.headers)
        return _json(status, body)

    async def _call(self, request: web.BaseRequest, slot: Slot) -> web.Response:
        body = parse_body(await request.read())
        candidate = slot.choose(request.method, request.raw_path.partition("?")[0], body)
        api = candidate.message.api
        session = session_uuid_of(request.headers.get("Authorization")) if api.authenticated else None
        values = candidate.message.bind(request.method, _pairs(request), body, slot.variables(candidate))
        if api.sync:
            return await self._answer_now(request, candidate.message, values, session)
        return await self._answer_later(request, candidate.message, values, session)

    async def _answer_now(
        self, request: web.BaseRequest, message: type[Message], values: Values, session: str | None
    ) -> web.Response:
        try:
            reply = await self._dispatcher.carry_out(message, values, new_uuid(), session)
        except ApiError as failure:
            return _json(503, to_plain_json({"error": failure.error.to_json()}))
        if message.always_with_schema or "X-JSON-Schema" in request.headers:
            return _json(200, to_json({**reply.body, "schema": dict(reply.schema)}))
        return _json(200, to_json(dict(reply.body)))

    async def _answer_later(
        self, request: web.BaseRequest, message: type[Message], values: Values, session: str | None
    ) -> web.Response:
        job = _job_uuid(request)
        timeout = _timeout_milliseconds(request, message.api)

        async def work() -> Reply:
            return await self._dispatcher.carry_out(message, values, job, session)

        await self._jobs.start(job, message.__name__, work)
        # The address that the client used is the only one it is sure to reach (clients 1.4).
        location = f"http://{request.host}/{CONTEXT}/{VERSION}/{JOBS}/{job}"
        return _json(202, to_plain_json({"apiTimeout": timeout, "location": location}))


def _pairs(request: web.BaseRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)


def _job_uuid(request: web.BaseRequest) -> str:
    given = request.headers.get("X-Job-UUID")
    if given is None:
        return new_uuid()
    if len(given) != JOB_UUID_LENGTH:
        raise PlainError(400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped")
    return given


def _timeout_milliseconds(request: web.BaseRequest, api: Api) -> int:
    given = request.headers.get("X-API-Timeout")
    if given is None:
        return api.timeout_seconds * 1000
    try:
        return int(given) * 1000
    except ValueError:
        raise PlainError(500, f'For input string: "{given}"') from None


def _json(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, headers=JSON | _closing(status))


def _closing(status: int) -> dict[str, str]:
    # Tomcat closes the connection after these (wire-protocol 1.6).
    return {"Connection": "close"} if status in (400, 500, 503) else {}
