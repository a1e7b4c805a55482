"""An HTTP server on aiohttp that follows RFC 9112 where aiohttp does not, with a timeout on everything a client does.

A client's mistake is answered or ends its connection. It is never logged as an error of this program.
"""

from __future__ import annotations

import asyncio
import html
import ipaddress
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

import orjson
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, PayloadEncodingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from typing_extensions import override
from yarl import URL

from imagestore_sim.content_codings import CODINGS, BrokenCoding, unpack
from imagestore_sim.known_heads import Known, KnownHeads, is_one_head
from imagestore_sim.tasks import in_thread
from imagestore_sim.whole_response import WholeResponse

logger = logging.getLogger(__name__)
HEAD_SECONDS = 20.0
"""Real seconds that a client may take for the head of a request, as in a servlet container."""
BODY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
"""Real seconds that it may take to send a body, and to read the answer."""
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing such a socket resets its connection."""
MOST_UNACCEPTED = 1024
"""Connections that may wait to be accepted. The kernel makes clients beyond them try again after a second and more."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ABSOLUTE = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@]+)([^#]*)", re.IGNORECASE)
LONE_BYTE = re.compile("[\udc80-\udcff]")
EXCERPT = re.compile(r"[\s:]*(?:\bb['\"]|\S*/)")
"""Where the excerpt of the request begins in aiohttp's messages. It may hold a session, so it is not logged."""
AS_IT_IS = ("", "identity")
"""Content codings of a body that is not packed."""
METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
REQUEST_LINE = re.compile(r"b['\"]([!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}) [!-~]")
"""A request line with an unknown method, as aiohttp's message quotes it. The bound keeps the time linear."""
TARGET = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255} (/[!-~]{0,100})")
"""The beginning of a request, with its method and the first characters of its target."""
JSON_PATHS = ("/lab/",)
"""The paths of an API whose errors are JSON, those too that come before a request is read."""
PAGE = (
    '<!doctype html><html lang="en"><head><title>{title}</title></head>'
    "<body><h1>{title}</h1><p><b>Message</b> {text}</p></body></html>"
)
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


AnswerAtOnce = Callable[[str, "Connection"], bytes | None]
"""Returns the whole answer to a GET of a path that needs no more than a look into memory; None for one to be handled.

It gets the path with its query string as sent, and the connection.
"""
AtOnce = Callable[["Request"], AnswerAtOnce | None]
"""Returns what answers GETs that have the headers of this request; None if they are to be handled."""


class Refusal(NamedTuple):
    """Why a request cannot be served at all, with the HTTP status."""

    status: int
    text: str


