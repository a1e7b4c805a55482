"""The connections of clients, and the server that makes them."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.http_exceptions import BadHttpMethod, PayloadEncodingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from imagestore_sim.web_server.answers import error_page, problem
from imagestore_sim.web_server.body_room import BodyRoom
from imagestore_sim.web_server.first_line import first_line
from imagestore_sim.web_server.known_heads import Known, KnownHeads
from imagestore_sim.web_server.parser import Parser
from imagestore_sim.web_server.requests import Request, factory
from imagestore_sim.web_server.whole_response import WholeResponse

logger = logging.getLogger(__name__)
HEAD_SECONDS = 20.0
"""Real seconds that a client may take for the head of a request, as in a servlet container."""
ANSWER_SECONDS = 60.0
"""Real seconds that a client may take to read the answer."""
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing such a socket resets its connection."""
EXCERPT = re.compile(r"[\s:]*(?:\bb['\"]|\S*/)")
"""Where the excerpt of the request begins in aiohttp's messages. It may hold a session, so it is not logged."""
METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
REQUEST_LINE = re.compile(r"b['\"]([!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}) [!-~]")
"""A request line with an unknown method, as aiohttp's message quotes it. The bound keeps the time linear."""
TARGET = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255} (/[!-~]{0,100})")
"""The beginning of a request, with its method and the first characters of its target."""
JSON_PATHS = ("/lab/",)
"""The paths of an API whose errors are JSON, those too that come before a request is read."""
AnswerAtOnce = Callable[[str, "Connection"], bytes | None]
"""Returns the whole answer to a GET of a path that needs no more than a look into memory; None for one to be handled.

It gets the path with its query string as sent, and the connection.
"""
AtOnce = Callable[[Request], AnswerAtOnce | None]
"""Returns what answers GETs that have the headers of this request; None if they are to be handled."""


