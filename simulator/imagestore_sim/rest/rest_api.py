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

from imagestore_sim.at_once import run_at_once, runs_at_once
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.async_calls import AsyncCalls, timeout_of, wants_schema
from imagestore_sim.rest.authentication import Authentication, Signed
from imagestore_sim.rest.binding import Body, Values, bind_tags, parse_body
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.encoding import to_json, work_of
from imagestore_sim.rest.errors import ApiError, ContainerError, PlainError
from imagestore_sim.rest.identity import Claim, Identity
from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.messages import Message, Reply
from imagestore_sim.rest.origins import is_foreign, is_unasked
from imagestore_sim.rest.request_body import read_body
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.request_target import Place, Redirect, Target, read_target
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.responses import error_response, json_response
from imagestore_sim.rest.routing import PathMatch, Router, check_method
from imagestore_sim.tasks import by_size

S = TypeVar("S")
LONGEST_AT_ONCE = 1024
"""The longest path with its query string, in characters, that is read before a request is made of it."""

NOT_DRAWN = ""
"""The uuid of a query's message that is carried out at once: nothing shows it."""


class AnswerAtOnce(NamedTuple):
    """The body of an answer that was not waited for, the API that it is of, and the account that asks."""

    body: bytes
    api: str
    account: str
    was_kept: bool
    """Whether it is that of an earlier answer."""


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

    def answer_at_once(self, path: str, session: str) -> AnswerAtOnce | None:
        """Return the answer to a plain GET where no fault is set: a kept one, or that of a query that need not wait.

        Return None for all else, errors too.
        """
        identity = self._dispatcher.recognize_at_once(session)
        if identity is None:
            return None
        kept = self._response_cache.find((identity, path))
        found = kept or self._query_at_once(path, identity)
        if found is None:
            return None
        self._dispatcher.extend(session)
        body, api = found
        return AnswerAtOnce(body, api, identity.account_uuid, was_kept=kept is not None)

    def _query_at_once(self, path: str, identity: Identity) -> tuple[bytes, str] | None:
        """Return the body of a query and its API, as `_call` would make it; None for all else."""
        if len(path) > LONGEST_AT_ONCE:
            return None
        raw_path, _, raw_query = path.partition("?")
        try:
            target = read_target(raw_path, raw_query, self._leniency)
            if target.place is not Place.REST:
                return None
            matched = self._router.find(target.segments, target.shown)
            candidate = matched.choose("GET", raw_path, None)
            message = candidate.message
            if not message.cacheable:
                return None
            values = message.bind("GET", _pairs(raw_query), None, matched.variables(candidate))
            body = run_at_once(self._cached(path, message, values, identity))
        except (ApiError, PlainError, ContainerError, Redirect):
            return None
        return None if body is None else (body, message.__name__)

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
        raw_path, _, raw_query = request.raw_path.partition("?")
        candidate = matched.choose(request.method, raw_path, body)
        message = candidate.message
        context.api = message.__name__
        if message.api.method != "GET" and is_unasked(request) and is_foreign(request):
            raise PlainError(403, "requests sent by pages of another origin are refused")
        claim = await self._claim(request, target) if message.api.authenticated else None
        context.account = await self._dispatcher.account_of(claim)
        context.session = claim if isinstance(claim, str) else None
        values = await by_size(
            size, message.bind, request.method, _pairs(raw_query), body, matched.variables(candidate)
        )
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
        with_schema = message.always_with_schema or wants_schema(request)
        try:
            if not cached:
                body = await self._body(message, values, message_uuid, claim, with_schema=with_schema)
            else:
                identity = await self._dispatcher.identify(claim)
                body = await self._cached(request.raw_path, message, values, identity)
            return json_response(200, body)
        except ApiError as failure:
            return error_response(failure)

    async def _body(
        self, message: type[Message], values: Values, message_uuid: str | None, claim: Claim, *, with_schema: bool
    ) -> bytes:
        """Carry out a synchronous call, and return the body of its answer."""
        at_once = runs_at_once()
        uuid = message_uuid or (NOT_DRAWN if at_once else new_uuid("request"))
        reply = await self._dispatcher.carry_out(message, values, uuid, claim)
        if at_once:
            new_uuid("request")  # after the fact: a call that has to wait draws one when it is made again
        return await by_size(work_of(reply.body), _written, reply, with_schema)

    async def _cached(self, path: str, message: type[Message], values: Values, identity: Identity) -> bytes:
        """Return the body of a query, by way of the cache: kept for this path, or for the same in other words."""
        make: Callable[[], Awaitable[bytes]] = partial(self._body, message, values, None, identity, with_schema=True)
        if "?" in path:
            make = partial(self._response_cache.get, (identity, f"{message.__name__} {values!r}"), make)
        return await self._response_cache.get((identity, path), make, message.__name__)


def _written(reply: Reply, with_schema: bool) -> bytes:
    return to_json({**reply.body, "schema": dict(reply.schema)} if with_schema else dict(reply.body))


async def _meet_faults(context: RequestContext, message: type[Message], values: Values) -> Values:
    """Let the faults act that a call meets; return its values as they leave them. Raise Settled."""
    return values if context.faults is None else await context.faults.reached(message, values)


def _is_plain_get(request: web.BaseRequest) -> bool:
    """Return whether the response depends on nothing but path, query string and session."""
    return request.method == "GET" and not request.body_exists


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True) if query else []


def _top_level_tags(method: str, body: Body) -> Values:
    return {} if method in ("GET", "DELETE") else bind_tags(body)
