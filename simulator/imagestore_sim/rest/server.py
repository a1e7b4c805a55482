"""The entry to the API: every request for `/zstack/…` or `/v1/…`, its errors, its metrics, and its row in the journal.

`RestServer.answer` writes the row. The path decides which API answers: `rest_api` or `legacy_api`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Generic, TypeVar

from aiohttp import web

from imagestore_sim.clock import Clock
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.masking import masked_path
from imagestore_sim.rest.async_calls import AsyncCalls
from imagestore_sim.rest.authentication import Authentication
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.errors import ContainerError, PlainError, internal_error
from imagestore_sim.rest.faulted_request import HEADER, NO_STATUS, PAST_FAULTS, FaultedRequest, Settled
from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.journal import NOT_READ, Journal, RawHeaders
from imagestore_sim.rest.legacy_api import LegacyApi
from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.messages import Handlers
from imagestore_sim.rest.node_faults import NodeFaults
from imagestore_sim.rest.origins import address_of, client_address
from imagestore_sim.rest.request_body import read_body
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.request_target import Place, Redirect, read_target
from imagestore_sim.rest.response_cache import ResponseCache
from imagestore_sim.rest.responses import (
    JSON,
    container_response,
    error_code,
    error_response,
    json_response,
    text_response,
)
from imagestore_sim.rest.rest_api import RestApi
from imagestore_sim.rest.routing import Router
from imagestore_sim.web_server import NoRoomForBody, connection_of, whole_answer

logger = logging.getLogger(__name__)
S = TypeVar("S")
Answer = TypeVar("Answer")
BODY_LIMIT = 2 * 1024 * 1024
"""The most bytes that the body of a request may have; a servlet container has the same limit."""
ObserveRequest = Callable[[str, int, float], None]
"""Called with the API that a request was for (empty if none), the HTTP status of the response, and the seconds it took.
"""


@dataclass(frozen=True, kw_only=True)
class Dependencies(Generic[S]):
    """What the server works with.

    `observe` is called for every request but those answered from the cache, which counts these itself.
    """

    clock: Clock
    authentication: Authentication
    dispatcher: Dispatcher[S]
    async_calls: AsyncCalls[S]
    legacy_api: LegacyApi[S]
    response_cache: ResponseCache
    leniency: Leniency
    journal: Journal
    faults: NodeFaults
    observe: ObserveRequest


class RestServer(Generic[S]):
    """Answers everything below `/zstack/v1` and `/v1`, and the legacy API below `/zstack/api`."""

    def __init__(self, handlers: Handlers[S], dependencies: Dependencies[S]) -> None:
        self._rest_api = RestApi(
            find_router=lambda: Router.of(handlers.declared(), dependencies.leniency),
            authentication=dependencies.authentication,
            dispatcher=dependencies.dispatcher,
            async_calls=dependencies.async_calls,
            response_cache=dependencies.response_cache,
            leniency=dependencies.leniency,
        )
        self._legacy_api = dependencies.legacy_api
        self._leniency = dependencies.leniency
        self._clock = dependencies.clock
        self._journal = dependencies.journal
        self._faults = dependencies.faults
        self._observe = dependencies.observe
        self._authentication = dependencies.authentication

    def refuses_date(self, date: str, skew: float) -> bool:
        """Return whether the date of a signed request is wrong for a clock that is `skew` seconds ahead."""
        return self._authentication.refuses(date, skew)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, and write its row in the journal.

        Raise ConnectionError if the client is gone, or a fault has ended its connection.
        """
        context = RequestContext(connection_of(request))
        began = self._clock.monotonic()
        if request.method in ("POST", "PUT"):
            client_address.set(address_of(request))
        if self._faults.is_empty or request.headers.get(HEADER) == PAST_FAULTS:
            response = await self._respond(request, self._answer(request, context))
            self._note(request, context, response, began)
            return response
        faulted = context.faults = FaultedRequest(self._faults, request, context)
        sent = await self._respond_with_faults(request, context, faulted)
        self._note(request, context, sent, began, faulted.ids)
        return await faulted.send(sent)

    def answer_at_once(self, path: str, headers: RawHeaders, session: str, client: str) -> bytes | None:
        """Return the whole answer to a GET of a path without a body, as it is sent, if nothing has to be waited for.

        Return None for a request that has to wait, that fails, or that may meet a fault. `client` is its address.
        """
        began = self._clock.monotonic()
        if not self._faults.is_empty or (answer := self._rest_api.answer_at_once(path, session)) is None:
            return None
        ended = self._clock.monotonic()
        if not answer.was_kept:
            self._observe(answer.api, 200, ended - began)
        self._journal.add(
            ended=ended,
            method="GET",
            path=path,
            status=200,
            seconds=ended - began,
            account=answer.account,
            job=None,
            body=None,
            headers=headers,
            client=client,
            api=answer.api,
        )
        return whole_answer(200, "OK", JSON, answer.body)

    async def _respond_with_faults(
        self, request: web.BaseRequest, context: RequestContext, faulted: FaultedRequest
    ) -> web.Response | None:
        """Return the response that the faults let a request have, None if it gets none."""
        response = None
        try:
            response = await self._respond(request, self._answer(request, context))
        except Settled:
            if context.api != POLLS:
                context.job = None  # it has not begun
        finally:
            await faulted.carried_out()
        return await self._respond(request, faulted.finish(response))

    def _note(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        response: web.Response | None,
        began: float,
        faults: tuple[str, ...] = (),
    ) -> None:
        """Count a request that is answered, and write its row in the journal; without a response, the row alone."""
        ended = self._clock.monotonic()
        status = NO_STATUS if response is None else response.status
        if context.began is not None and response is not None:
            self._observe(context.api, status, ended - context.began)
        self._journal.add(
            ended=ended,
            method=request.method,
            path=request.raw_path,
            status=status,
            seconds=ended - began,
            account=context.account,
            job=context.job,
            body=NOT_READ if context.body is None and request.body_exists else context.body,
            headers=request.raw_headers,
            client=request.remote or "",
            api=context.api,
            error=None if response is None or status < HTTPStatus.BAD_REQUEST else error_code(response),
            faults=faults,
        )

    async def _respond(self, request: web.BaseRequest, answer: Awaitable[Answer]) -> web.Response | Answer:
        """Wait for the answer to a request, and turn every failure into its response."""
        try:
            return await answer
        except PlainError as error:
            return text_response(error.status, error.text)
        except ContainerError as error:
            return container_response(error)
        except Redirect as redirect:
            return web.Response(status=302, headers={"Location": redirect.location})
        except web.HTTPRequestEntityTooLarge:
            text = f"the body exceeds the limit of {BODY_LIMIT} bytes"
            return text_response(413, text)
        except NoRoomForBody as error:
            response = error_response(internal_error(error.text))
            response.headers["Retry-After"] = error.headers["Retry-After"]
            return response
        except web.HTTPException as error:  # the body was cut off, or its encoding is invalid
            return text_response(error.status, error.text)
        except (ConnectionError, Settled):
            raise
        except StoreUnavailable as error:  # the store itself logs it
            return error_response(internal_error(str(error)))
        except Exception as error:
            logger.exception("%s %s went wrong", request.method, masked_path(request.raw_path))
            return text_response(500, str(error))

    async def _answer(self, request: web.BaseRequest, context: RequestContext) -> web.Response:
        cached = await self._rest_api.find_cached(request, context)
        if cached is not None:
            return cached
        context.began = self._clock.monotonic()
        raw_path, _, raw_query = request.raw_path.partition("?")
        target = read_target(raw_path, raw_query, self._leniency)
        if target.place is Place.REST:
            return await self._rest_api.answer(request, target, context)
        body = None
        if target.place is Place.LEGACY:
            read = partial(read_body, request, self._leniency)
            body = await self._legacy_api.answer(request.method, target.shown, read, context)
        if body is None:
            raise ContainerError(404, f"nothing is served at {target.shown}")
        return json_response(200, body)