class Request(web.Request):
    """A request that asks the client for its body when it is read (RFC 9110, 10.1.1), and waits for it BODY_SECONDS."""

    refusal: Refusal | None = None
    """Why it has to be refused before it reaches a handler, if it has."""
    coding = ""
    """The content coding of its body; empty for one that is sent as it is."""
    target_host: str | None = None
    """HOST or HOST:PORT of a target in absolute form. It replaces the Host header (RFC 9112, 3.2.2)."""
    _waits_for_us = False

    @property
    def waits_for_us(self) -> bool:
        """Whether the client waits for a 100 before it sends its body."""
        return self._waits_for_us

    def hold_back(self) -> None:
        """Note that the client waits for a 100 before it sends its body."""
        self._waits_for_us = True

    def allow(self, size: int) -> None:
        """Allow a body of up to `size` bytes, for a call that takes more than others."""
        self._client_max_size = size

    async def read(self) -> bytes:
        """Return the body, out of its coding. Raise web.HTTPException if it is late or invalid, and ConnectionError."""
        if self._waits_for_us:
            self._check_length()
        await self.ask_for_body()
        try:
            async with asyncio.timeout(BODY_SECONDS):  # real: the client is
                body = await super().read()
        except TimeoutError:
            text = f"the body of the request did not come within {BODY_SECONDS:g} s"
            raise web.HTTPRequestTimeout(text=text) from None
        except (web.RequestPayloadError, PayloadEncodingError) as error:
            raise web.HTTPBadRequest(text=f"the body cannot be read: {_first_line(_reason(error))}") from None
        return await self._unpacked(body) if self.coding else body

    async def _unpacked(self, body: bytes) -> bytes:
        """Return a body out of its coding, as far as it may be long: a thousand times as long as what was sent."""
        try:
            unpacked = await in_thread(unpack, body, self.coding, self._client_max_size)
        except BrokenCoding as error:
            raise web.HTTPBadRequest(text=f"the body cannot be read: {error}") from None
        if len(unpacked) > self._client_max_size:
            raise web.HTTPRequestEntityTooLarge(self._client_max_size)
        return unpacked

    async def ask_for_body(self) -> None:
        """Ask a client for its body that waits to be asked, before the body is read in pieces."""
        if self._waits_for_us:
            self._waits_for_us = False
            await self.writer.write(CONTINUE)
            self.writer.output_size = 0  # the 100 is not part of the answer

    def _check_length(self) -> None:
        if self.content_length is not None and self.content_length > self._client_max_size:
            raise web.HTTPRequestEntityTooLarge(self._client_max_size, self.content_length)


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
        self._parser: Any = _Parser(self._parser, self._answer_at_once, self._broken)
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
        if self._close or self._force_close or not isinstance(server, _Server) or not self._is_idle:
            return None
        return server.known_heads.find(data)

    def _answer_at_once(self, data: bytes, message: RawRequestMessage, body: StreamReader) -> bool:
        """Answer a request here if that is possible; return whether it was. aiohttp takes five times as long.

        `data` is empty if it is not known to be all of the request.
        """
        server = self._manager
        if self._is_to_be_handled or not isinstance(server, _Server) or server.at_once is None or not self._is_idle:
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
            self._answered += 1
            if self._half_closed and not self._messages:
                self._close = True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. Raise ConnectionError if the client does not read it."""
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
            logger.info("%s sent a body that cannot be read: %s", self.peername, _first_line(kw["exc_info"]))
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
        text = _first_line(message or "")
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


class _Parser:
    """aiohttp's parser of a connection, which keeps back each request that is answered at once."""

    def __init__(
        self,
        parser: Any,
        answer: Callable[[bytes, RawRequestMessage, StreamReader], bool],
        broken: Callable[[bytes], bool],
    ) -> None:
        """Take `answer`, which answers a request at once, if it can; the bytes are all of it, or empty.

        `broken` is called with what has come and cannot be read, and returns whether it has followed that.
        """
        self._parser = parser
        self._answer = answer
        self._broken = broken
        self.is_between = True
        """Whether all that came has been read, so that a request begins with what comes next."""

    def feed_data(self, data: bytes) -> tuple[Sequence[tuple[RawRequestMessage, StreamReader]], bool, bytes]:
        """Return what aiohttp's parser returns, less a request that was answered."""
        was_between, self.is_between = self.is_between, False
        try:
            messages, is_upgraded, tail = self._parser.feed_data(data)
        except HttpProcessingError:
            if self._broken(data):
                return (), False, b""
            raise
        if len(messages) != 1:
            return messages, is_upgraded, tail
        message, body = messages[0]
        self.is_between = body is EMPTY_PAYLOAD and not is_upgraded and is_one_head(data)
        if self._answer(data if was_between and self.is_between else b"", message, body):
            self._parser.message_consumed()
            return (), is_upgraded, tail
        return messages, is_upgraded, tail

    def __getattr__(self, name: str) -> Any:
        """Return what aiohttp's parser has by that name."""
        return getattr(self._parser, name)


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


def connection_of(request: web.BaseRequest) -> Connection | None:
    """Return the connection of a request, None if the client has gone."""
    return request.protocol if isinstance(request.protocol, Connection) else None