class Connection(RequestHandler):
    """One connection of a client, which may be half closed, slow or silent."""

    made: ClassVar[int] = 0
    """How many connections there have been in this process."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, auto_decompress=False, **options)  # Request unpacks its body itself
        Connection.made += 1
        self.number = Connection.made
        """Its place among the connections of this process, counted from 1."""
        self.latest_path = ""
        """The path of the latest request on it."""
        self._left: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._half_closed = False
        self._answered = 0
        self._latest_body: StreamReader | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._parser: Any = Parser(self._parser, self._answer_at_once, self._broken)
        self._broken_target = ""
        """The target of the latest request that could not be read."""
        self._has_broken_body = False
        self._was_answered_at_once = False
        """Whether what has just come was a request that was answered at once."""
        self._is_to_be_handled = False
        """Whether what has just come is a request that could not be answered at once."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._expect_head()

    def left(self) -> asyncio.Future[None]:
        """Return a future that is done once the client has closed its side, or the connection is lost."""
        if self._left is None:
            self._left = self._loop.create_future()
            if self._half_closed or self.transport is None:
                self._left.set_result(None)
        return self._left

    def lost(self) -> asyncio.Future[None]:
        """Return a future that is done once the connection is lost."""
        if self._lost is None:
            self._lost = self._loop.create_future()
            if self.transport is None:
                self._lost.set_result(None)
        return self._lost

    @cached_property
    def client(self) -> str:
        """The address of the client; empty once it has gone, or if it has none."""
        name = self.peername
        return str(name[0] if isinstance(name, (list, tuple)) else name or "")

    def reset(self) -> None:
        """End the connection by a TCP reset."""
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.transport.abort()

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_is_there()
        _finish(self._left)
        _finish(self._lost)
        super().connection_lost(exc)
        if self._latest_body is not None and not self._request_in_progress:
            self._latest_body.feed_eof()  # no handler reads it: do not wait for the rest

    @override
    def data_received(self, data: bytes) -> None:
        known = self._known(data) if self._parser.is_between else None
        if known is not None and self._send_at_once(known.found, known.path):
            self._head_is_there()
            return
        self._is_to_be_handled = known is not None
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._latest_body = self._messages[-1][1]
            self._head_is_there()
        elif self._was_answered_at_once:
            self._was_answered_at_once = False
            self._head_is_there()
        elif self._waiter is not None and self._head_timer is None:
            self._expect_head()

    def _known(self, data: bytes) -> Known[AnswerAtOnce] | None:
        """Return what is known of a request by its head, without reading that again."""
        server = self._manager
        if self._close or self._force_close or not isinstance(server, Server) or not self._is_idle:
            return None
        return server.known_heads.find(data)

    def _answer_at_once(self, data: bytes, message: RawRequestMessage, body: StreamReader) -> bool:
        """Answer a request here if that is possible; return whether it was. aiohttp takes five times as long.

        `data` is empty if it is not known to be all of the request.
        """
        server = self._manager
        if self._is_to_be_handled or not isinstance(server, Server) or server.at_once is None or not self._is_idle:
            return False
        if body is not EMPTY_PAYLOAD or not _is_plain(message):
            return False
        answer = server.at_once(self._request(message, body)) or _leave
        if data:
            server.known_heads.keep(data, answer)
        self._was_answered_at_once = self._send_at_once(answer, message.path)
        return self._was_answered_at_once

    @property
    def _is_idle(self) -> bool:
        """Whether the client may get an answer now: no other request of it is there, and it has read what it got."""
        waiter, transport = self._waiter, self.transport
        if waiter is None or waiter.done() or self._messages or self._paused:
            return False
        return transport is not None and not transport.is_closing()

    def _send_at_once(self, answer: AnswerAtOnce, path: str) -> bool:
        """Answer a GET of a path, if that is possible; return whether it was."""
        sent = answer(path, self)
        if sent is None or self.transport is None or self._manager is None:
            return False
        self._manager.requests_count += 1
        self.latest_path = path
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self.transport.write(sent)
        return True

    def _request(self, message: RawRequestMessage, body: StreamReader) -> Request:
        assert self._request_factory is not None
        assert self._task_handler is not None
        made = self._request_factory(message, body, self, StreamWriter(self, self._loop), self._task_handler)
        assert isinstance(made, Request)
        return made

    def _expect_head(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_SECONDS, self._give_up_head)  # real: the client is

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_head(self) -> None:
        self._head_timer = None
        if not self._is_busy:
            self.force_close()

    @property
    def _is_busy(self) -> bool:
        """Whether a request has not been answered yet.

        aiohttp's own flag rises only when its task takes the request up. A client that closes before that must not be
        taken for one that waits for no answer.
        """
        return self._request_count > self._answered

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep the connection of a client that has closed its sending side and waits for answers."""
        if not self._is_busy or (self._latest_body is not None and not self._latest_body.is_eof()):
            return None  # no request to answer, or one whose body will never be complete
        self._half_closed = True
        _finish(self._left)
        return True

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: Any
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            if isinstance(request, Request):
                request.leave_room()
            self._answered += 1
            if self._half_closed and not self._messages:
                self._close = True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. Raise ConnectionError if the client does not read it."""
        if isinstance(request, Request):
            request.leave_room()
        if self._has_broken_body or (isinstance(request, Request) and request.waits_for_us):
            resp.force_close()  # a body that was never asked for may arrive later, or never
            self._lingering_time = 0.0
        at_once = isinstance(resp, WholeResponse) and not self._paused and resp.is_whole(request)
        if isinstance(resp, WholeResponse):
            resp.goes_at_once = at_once
        sent = await super().finish_response(request, resp, start_time) if at_once else None
        if sent is not None and not self._paused:
            return sent  # as nearly always: it did not have to wait for the client
        try:
            async with asyncio.timeout(ANSWER_SECONDS):  # real: the client is
                if sent is None:
                    return await super().finish_response(request, resp, start_time)
                await request.writer.drain()
                return sent
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()
            raise ConnectionResetError("the answer was not taken") from None

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an error of this program; a client's mistake, such as an invalid body, is logged as information."""
        if isinstance(kw.get("exc_info"), (web.RequestPayloadError, PayloadEncodingError, ConnectionError)):
            logger.info("%s sent a body that cannot be read: %s", self.peername, first_line(kw["exc_info"]))
            return
        super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an error. Only one of this program is logged as such."""
        if isinstance(exc, ConnectionError):
            raise exc
        if status >= 500:
            logged = super().handle_error(request, status, exc, message)
            text = "an error happened in this program; its log has more"
            return problem(status, text) if request.raw_path.startswith(JSON_PATHS) else logged
        if isinstance(exc, BadHttpMethod) and (line := REQUEST_LINE.search(message or "")) is not None:
            return self._unreadable(405, f"Request method '{line[1]}' not supported", allow=METHODS)
        text = first_line(message or "")
        logger.info("%s sent an invalid HTTP request: %s", request.remote, EXCERPT.split(text)[0])
        return self._unreadable(status, text)

    def _broken(self, data: bytes) -> bool:
        """Follow that what has come cannot be read; return whether it is part of a body, whose reader finds that."""
        body = self._latest_body
        self._has_broken_body = body is not None and body is not EMPTY_PAYLOAD and not body.is_eof()
        if body is not None and self._has_broken_body:
            body.set_exception(PayloadEncodingError("it is not in the form that its head declares"))
            return True
        found = TARGET.match(data)
        self._broken_target = self.latest_path if found is None else found[1].decode()
        return False

    def _unreadable(self, status: int, text: str, *, allow: str = "") -> web.Response:
        """Return the answer to a request that cannot be read, as the API of its target words errors."""
        is_json = self._broken_target.startswith(JSON_PATHS)
        response = problem(status, text) if is_json else error_page(status, text, allow=allow)
        if allow:
            response.headers["Allow"] = allow
        response.force_close()
        return response


class Server(web.Server):
    """Makes a Connection for each client."""

    is_cut_off = False
    """Whether each connection is reset as soon as it is made."""
    at_once: AtOnce | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known_heads: KnownHeads[AnswerAtOnce] = KnownHeads()
        """What answers GETs, by the heads that they have."""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection, or reset it."""
        super().connection_made(handler, transport)
        if self.is_cut_off and isinstance(handler, Connection):
            handler.reset()

    def __call__(self) -> RequestHandler:
        """Return a connection that is to be made."""
        return Connection(self, loop=self._loop, **self._kwargs)


def request_factory(size: int) -> Callable[..., Request]:
    """Return what makes a Request, and notes its path on its connection; `size` is the limit of its body, in bytes."""
    make = factory(size, BodyRoom())

    def made(message: RawRequestMessage, payload: StreamReader, protocol: RequestHandler, *others: Any) -> Request:
        request = make(message, payload, protocol, *others)
        if isinstance(protocol, Connection):
            protocol.latest_path = request.raw_path
        return request

    return made


def connection_of(request: web.BaseRequest) -> Connection | None:
    """Return the connection of a request, None if the client has gone."""
    return request.protocol if isinstance(request.protocol, Connection) else None


def _finish(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _leave(_path: str, _connection: Connection) -> None:
    """Return None: each request with that head is to be handled."""


def _is_plain(message: RawRequestMessage) -> bool:
    """Return whether a request is a GET of a path, over a connection that stays as it is."""
    return (
        message.method == "GET"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and message.path.startswith("/")
        and message.path.isascii()
    )
