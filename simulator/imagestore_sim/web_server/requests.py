"""Requests: how they are made of what aiohttp has read, and how their bodies are read (RFC 9110, RFC 9112)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import NamedTuple

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from yarl import URL

from imagestore_sim.tasks import in_thread
from imagestore_sim.web_server import body_room
from imagestore_sim.web_server.body_room import BodyRoom, NoRoom, Place
from imagestore_sim.web_server.content_codings import CODINGS, BrokenCoding, unpack
from imagestore_sim.web_server.first_line import first_line

BODY_SECONDS = 60.0
"""Real seconds that a client may take to send a body."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ABSOLUTE = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@]+)([^#]*)", re.IGNORECASE)
LONE_BYTE = re.compile("[\udc80-\udcff]")
AS_IT_IS = ("", "identity")
"""Content codings of a body that is not packed."""
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Refusal(NamedTuple):
    """Why a request cannot be served at all, with the HTTP status."""

    status: int
    text: str


class NoRoomForBody(web.HTTPServiceUnavailable):
    """A body that there is no room for, since others take all of it."""

    def __init__(self) -> None:
        text = "the bodies of other requests take all room; try again in a few seconds"
        super().__init__(text=text, headers={"Retry-After": f"{body_room.CROWDED_SECONDS:.0f}"})


class Request(web.Request):
    """A request that asks the client for its body when it is read (RFC 9110, 10.1.1), and waits for it BODY_SECONDS."""

    ATTRS = web.Request.ATTRS | {"refusal", "coding", "target_host", "room", "_place", "_waits_for_us"}
    """What may be set. In Python's development mode aiohttp warns of all else, which is an error under `-W error`."""
    refusal: Refusal | None = None
    """Why it has to be refused before it reaches a handler, if it has."""
    coding = ""
    """The content coding of its body; empty for one that is sent as it is."""
    target_host: str | None = None
    """HOST or HOST:PORT of a target in absolute form. It replaces the Host header (RFC 9112, 3.2.2)."""
    room: BodyRoom | None = None
    """Where its body takes room, if it is not a small one."""
    _place: Place | None = None
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
        """Return the body, out of its coding. Raise web.HTTPException if it is late or invalid, and ConnectionError.

        Raise NoRoomForBody for a large one that waited for room in vain.
        """
        if self._waits_for_us:
            self._check_length()
        if self._place is None and self._read_bytes is None:
            await self._take_room()
        await self.ask_for_body()
        try:
            async with asyncio.timeout(BODY_SECONDS) as limit:  # real: the client is
                with nullcontext() if self._place is None else self._place.coming(limit):
                    body = await super().read()
        except TimeoutError:
            text = f"the body of the request did not come within {self._seconds_of_body:g} s"
            raise web.HTTPRequestTimeout(text=text) from None
        except (web.RequestPayloadError, PayloadEncodingError) as error:
            raise web.HTTPBadRequest(text=f"the body cannot be read: {first_line(_reason(error))}") from None
        return await self._unpacked(body) if self.coding else body

    async def _take_room(self) -> None:
        """Wait for room for the body, unless it is a small one."""
        declared = None if self.coding else self.content_length
        size = self._client_max_size if declared is None else min(declared, self._client_max_size)
        if self.room is None or size <= body_room.SMALL or not self.body_exists:
            return
        try:
            self._place = await self.room.take(size)
        except NoRoom:
            raise NoRoomForBody from None

    @property
    def _seconds_of_body(self) -> float:
        """How long the client could take, once that was too short."""
        was_cut_short = self._place is not None and self._place.was_cut_short
        return body_room.CROWDED_SECONDS if was_cut_short else BODY_SECONDS

    def leave_room(self) -> None:
        """Give the room of its body back: the request is answered."""
        if self._place is not None:
            self._place.leave()

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


def factory(size: int, room: BodyRoom) -> Callable[..., Request]:
    """Return what makes a Request from the parser's message; `size` is the limit of its body, in bytes.

    Bodies take their place in `room`.
    """

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
        request.refusal = refusal
        request.room = room
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