def _finish(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def error_page(status: int, text: str, *, allow: str = "") -> web.Response:
    """Return an error page like that of a servlet container."""
    title = f"HTTP Status {status} - {HTTPStatus(status).phrase}"
    page = PAGE.format(title=title, text=html.escape(text))
    headers = {"Allow": allow} if allow else {}
    return web.Response(status=status, text=page, content_type="text/html", charset="utf-8", headers=headers)


def problem(status: int, text: str) -> web.Response:
    """Return an error as JSON, as the lab's API answers it."""
    return json_line(status, {"error": text}, charset="utf-8")


def json_line(status: int, content: object, *, charset: str | None = None) -> web.Response:
    """Return JSON that ends in a newline, for those who read it in a terminal."""
    body = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(status=status, body=body, content_type="application/json", charset=charset)


def allowing(*methods: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that refuses all methods of a page but these, which others answer."""

    async def refuse(request: web.Request) -> web.Response:
        return not_allowed(request, methods)

    return refuse


def not_allowed(request: web.Request, methods: Sequence[str]) -> web.Response:
    """Return the refusal of a method; `methods` are those that the path has."""
    verb = "is" if len(methods) == 1 else "are"
    response = problem(405, f"{request.method} is not allowed for {request.path}; {', '.join(methods)} {verb}")
    response.headers["Allow"] = ", ".join(methods)
    return response


class Runner(web.AppRunner):
    """Runs an application on these connections."""

    def __init__(
        self,
        application: web.Application,
        *,
        before: Callable[[Handle], Handle],
        at_once: AtOnce | None = None,
        **options: Any,
    ) -> None:
        """`before` wraps the handler of aiohttp's router, and answers what has a `refusal`; `at_once` comes first."""
        super().__init__(application, access_log=None, **options)
        self._before = before
        self._at_once = at_once

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        make = _factory(self.app._client_max_size)
        server = _Server(self._before(plain.request_handler), request_factory=make, loop=plain._loop, **plain._kwargs)
        server.at_once = self._at_once
        return server

    def cut_off(self) -> None:
        """Reset every connection, those that are accepted from now on too, as a kill -9 would."""
        if isinstance(self.server, _Server):
            self.server.is_cut_off = True
        self.reset_connections(("",))

    def reset_connections(self, below: tuple[str, ...], but: Connection | None = None) -> None:
        """Reset the connections whose latest request was for a path that begins like this, but for one."""
        for connection in self.server.connections if self.server is not None else ():
            if (
                isinstance(connection, Connection)
                and connection.latest_path.startswith(below)
                and connection is not but
            ):
                connection.reset()

    async def listen(self, host: str, port: int) -> int:
        """Listen on every address of a host with one port, and return it; 0 picks a free one. Raise OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for address in dict.fromkeys(one[4] for one in found):
            name = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            await web.TCPSite(self, name, port, backlog=MOST_UNACCEPTED).start()
            port = self.addresses[-1][1]
        return port


class LateRoutes(web.AbstractResource):
    """The routes below a path, which `register` adds to a router when the first request needs one.

    To add a hundred of them takes a sixth of the time that a node takes to start, and few clients ever call them.
    """

    def __init__(self, path: str, register: Callable[[web.UrlDispatcher], None]) -> None:
        super().__init__()
        self._path = path
        self._register = register
        self._making = asyncio.Lock()

    @cached_property
    def _router(self) -> web.UrlDispatcher:
        router = web.UrlDispatcher()
        self._register(router)
        return router

    @property
    def _is_made(self) -> bool:
        return "_router" in vars(self)

    @property
    def canonical(self) -> str:
        """The path below which all routes are."""
        return self._path

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        """Return the route of a request; None if it has none here.

        The routes are made in a thread: to import what answers them would hold up all other requests.
        """
        if not self._is_made:
            async with self._making:
                await in_thread(lambda: self._router)
        found = await self._router.resolve(request)
        return None if found.http_exception else found, set()

    def raw_match(self, path: str) -> bool:
        """Return False: a route that is added beside these is a resource of its own."""
        return False

    def add_prefix(self, prefix: str) -> None:
        """Raise NotImplementedError: the routes are not for an application within another."""
        raise NotImplementedError

    def url_for(self, **kwargs: str) -> URL:
        """Raise NotImplementedError: no route has a name."""
        raise NotImplementedError

    def get_info(self) -> Any:
        """Return the path below which all routes are."""
        return {"path": self.canonical}

    def __len__(self) -> int:
        return len(self._router.routes())

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(self._router.routes())


class _Server(web.Server):
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
        return Connection(self, loop=self._loop, **self._kwargs)


def _factory(size: int) -> Callable[..., Request]:
    """Return what makes a Request from the parser's message; `size` is the limit of its body, in bytes."""

    def make(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> Request:
        refusal = _refusal(message)
        expects = refusal is None and "Expect" in message.headers and message.version >= HttpVersion11
        absolute = None if message.path.startswith("/") else ABSOLUTE.fullmatch(message.path)
        message = _in_origin_form(_with_latin_headers(message, without_expectation=expects))
        request = Request(message, payload, protocol, writer, task, protocol._loop, client_max_size=size)
        if isinstance(protocol, Connection):
            protocol.latest_path = message.path
        request.refusal = refusal
        request.coding = _coding(message.headers)
        request.target_host = None if absolute is None else absolute[1]
        if expects:
            request.hold_back()
        return request

    return make


def _refusal(message: RawRequestMessage) -> Refusal | None:
    """Return why a request cannot be served at all (RFC 9110, 8.4, 10.1.1), None for one that can."""
    if message.method == "CONNECT":
        return _refuse(405, "Request method 'CONNECT' not supported")
    if message.path.startswith("/") and "Expect" not in message.headers and "Content-Encoding" not in message.headers:
        return None  # as nearly always
    expectation = message.headers.get("Expect", "100-continue")
    if message.version >= HttpVersion11 and expectation.strip().lower() != "100-continue":
        return _refuse(417, f"the expectation {expectation!r} cannot be met; 100-continue can")
    coding = _coding(message.headers)
    if coding and coding not in CODINGS:
        return _refuse(415, f"the content coding {coding[:100]!r} is not known; gzip and deflate are")
    if not message.path.startswith("/") and message.path != "*" and not ABSOLUTE.fullmatch(message.path):
        return _refuse(400, "the request target is neither a path nor a URL")
    return None


def _refuse(status: int, text: str) -> Refusal:
    return Refusal(status, text.encode(errors="replace").decode())


def _coding(headers: MultiMapping[str]) -> str:
    """Return the content coding of a body in lower case, several joined by commas; empty if it is sent as it is."""
    if "Content-Encoding" not in headers:
        return ""
    coding = ",".join(headers.getall("Content-Encoding")).strip().lower()
    return "" if coding in AS_IT_IS else coding


def _with_latin_headers(message: RawRequestMessage, *, without_expectation: bool) -> RawRequestMessage:
    """Return the message with header values decoded as a servlet container does: as ISO 8859-1."""
    headers = message.headers
    if not without_expectation and all(map(str.isascii, headers.values())):
        return message
    decoded = CIMultiDict(
        (name, value.encode(errors="surrogateescape").decode("latin-1")) for name, value in headers.items()
    )
    if without_expectation:
        del decoded["Expect"]  # else aiohttp's router would answer it as well
    return message._replace(headers=CIMultiDictProxy(decoded))


def _in_origin_form(message: RawRequestMessage) -> RawRequestMessage:
    """Return the message with its target as a path and a query string; bytes that are not text are percent-encoded."""
    path = message.path
    if (path.startswith("/") and path.isascii()) or path == "*":
        return message
    if (absolute := ABSOLUTE.fullmatch(path)) is not None:
        path = absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    path = LONE_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", path)
    raw_path, _, query = path.partition("#")[0].partition("?")
    if not raw_path.startswith("/"):
        raw_path = "/"
    url = URL.build(path=raw_path, query_string=query, encoded=True)
    return message._replace(path=path, url=url)


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, HttpProcessingError) else str(error)


def _first_line(of: object) -> str:
    """Return the text of an error in one line, at most 200 characters that any output can encode."""
    return " ".join(str(of).split())[:200].encode(errors="replace").decode()


def authority(host: str, port: int) -> str:
    """Return `host:port` for a URL: an IPv6 address in brackets, the `%` before its zone escaped (RFC 6874)."""
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_v6 = False
    return f"[{host.replace('%', '%25')}]:{port}" if is_v6 else f"{host}:{port}"


def http_url(host: str, port: int) -> str:
    """Return the URL of a server on a host, which may be an IPv6 address."""
    return f"http://{authority(host, port)}"
