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
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.http_exceptions import BadHttpMethod, PayloadEncodingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy
from typing_extensions import override
from yarl import URL

from imagestore_sim.tasks import in_thread
from imagestore_sim.whole_response import WholeResponse

logger = logging.getLogger(__name__)
HEAD_SECONDS = 20.0
"""Real seconds that a client may take for the head of a request, as in a servlet container."""
BODY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
"""Real seconds that it may take to send a body, and to read the answer."""
UNREAD_SECONDS = 1.0
"""Real seconds that a client has for an answer before its connection is closed, where its body is not read to the end.
"""
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing such a socket resets its connection."""
MOST_UNACCEPTED = 1024
"""Connections that may wait to be accepted. The kernel makes clients beyond them try again after a second and more."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ABSOLUTE = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@]+)([^#]*)", re.IGNORECASE)
LONE_BYTE = re.compile("[\udc80-\udcff]")
EXCERPT = re.compile(r"[\s:]*(?:\bb['\"]|\S*/)")
"""Where the excerpt of the request begins in aiohttp's messages. It may hold a session, so it is not logged."""
CODINGS = ("", "identity", "gzip", "x-gzip", "deflate", "br", "zstd")
METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
REQUEST_LINE = re.compile(r"b['\"]([!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}) [!-~]")
"""A request line with an unknown method, as aiohttp's message quotes it. The bound keeps the time linear."""
PAGE = (
    '<!doctype html><html lang="en"><head><title>{title}</title></head>'
    "<body><h1>{title}</h1><p><b>Message</b> {text}</p></body></html>"
)
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class RequestHead(NamedTuple):
    """The head of a request without a body, as an `AtOnce` gets it."""

    message: RawRequestMessage
    connection: Connection
    request: Callable[[], Request]
    """Makes the request that a handler would get."""


AtOnce = Callable[[RequestHead], bytes | None]
"""Returns the whole answer to a GET that needs no more than a look into memory; None for one to be handled."""


