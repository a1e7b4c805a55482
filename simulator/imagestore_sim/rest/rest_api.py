"""The REST API: from a request for `/v1/…` to its message, and from the reply to a response (wire-protocol 0).

The order of the steps decides which error a client sees: method, path, body, API, Authorization header, parameters,
job uuid, time-out. The dispatcher takes over from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.async_calls import AsyncCalls, timeout_of, wants_schema
from imagestore_sim.rest.authentication import Authentication, Signed
from imagestore_sim.rest.binding import Body, Values, bind_tags, parse_body
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.encoding import to_json
from imagestore_sim.rest.errors import ApiError, PlainError
from imagestore_sim.rest.identity import Claim, Identity
from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.origins import is_foreign, is_unasked
from imagestore_sim.rest.request_body import read_body
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.request_target import Target
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.responses import error_response, json_response
from imagestore_sim.rest.routing import PathMatch, Router, check_method
from imagestore_sim.tasks import by_size

S = TypeVar("S")


class KeptAnswer(NamedTuple):
    """The body of an earlier answer, the API that it is of, and the account that asks now."""

    body: bytes
    api: str
    account: str


class RestApi(Generic[S]):
    """Answers the calls below `/v1`."""

    def __init__(
        self,
        *,
        find_router: Callable[[], Router],
        authentication: Authentication,
        dispatcher: Dispatcher[S],
        async_calls: AsyncCalls[S],
        response_cache: ResponseCache,
        leniency: Leniency,
    ) -> None:
        self._find_router = find_router
        self._authentication = authentication
        self._dispatcher = dispatcher
        self._async_calls = async_calls
        self._response_cache = response_cache
        self._leniency = leniency

    @cached_property
    def _router(self) -> Router:
        """Finds the APIs of a path. It is made at the first call, since a start needs none."""
        return self._find_router()

    async def find_cached(self, request: web.BaseRequest, context: RequestContext) -> web.Response | None:
        """Return the response from the cache, and extend the session; None for a request that has to be carried out."""
        authorization = request.headers.get("Authorization", "")
        if not _is_plain_get(request) or not authorization.startswith("OAuth"):
            return None
        session = authorization.removeprefix("OAuth").strip()
        identity = await self._dispatcher.recognize(session)
        if identity is None:
            return None
        key = (identity, request.raw_path)
        if context.faults is not None and context.faults.may_meet(self._response_cache.label(key)):
            return None
        found = self._response_cache.find(key)
        if found is None:
            return None
        body, context.api = found
        context.account = identity.account_uuid
        self._dispatcher.extend(session)  # nothing was waited for since it was recognized
        return json_response(200, body)

    def find_at_once(self, path: str, session: str) -> KeptAnswer | None:
        """Return what `find_cached` would answer a plain GET with, where no fault is set; None if it has to wait."""
        identity = self._dispatcher.recognize_at_once(session)
        if identity is None or (found := self._response_cache.find((identity, path))) is None:
            return None
        self._dispatcher.extend(session)
        return KeptAnswer(*found, identity.account_uuid)

    async def answer(self, request: web.BaseRequest, target: Target, context: RequestContext) -> web.Response:
        """Answer a call or a poll. Raise PlainError and ContainerError where ZStack does not get to the API."""
        check_method(request.method)
        path = target.segments
        if len(path) == 2 and path[0] == POLLS and path[1]:
            context.api = POLLS
            context.job = path[1]
            if context.faults is not None:
                await context.faults.reached()
            return await self._async_calls.poll(request, path[1])
        return await self._call(request, target, self._router.find(path, target.shown), context)

    async def _call(
        self, request: web.BaseRequest, target: Target, matched: PathMatch, context: RequestContext
    ) -> web.Response:
        context.body = raw = await read_body(request, self._leniency)
        size = len(raw)
        body = await by_size(size, parse_body, raw)
        context.body = b"" if body is None else body
        candidate = matched.choose(request.method, request.raw_path.partition("?")[0], body)
        message = candidate.message
        context.api = message.__name__
        if message.api.method != "GET" and is_unasked(request) and is_foreign(request):
            raise PlainError(403, "requests sent by pages of another origin are refused")
        claim = await self._claim(request, target) if message.api.authenticated else None
        context.account = await self._dispatcher.account_of(claim)
        context.session = claim if isinstance(claim, str) else None
        values = await by_size(size, message.bind, request.method, _pairs(request), body, matched.variables(candidate))
        if message.always_with_schema:  # a query, which ignores all special headers
            values = await _meet_faults(context, message, values)
            cached = message.cacheable and _is_plain_get(request) and not context.meets_faults
            return await self._answer_now(request, message, values, claim, None, cached=cached)
        job = await self._async_calls.job_uuid(request)
        milliseconds = timeout_of(request, message, body)
        values |= await by_size(size, _top_level_tags, request.method, body)
        context.job = None if message.api.sync else job
        values = await _meet_faults(context, message, values)
        if message.api.sync:
            return await self._answer_now(request, message, values, claim, job, cached=False)
        return await self._async_calls.start(request, message, values, claim, job, milliseconds, context.faulted_job)

    async def _claim(self, request: web.BaseRequest, target: Target) -> Claim:
        signed = Signed(request.method, self._authentication.date_of(request.headers), (target.sent, target.shown))
        return await self._authentication.claim(request.headers.get("Authorization"), signed)

    async def _answer_now(
        self,
        request: web.BaseRequest,
        message: type[Message],
        values: Values,
        claim: Claim,
        message_uuid: str | None,
        *,
        cached: bool,
    ) -> web.Response:
        """Answer a synchronous call: 200, or 503 with an error. `cached`: by way of the cache.

        The message gets a new uuid if it is carried out and has none.
        """

        async def work(claim: Claim) -> bytes:
            reply = await self._dispatcher.carry_out(message, values, message_uuid or new_uuid("request"), claim)
            if message.always_with_schema or wants_schema(request):
                return to_json({**reply.body, "schema": dict(reply.schema)})
            return to_json(dict(reply.body))

        try:
            if not cached:
                return json_response(200, await work(claim))
            identity = await self._dispatcher.identify(claim)
            return json_response(200, await self._cached(request, message, values, identity, partial(work, identity)))
        except ApiError as failure:
            return error_response(failure)

    async def _cached(
        self,
        request: web.BaseRequest,
        message: type[Message],
        values: Values,
        identity: Identity,
        work: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        """Return the body by way of the cache: that of this request, or of one that asked the same in other words."""
        make = work
        if "?" in request.raw_path:
            make = partial(self._response_cache.get, (identity, f"{message.__name__} {values!r}"), work)
        return await self._response_cache.get((identity, request.raw_path), make, message.__name__)


async def _meet_faults(context: RequestContext, message: type[Message], values: Values) -> Values:
    """Let the faults act that a call meets; return its values as they leave them. Raise Settled."""
    return values if context.faults is None else await context.faults.reached(message, values)


def _is_plain_get(request: web.BaseRequest) -> bool:
    """Return whether the response depends on nothing but path, query string and session."""
    return request.method == "GET" and not request.body_exists


def _pairs(request: web.BaseRequest) -> list[tuple[str, str]]:
    _, _, query = request.raw_path.partition("?")
    return parse_qsl(query, keep_blank_values=True) if query else []


def _top_level_tags(method: str, body: Body) -> Values:
    return {} if method in ("GET", "DELETE") else bind_tags(body)
