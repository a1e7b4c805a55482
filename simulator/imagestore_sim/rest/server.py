"""The REST door: an HTTP request on its way to an API and back, in the order of wire-protocol 0."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from imagestore_sim.clock import Clock
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.ids import new_uuid
from imagestore_sim.masking import masked_path
from imagestore_sim.rest.authentication import Authentication, Signed
from imagestore_sim.rest.binding import Body, Values, bind_tags, parse_body
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.encoding import to_json, to_plain_json
from imagestore_sim.rest.errors import ApiError, ContainerError, PlainError, internal_error
from imagestore_sim.rest.job_web_hooks import JobWebHook, JobWebHooks
from imagestore_sim.rest.jobs import POLLS, Ended, Jobs, OnEnd
from imagestore_sim.rest.journal import NOT_READ, Journal
from imagestore_sim.rest.legacy_api import LegacyApi
from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.messages import Handlers, Message, Reply
from imagestore_sim.rest.origins import address_of, is_foreign, is_unasked
from imagestore_sim.rest.request_body import read_body
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.request_target import CONTEXT, VERSION, Place, Redirect, Target, read_target
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.routing import Router, Slot, check_method
from imagestore_sim.rest.sessions import Claim
from imagestore_sim.tasks import by_size
from imagestore_sim.web_server import error_page

logger = logging.getLogger(__name__)
S = TypeVar("S")
JOB_UUID_LENGTH = 32
LAST_OF_THREE_BYTES = "\uffff"
JSON = {"Content-Type": "application/json; charset=utf-8"}
BODY_LIMIT = 2 * 1024 * 1024
"""The bytes that the body of a request may have, as a servlet container limits them too."""
CLOSING = (400, 413, 500, 503)
WHOLE_NUMBER = re.compile("[+-]?[0-9]{1,18}", re.ASCII)
ObserveRequest = Callable[[str, int, float], None]
"""Called with the API that a request was for (empty if none), the HTTP status of the response, and the seconds it took.
"""


@dataclass(frozen=True, kw_only=True)
class Dependencies(Generic[S]):
    """What stands behind the REST door: who may pass, who carries out, and where results go.

    `observe` is told of every request but those that a kept answer was found for, which `answers` count.
    """

    clock: Clock
    authentication: Authentication
    dispatcher: Dispatcher[S]
    jobs: Jobs
    web_hooks: JobWebHooks
    legacy_api: LegacyApi[S]
    response_cache: ResponseCache
    leniency: Leniency
    journal: Journal
    observe: ObserveRequest


class RestServer(Generic[S]):
    """Answers everything below `/zstack/v1` and `/v1`, and the legacy API below `/zstack/api`."""

    def __init__(self, handlers: Handlers[S], dependencies: Dependencies[S]) -> None:
        self._router = Router(handlers.by_message, dependencies.leniency)
        self._authentication = dependencies.authentication
        self._dispatcher = dependencies.dispatcher
        self._jobs = dependencies.jobs
        self._web_hooks = dependencies.web_hooks
        self._legacy_api = dependencies.legacy_api
        self._leniency = dependencies.leniency
        self._response_cache = dependencies.response_cache
        self._clock = dependencies.clock
        self._journal = dependencies.journal
        self._observe = dependencies.observe

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The response to a request, whatever it is."""
        context = RequestContext()
        began = self._clock.monotonic()
        response = await self._respond(request, context)
        ended = self._clock.monotonic()
        if context.began is not None:
            self._observe(context.api, response.status, ended - context.began)
        self._journal.add(
            ended,
            request.method,
            request.raw_path,
            response.status,
            ended - began,
            context.account,
            context.job,
            NOT_READ if context.body is None and request.body_exists else context.body,
        )
        return response

    async def _respond(self, request: web.BaseRequest, context: RequestContext) -> web.Response:
        try:
            return await self._answer(request, context)
        except PlainError as error:
            return _closing(web.Response(status=error.status, text=error.text))
        except ContainerError as error:
            return _page(error)
        except Redirect as elsewhere:
            return web.Response(status=302, headers={"Location": elsewhere.location})
        except web.HTTPRequestEntityTooLarge:
            text = f"the body of a request may have {BODY_LIMIT} bytes, and this one has more"
            return _closing(web.Response(status=413, text=text))
        except web.HTTPException as error:  # of a body that did not come, or cannot be decoded
            return _closing(web.Response(status=error.status, text=error.text))
        except ConnectionError:
            raise
        except StoreUnavailable as error:  # the store itself logs it
            return _json(503, to_plain_json({"error": internal_error(str(error)).error.to_json()}))
        except Exception as error:
            logger.exception("%s %s went wrong", request.method, masked_path(request.raw_path))
            return _closing(web.Response(status=500, text=str(error)))

    async def _answer(self, request: web.BaseRequest, context: RequestContext) -> web.Response:
        again = await self._answer_again(request, context)
        if again is not None:
            return again
        context.began = self._clock.monotonic()
        raw_path, _, raw_query = request.raw_path.partition("?")
        target = read_target(raw_path, raw_query, self._leniency)
        if target.place is not Place.REST:
            return await self._answer_elsewhere(request, target, context)
        check_method(request.method)
        path = target.segments
        if len(path) == 2 and path[0] == POLLS and path[1]:
            context.api = POLLS
            context.job = path[1]
            return await self._poll(request, path[1])
        return await self._call(request, target, self._router.find(path, target.shown), context)

    async def _answer_elsewhere(
        self, request: web.BaseRequest, target: Target, context: RequestContext
    ) -> web.Response:
        body = None
        if target.place is Place.LEGACY:
            read = partial(read_body, request, self._leniency)
            body = await self._legacy_api.answer(request.method, target.shown, read, context)
        if body is None:
            raise ContainerError(404, f"nothing is served at {target.shown}")
        return _json(200, body)

    async def _answer_again(self, request: web.BaseRequest, context: RequestContext) -> web.Response | None:
        """The short way to an answer that is kept; None for whatever has to go the long way, where it may also fail."""
        authorization = request.headers.get("Authorization", "")
        if not _is_plain_get(request) or not authorization.startswith("OAuth"):
            return None
        session = authorization.removeprefix("OAuth").strip()
        identity = self._dispatcher.recognize(session)
        body = None if identity is None else self._response_cache.find((identity, request.raw_path))
        if body is None:
            return None
        context.account = (await self._dispatcher.identify(session)).account_uuid
        return _json(200, body)

    async def _poll(self, request: web.BaseRequest, job_uuid: str) -> web.Response:
        if request.method != "GET":
            raise PlainError(405, "only GET method is allowed for querying job status")
        status, body = await self._jobs.poll(job_uuid, with_schema="X-JSON-Schema" in request.headers)
        return _json(status, body)

    async def _call(
        self, request: web.BaseRequest, target: Target, slot: Slot, context: RequestContext
    ) -> web.Response:
        context.body = raw = await read_body(request, self._leniency)
        size = len(raw)
        body = await by_size(size, parse_body, raw)
        context.body = b"" if body is None else body
        candidate = slot.choose(request.method, request.raw_path.partition("?")[0], body)
        message = candidate.message
        context.api = message.__name__
        if message.api.method != "GET" and is_unasked(request) and is_foreign(request):
            raise PlainError(403, "a page of another origin may not call this")
        claim = await self._claim(request, target) if message.api.authenticated else None
        context.account = self._dispatcher.account_of(claim)
        values = await by_size(size, message.bind, request.method, _pairs(request), body, slot.variables(candidate))
        if message.always_with_schema:  # a query, which knows none of the special headers
            return await self._answer_now(request, message, values, claim, new_uuid("request"))
        job = await self._job_uuid(request)
        milliseconds = _timeout(request, message, body)
        values |= await by_size(size, _tags_beside, request.method, body)
        if message.api.sync:
            return await self._answer_now(request, message, values, claim, job)
        context.job = job
        return await self._answer_later(request, message, values, claim, job, milliseconds)

    async def _claim(self, request: web.BaseRequest, target: Target) -> Claim:
        signed = Signed(request.method, request.headers.get("Date"), (target.sent, target.shown))
        return await self._authentication.claim(request.headers.get("Authorization"), signed)

    async def _job_uuid(self, request: web.BaseRequest) -> str:
        given = request.headers.get("X-Job-UUID")
        if given is None:
            return new_uuid("job")
        if len(given) != JOB_UUID_LENGTH:
            raise PlainError(400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped")
        if request.method in ("POST", "PUT", "DELETE"):
            await self._jobs.refuse_duplicate(given)
        return given

    async def _answer_now(
        self, request: web.BaseRequest, message: type[Message], values: Values, claim: Claim, message_uuid: str
    ) -> web.Response:
        async def work(who: Claim) -> bytes:
            reply = await self._dispatcher.carry_out(message, values, message_uuid, who)
            if message.always_with_schema or "X-JSON-Schema" in request.headers:
                return to_json({**reply.body, "schema": dict(reply.schema)})
            return to_json(dict(reply.body))

        try:
            if not message.repeatable or not _is_plain_get(request):
                return _json(200, await work(claim))
            identity = await self._dispatcher.identify(claim)
            question = (identity, request.raw_path)
            return _json(200, await self._response_cache.get(question, partial(work, identity), message.__name__))
        except ApiError as failure:
            return _json(503, to_plain_json({"error": failure.error.to_json()}))

    async def _answer_later(
        self,
        request: web.BaseRequest,
        message: type[Message],
        values: Values,
        claim: Claim,
        job: str,
        milliseconds: int,
    ) -> web.Response:
        async def work() -> Reply:
            return await self._dispatcher.carry_out(message, values, job, claim)

        if not _beyond_three_bytes(values):
            on_end = self._hook(request, message, job)
            await self._jobs.start(job, message.__name__, work, on_end, waits=message.waits)
        # The address that the client used is the only one it is sure to reach (clients 1.4).
        location = f"http://{address_of(request)}/{CONTEXT}/{VERSION}/{POLLS}/{job}"
        return _json(202, to_plain_json({"apiTimeout": milliseconds, "location": location}))

    def _hook(self, request: web.BaseRequest, message: type[Message], job: str) -> OnEnd | None:
        url = request.headers.get("X-Web-Hook")
        if not url:
            return None
        hook = JobWebHook(url, job, message.api, "X-JSON-Schema" in request.headers)

        def deliver(ended: Ended) -> None:
            self._web_hooks.deliver(hook, ended)

        return deliver


def _is_plain_get(request: web.BaseRequest) -> bool:
    """Whether path, query string and session are all that the answer depends on."""
    return request.method == "GET" and not request.body_exists


def _pairs(request: web.BaseRequest) -> list[tuple[str, str]]:
    _, _, query = request.raw_path.partition("?")
    return parse_qsl(query, keep_blank_values=True) if query else []


def _tags_beside(method: str, body: Body) -> Values:
    return {} if method in ("GET", "DELETE") else bind_tags(body)


def _timeout(request: web.BaseRequest, message: type[Message], body: Body) -> int:
    """The milliseconds that a call may take: the header's, else the body's, else the API's own."""
    given = request.headers.get("X-API-Timeout")
    if given is None:
        told = message.timeout_in(request.method, body)
        return message.api.timeout_seconds * 1000 if told is None else told
    if not WHOLE_NUMBER.fullmatch(given):
        raise PlainError(500, f'For input string: "{given}"')
    return int(given) * 1000


def _json(status: int, body: bytes) -> web.Response:
    return _closing(web.Response(status=status, body=body, headers=JSON))


def _page(error: ContainerError) -> web.Response:
    """The page that a servlet container makes of an error; none where there is none, as for OPTIONS."""
    headers = {"Allow": error.allow} if error.allow else {}
    if error.status < 400:
        return web.Response(status=error.status, headers=headers)
    return _closing(error_page(error.status, error.text, allow=error.allow))


def _closing(response: web.Response) -> web.Response:
    """The response, after which the connection is closed where Tomcat closes it (wire-protocol 1.6)."""
    if response.status in CLOSING:
        response.force_close()
    return response


def _beyond_three_bytes(value: object) -> bool:
    """Return whether a text is in it that ZStack's database cannot hold, whose characters have three bytes at most.

    The call is answered, but neither done nor remembered: its job has expired from the start (observed 5).
    """
    if isinstance(value, str):
        return not value.isascii() and max(value) > LAST_OF_THREE_BYTES
    if isinstance(value, Mapping):
        return any(_beyond_three_bytes(one) for one in (*value.keys(), *value.values()))
    return isinstance(value, list) and any(map(_beyond_three_bytes, value))