class Request(web.Request):
    """A request that asks the client for its body when it is read (RFC 9110, 10.1.1), and waits for it BODY_SECONDS."""

    refusal: web.Response | None = None
    """The answer, if the request is refused before it reaches a handler."""
    target_host: str | None = None
    """HOST or HOST:PORT of a target in absolute form. It replaces the Host header (RFC 9112, 3.2.2)."""
    _waits_for_us = False

    @property
    def waits_for_us(self) -> bool:
        """Whether the client waits for a 100 before it sends its body."""
        return self._waits_for_us

    @property
    def has_packed_body_left(self) -> bool:
        """Whether a part of its body has not been read that is compressed.

        It may be a thousand times as long as what was sent, and aiohttp would unpack it in one turn of the event loop.
        """
        return "Content-Encoding" in self.headers and not self.content.is_eof()

    def hold_back(self) -> None:
        """Note that the client waits for a 100 before it sends its body."""
        self._waits_for_us = True

    def allow(self, size: int) -> None:
        """Allow a body of up to `size` bytes, for a call that takes more than others."""
        self._client_max_size = size

    async def read(self) -> bytes:
        """Return the decoded body. Raise web.HTTPException if it is late or invalid, and ConnectionError."""
        if self._waits_for_us:
            self._check_length()
        await self.ask_for_body()
        try:
            async with asyncio.timeout(BODY_SECONDS):  # real: the client is
                return await super().read()
        except TimeoutError:
            text = f"the body of the request did not come within {BODY_SECONDS:g} s"
            raise web.HTTPRequestTimeout(text=text) from None
        except (web.RequestPayloadError, PayloadEncodingError) as error:
            raise web.HTTPBadRequest(text=f"the body cannot be read: {_first_line(error)}") from None

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
        super().__init__(*arguments, **options)
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
        self._parser: Any = _Parser(self._parser, self._answer_at_once)
        self._was_answered_at_once = False
        """Whether what has just come was a request that was answered at once."""

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

    def _answer_at_once(self, message: RawRequestMessage, body: StreamReader) -> bool:
        """Answer a request here if that is possible; return whether it was. aiohttp takes five times as long."""
        server, waiter, transport = self._manager, self._waiter, self.transport
        if not isinstance(server, _Server) or server.at_once is None or transport is None or transport.is_closing():
            return False
        is_idle = waiter is not None and not waiter.done() and not self._messages and not self._paused
        if not is_idle or body is not EMPTY_PAYLOAD or not _is_plain(message):
            return False
        answer = server.at_once(RequestHead(message, self, partial(self._request, message, body)))
        if answer is None:
            return False
        server.requests_count += 1
        self.latest_path = message.path
        self._was_answered_at_once = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport.write(answer)
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
        leaves_body = isinstance(request, Request) and request.has_packed_body_left
        if isinstance(request, Request) and (request.waits_for_us or leaves_body):
            resp.force_close()  # a body that was never asked for may arrive later, or never
            self._lingering_time = 0.0
        if leaves_body:
            return await self._finish_without_body(request, resp, start_time)
        return await self._finish_response(request, resp, start_time)

    async def _finish_without_body(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, and read no more. To close at once could reset the connection before the client reads it."""
        if self.transport is None:
            raise ConnectionResetError("the client has gone")
        self.transport.pause_reading()
        sent = await self._finish_response(request, resp, start_time)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()
            await asyncio.wait([self.lost()], timeout=UNREAD_SECONDS)  # real: the client is
        return sent

    async def _finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
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
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, BadHttpMethod) and (line := REQUEST_LINE.search(message or "")) is not None:
            page = error_page(405, f"Request method '{line[1]}' not supported", allow=METHODS)
            page.force_close()
            return page
        text = _first_line(message or "")
        logger.info("%s sent an invalid HTTP request: %s", request.remote, EXCERPT.split(text)[0])
        response = error_page(status, text)
        response.force_close()
        return response


class _Parser:
    """aiohttp's parser of a connection, which keeps back each request that is answered at once."""

    def __init__(self, parser: Any, answer: Callable[[RawRequestMessage, StreamReader], bool]) -> None:
        self._parser = parser
        self._answer = answer

    def feed_data(self, data: bytes) -> tuple[Sequence[tuple[RawRequestMessage, StreamReader]], bool, bytes]:
        """Return what aiohttp's parser returns, less a request that was answered."""
        messages, is_upgraded, tail = self._parser.feed_data(data)
        if len(messages) == 1 and self._answer(*messages[0]):
            self._parser.message_consumed()
            return (), is_upgraded, tail
        return messages, is_upgraded, tail

    def __getattr__(self, name: str) -> Any:
        """Return what aiohttp's parser has by that name."""
        return getattr(self._parser, name)


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
        """`before` wraps the handler of aiohttp's router. `at_once` is asked before either."""
        super().__init__(application, access_log=None, **options)
        self._before = before
        self._at_once = at_once

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        handle = _unless_refused(self._before(plain.request_handler))
        make = _factory(self.app._client_max_size)
        server = _Server(handle, request_factory=make, loop=plain._loop, **plain._kwargs)
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

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection, or reset it."""
        super().connection_made(handler, transport)
        if self.is_cut_off and isinstance(handler, Connection):
            handler.reset()

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


def _unless_refused(handle: Handle) -> Handle:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        refusal = request.refusal if isinstance(request, Request) else None
        return await handle(request) if refusal is None else refusal

    return answer


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
        request.target_host = None if absolute is None else absolute[1]
        if expects:
            request.hold_back()
        return request

    return make


def _refusal(message: RawRequestMessage) -> web.Response | None:
    """Return the answer to a request that cannot be served at all (RFC 9110, 8.4, 10.1.1), None for others."""
    if message.path.startswith("/") and "Expect" not in message.headers and "Content-Encoding" not in message.headers:
        return None  # as nearly always
    expectation = message.headers.get("Expect", "100-continue")
    if message.version >= HttpVersion11 and expectation.strip().lower() != "100-continue":
        return _refuse(417, f"the expectation {expectation!r} cannot be met; 100-continue can")
    coding = message.headers.get("Content-Encoding", "").strip().lower()
    if coding not in CODINGS:
        return _refuse(415, f"the content coding {coding!r} is not known; gzip and deflate are")
    if not message.path.startswith("/") and message.path != "*" and not ABSOLUTE.fullmatch(message.path):
        return _refuse(400, "the request target is neither a path nor a URL")
    return None


def _refuse(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text.encode(errors="replace").decode())
    response.force_close()
    return response


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
