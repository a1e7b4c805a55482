"""Responses sent in one piece, past aiohttp's own preparation, which takes longer than to find a kept answer."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE
from typing_extensions import override


class WholeResponse(web.Response):
    """A response with a body of bytes and a content type.

    It is sent as aiohttp sends it, byte for byte. Where a later step has added to it, aiohttp itself sends it.
    """

    def __init__(self, status: int, body: bytes, content_type: str) -> None:
        super().__init__(status=status, body=body, headers={hdrs.CONTENT_TYPE: content_type})
        self._whole = body
        self._type = content_type
        self._headers_at_first = len(self.headers)
        self.goes_at_once = False
        """Whether it is about to be sent, and was found to be whole: to find that out takes as long as to make it."""

    def is_whole(self, request: web.BaseRequest) -> bool:
        """Return whether it can be sent in one piece: it is as it was made, over a connection that stays."""
        return (
            self.body is self._whole
            and len(self.headers) == self._headers_at_first
            and self.keep_alive is None
            and not (self.prepared or self._cookies or self.chunked or self.compression)  # `cookies` would make some
            and request.version == HttpVersion11
            and request.keep_alive
            and request.method != hdrs.METH_HEAD
        )

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it. Raise ConnectionResetError if the client has gone."""
        if not (self.goes_at_once or self.is_whole(request)):
            return await super().prepare(request)
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        answer = whole_answer(self.status, self.reason or "", self._type, self._whole)
        request.writer.output_size += len(answer)
        transport.write(answer)
        self._keep_alive = True
        self._eof_sent = True
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        if not self._eof_sent:
            await super().write_eof(data)


def whole_answer(status: int, reason: str, content_type: str, body: bytes) -> bytes:
    """Return an answer as it is sent, to a request by HTTP/1.1 over a connection that stays."""
    return _head(status, reason, content_type, len(body), rfc822_formatted_time()) + body


@lru_cache(maxsize=64)
def _head(status: int, reason: str, content_type: str, size: int, date: str) -> bytes:
    """Return the status line and the headers, in aiohttp's order."""
    headers = f"Content-Type: {content_type}\r\nContent-Length: {size}\r\nDate: {date}\r\nServer: {SERVER_SOFTWARE}"
    return f"HTTP/1.1 {status} {reason}\r\n{headers}\r\n\r\n".encode()
