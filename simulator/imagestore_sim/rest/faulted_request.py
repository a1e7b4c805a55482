"""One request while faults are set: which of them it meets, what they do to it, and how its answer goes out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from random import Random

from aiohttp import web

from imagestore_sim.faults import Meets
from imagestore_sim.faults.exchange import Answer, Loss, Point, Sending
from imagestore_sim.faults.selection import Subject
from imagestore_sim.masking import masked_path
from imagestore_sim.rest.authentication import DATE_HEADER, DATE_HEADER_OF_PAGES, KEY_SCHEME
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.errors import DESCRIPTIONS, ApiError, ErrorCode
from imagestore_sim.rest.faulted_job import FaultedJob
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.node_faults import AppliedNodeFault, NodeActions, NodeFaults
from imagestore_sim.rest.past_reads import PastReads
from imagestore_sim.rest.request_context import RequestContext
from imagestore_sim.rest.responses import closing, error_response, text_response
from imagestore_sim.web_server import ANSWER_SECONDS, Connection

HEADER = "X-Lab-Fault"
PAST_FAULTS = "none"
"""In that header of a request: it meets no fault, so that a test can see how things are."""
WITHOUT_BODY = (204, 304)
"""Statuses whose answers end with their head: the bytes of a body would be read as the next answer."""
NO_STATUS = 0
"""The status of a request in the journal that got no answer."""
UUID = re.compile("[0-9a-f]{32}")
MOST_UUIDS = 100
"""Uuids in the parameters of one request that are looked up."""
FLIGHT_SECONDS = 0.02
"""Real seconds for the first bytes of an answer to arrive, before the reset that would overtake them."""
API_PATHS = ("/zstack", "/v1")
UNKNOWN_CODE = "An error that ZStack does not know"
RenderError = Callable[[ApiError], bytes]


class Settled(Exception):
    """Faults have answered a request, or lost it: it is not carried out."""


class FaultedRequest:
    """A request and its answer, as faults see it (`faults.exchange.Exchange`)."""

    def __init__(self, faults: NodeFaults, request: web.BaseRequest, context: RequestContext) -> None:
        self._faults = faults
        self._request = request
        self._context = context
        self._met: list[AppliedNodeFault] = []
        self._acting: AppliedNodeFault | None = None
        self._subject: Subject | None = None
        self._message: type[Message] | None = None
        self._values: Values = {}
        self._render: RenderError | None = None
        self._answer: Answer | None = None
        self._replaced = False
        self._lost: tuple[Loss, AppliedNodeFault] | None = None
        self._sending = Sending()
        self._slow: list[tuple[AppliedNodeFault, float, int]] = []
        """For each fault that slows the body down: seconds, and pieces."""
        self._reading = AsyncExitStack()
        """What the reads of the call need, until it is carried out."""
        self._past: PastReads | None = None
        self.job: FaultedJob | None = None
        """What faults do to the job of the call; None: nothing."""
        self._passed = False
        """Whether no fault can meet it."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the faults that the request has met, the oldest first."""
        return tuple(applied.id for applied in self._met)

    def may_meet(self, api: str | None) -> bool:
        """Return whether a request that is answered from the cache may meet a fault; `api` is None if it is not."""
        if api is None:
            return True
        request = self._request
        seen = Subject(method=request.method, path=request.raw_path, client="", user_agent="", api=api)
        self._passed = not any(applied.fault.when.may_match(seen) for applied in self._faults)
        return not self._passed

    async def reached(
        self,
        message: type[Message] | None = None,
        values: Values | None = None,
        render: RenderError | None = None,
    ) -> Values:
        """Let the faults act that the request meets, before it is carried out; return its parameters.

        A poll has no message. `render` writes errors in the form of the API that was called. Raise Settled.
        """
        self._message, self._values, self._render = message, values or {}, render
        self._subject = await self._describe(message)
        self._met = self._faults.meeting(self._subject)
        for applied in self._met:
            applied.users += 1
            self._reading.callback(self._faults.release, applied)
        await self._faults.record_hits(self._met, self._event(self._subject))
        for applied in self._met:
            if self._lost is None:
                self._acting = applied
                await applied.fault.before(self)
        if self._replaced or self._lost is not None:
            raise Settled
        if self._past is not None:
            await self._reading.enter_async_context(self._past.reading())
        return self._values

    async def carried_out(self) -> None:
        """Let the reads of the task see the present again, and the faults be undone: the call was carried out."""
        await self._reading.aclose()

    async def finish(self, response: web.Response | None) -> web.Response | None:
        """Let the faults act on the response of a request that was carried out; return that to send, None if none is.

        `response` is None if the request was not carried out.
        """
        if self._passed or not self._request.raw_path.startswith(API_PATHS):
            return response
        if self._subject is None and response is not None:  # it has reached no API
            try:
                await self.reached()
            except Settled:
                response = None
            await self.carried_out()
        if not self._met:
            return response
        if not self._replaced and response is not None:
            self._answer = _answer_of(response)
        for applied in self._met:
            if self._lost is None:
                self._acting = applied
                await applied.fault.after(self)
        return None if self._lost is not None else self._response()

    async def send(self, response: web.Response | None) -> web.StreamResponse:
        """Send the response as the faults want it, or end the connection. Raise ConnectionError after that."""
        sending = self._sending
        if self._lost is not None:
            await self._end(*self._lost)
        if response is None:
            raise ConnectionResetError("the request was lost")
        head_only = self._request.method == "HEAD"
        if sending.reset_after is not None:
            await self._send_part(_head(response) + (b"" if head_only else _body(response)), sending.reset_after)
            self._connection.reset()
            raise ConnectionResetError("the answer was cut by a reset")
        if head_only:
            return response
        if sending.close_after is not None:
            head = _head(response)
            await self._send_part(head + _body(response), len(head) + sending.close_after)
            self._connection.force_close()
            raise ConnectionAbortedError("the answer was truncated")
        return await self._send_slowly(response) if self._slow else response

    # What faults see: faults.exchange.Exchange

    @property
    def subject(self) -> Subject:
        """Return what a selection sees of the request. Raise RuntimeError before that is known."""
        if self._subject is None:
            raise RuntimeError("the request has not been read")
        return self._subject

    @property
    def random(self) -> Random:
        """Return the random numbers of the fault that acts."""
        return self._current.random

    @property
    def answer(self) -> Answer:
        """Return the answer, to change. Raise RuntimeError before there is one."""
        if self._answer is None:
            raise RuntimeError("the request has no answer yet")
        return self._answer

    @property
    def sending(self) -> Sending:
        """Return how the answer goes out, to change."""
        return self._sending

    def slow_down(self, seconds: float, pieces: int) -> None:
        """Let the body take `seconds` longer, in at least `pieces`."""
        self._slow.append((self._current, seconds, pieces))

    def replace(self, answer: Answer) -> None:
        """Answer this, unless an earlier fault has replaced the answer."""
        if not self._replaced:
            self._answer, self._replaced = answer, True

    def fail(self, code: str, description: str | None, details: str) -> None:
        """Answer an error of ZStack in the form of the API that was called, unless the answer was replaced."""
        failure = _failure(code, description, details)
        if self._render is None:
            self.replace(_answer_of(error_response(failure)))
        else:
            content_type = "application/json; charset=utf-8"
            self.replace(Answer(200, self._render(failure), {"Content-Type": content_type}))

    def refuse(self, status: int, text: str) -> None:
        """Answer a plain text, unless the answer was replaced."""
        self.replace(_answer_of(text_response(status, text)))

    def begins_job(self) -> bool:
        """Return whether the request is an asynchronous call."""
        return self._message is not None and not self._message.api.sync

    def hold_job(self, point: Point, seconds: float | None) -> None:
        """Let the job of the call wait before its work, or after it."""
        self._planned_job().hold(point, self._current, seconds)

    def fail_job(self, point: Point, code: str, description: str | None, details: str) -> None:
        """End the job of the call with an error, unless an earlier fault does."""
        self._planned_job().fail(point, _failure(code, description, details))

    def lose_job(self, point: Point) -> None:
        """Forget the job of the call from its start, or at its end."""
        job = self._planned_job()
        job.lost = job.lost or point

    async def end_sessions(self, *, everyone: bool) -> None:
        """End the session of the caller, or all. Raise StoreUnavailable."""
        if everyone:
            await self._actions.end_all_sessions()
        elif self._context.session is not None:
            await self._actions.end_session(self._context.session)

    def refuses_signature(self, skew: float) -> bool:
        """Return whether the request is signed, and its date is wrong for a clock that is `skew` seconds ahead."""
        headers = self._request.headers
        is_signed = headers.get("Authorization", "").strip().startswith(KEY_SCHEME)
        date = headers.get(DATE_HEADER, headers.get(DATE_HEADER_OF_PAGES))
        return is_signed and date is not None and self._actions.refuses_date(date, skew)

    def now(self) -> datetime:
        """Return the time of the node's clock, in UTC."""
        return datetime.fromtimestamp(self._faults.clock.time(), UTC)

    def node_uuid(self) -> str:
        """Return the uuid of the management node."""
        return self._actions.uuid

    async def restart_node(self) -> None:
        """Leave the node as a restart leaves it. Reset every other connection that carries ZStack's API."""
        await self._actions.restart(self._connection)

    def shift_page(self, rows: int) -> None:
        """Let a query begin that many rows later, or earlier if negative."""
        if self._message is not None:
            self._values = self._message.shift_page(self._values, rows)

    def read_past(self) -> None:
        """Let the call read what the fault has remembered; of several, the one that was set last counts."""
        self._past = self._current.past or self._past

    def lose(self, how: Loss) -> None:
        """End the connection without an answer."""
        self._lost = how, self._current

    async def wait(self, seconds: float) -> None:
        """Wait on the clock, but no longer than the fault that acts lasts, or the connection."""
        await self._faults.hold(self._current, seconds, self._connection.lost())

    async def wait_until_healed(self) -> None:
        """Wait until the fault that acts is healed, or the connection is lost."""
        await self._faults.hold(self._current, gone=self._connection.lost())

    def _planned_job(self) -> FaultedJob:
        if self.job is None:
            self.job = FaultedJob(self._faults)
        return self.job

    @property
    def _actions(self) -> NodeActions:
        assert self._faults.actions is not None, "the store is open, as a request is served"
        return self._faults.actions

    @property
    def _current(self) -> AppliedNodeFault:
        assert self._acting is not None, "a fault acts"
        return self._acting

    @property
    def _connection(self) -> Connection:
        protocol = self._request.protocol
        assert isinstance(protocol, Connection), "web_server makes all connections"
        return protocol

    async def _describe(self, message: type[Message] | None) -> Subject:
        """Return what a selection sees of the request. Ask the store only for what faults select by."""
        request, context, facts = self._request, self._context, self._faults.facts
        whens = [applied.fault.when for applied in self._faults]
        account = [] if context.account is None else [context.account]
        if facts is not None and account and any(when.account is not None for when in whens):
            account += [name for name in [await facts.account_name(account[0])] if name is not None]
        statuses: list[str] = []
        if facts is not None and any(when.storage_status is not None for when in whens):
            named = dict.fromkeys(uuid for text in _texts(self._values) for uuid in UUID.findall(text))
            statuses = await facts.storage_statuses(list(named)[:MOST_UUIDS])
        return Subject(
            method=request.method,
            path=request.raw_path,
            client=request.remote or "",
            user_agent=request.headers.get("User-Agent", ""),
            connection=self._connection.number,
            api=context.api,
            roles=_roles(message, self._values, in_session=context.session is not None),
            account=tuple(account),
            storage_statuses=tuple(statuses),
        )

    def _event(self, subject: Subject) -> Mapping[str, object]:
        context = self._context
        return {
            "method": subject.method,
            "path": masked_path(subject.path),
            "api": subject.api,
            "account": context.account,
            "job": context.job,
        }

    def _response(self) -> web.Response:
        answer = self.answer
        headers = {**answer.headers, HEADER: ", ".join(self.ids)}
        body = b"" if answer.status in WITHOUT_BODY else answer.body
        return closing(web.Response(status=answer.status, body=body, headers=headers))

    async def _end(self, how: Loss, applied: AppliedNodeFault) -> None:
        if how is Loss.RESET:
            self._connection.reset()
            return
        if how is Loss.SILENCE:
            await self._faults.hold(applied, gone=self._connection.left())
        self._connection.force_close()

    async def _send_part(self, data: bytes, size: int) -> None:
        """Send the first `size` bytes, and give them time to arrive."""
        transport = self._connection.transport
        if transport is not None:
            transport.write(data[:size])
            # Real, since bytes travel in real time; and in a thread, for which a virtual clock waits.
            await asyncio.to_thread(time.sleep, FLIGHT_SECONDS)  # real: the bytes are in the kernel

    async def _send_slowly(self, response: web.Response) -> web.StreamResponse:
        body = _body(response)
        slow = web.StreamResponse(status=response.status, headers=response.headers)
        slow.content_length = len(body)
        await slow.prepare(self._request)
        size = max(1, -(-len(body) // max(pieces for _, _, pieces in self._slow)))
        starts = range(0, len(body), size)
        for start in starts:
            for applied, seconds, _ in self._slow if start else ():
                await self._faults.hold(applied, seconds / (len(starts) - 1), self._connection.lost())
            async with asyncio.timeout(ANSWER_SECONDS):  # real: the client is
                await slow.write(body[start : start + size])
        await slow.write_eof()
        return slow


def _roles(message: type[Message] | None, values: Values, *, in_session: bool) -> frozenset[Meets]:
    found = {Meets.REQUEST}
    if message is not None:
        found |= {Meets.CALL}
        if message.begins_session:
            found |= {Meets.LOGIN}
        if in_session and message.api.authenticated:
            found |= {Meets.SESSION_CALL}
    if message is not None and message.always_with_schema:
        found |= {Meets.QUERY} if message.first_row(values) == 0 else {Meets.QUERY, Meets.LATER_PAGE}
    elif message is not None and not message.api.sync:
        found |= {Meets.ASYNC_CALL}
    return frozenset(found)


def _texts(value: object) -> Iterable[str]:
    """Yield the texts in the parameters of a message; of an object such as a query, its text form."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif value is not None and not isinstance(value, bool | int | float):
        yield str(value)


def _failure(code: str, description: str | None, details: str) -> ApiError:
    return ApiError(ErrorCode(code, details, description=description or DESCRIPTIONS.get(code, UNKNOWN_CODE)))


def _answer_of(response: web.Response) -> Answer:
    return Answer(response.status, _body(response), dict(response.headers))


def _body(response: web.Response) -> bytes:
    body = response.body
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def _head(response: web.Response) -> bytes:
    """Return the head of a response as it is sent."""
    headers = {**response.headers, "Content-Length": str(len(_body(response)))}
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
