"""An HTTP client for servers of whose responses only the heads are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from typing_extensions import override
from yarl import URL

MOST_BYTES = 32 * 1024
"""Bytes of the response to one request that are read."""

SCHEMES = ("http", "https")


def http_url(text: str) -> URL:
    """Return the URL of a server that speaks HTTP. Raise aiohttp.InvalidURL for any other text.

    aiohttp takes a URL without a scheme as well, and one of WebSockets, and fails an assertion where it has no port.
    """
    try:
        url = URL(text)
    except ValueError:
        raise aiohttp.InvalidURL(text) from None
    if url.scheme not in SCHEMES or not url.raw_host:
        raise aiohttp.InvalidURL(text)
    return url


class _Heads(ResponseHandler):
    """Reads MOST_BYTES of a response, and closes the connection of a server that has sent as much.

    Any number of interim responses may come before the response itself (RFC 9110, 15.2). aiohttp would read them for as
    long as they come, and the event loop would do little else, whatever the timeout of the request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._left = MOST_BYTES

    @override
    def set_response_params(self, **options: Any) -> None:
        self._left = MOST_BYTES
        super().set_response_params(**options)

    @override
    def data_received(self, data: bytes) -> None:
        piece = data[: self._left]
        self._left -= len(piece)
        if piece or not data:
            super().data_received(piece)
        if not self._left and self.transport is not None:
            # A response that has been read whole, but for its body, is answered with all the same.
            self.set_exception(aiohttp.ClientConnectionError(f"no response in the first {MOST_BYTES} bytes"))
            self.transport.abort()


def heads_connector(**options: Any) -> aiohttp.TCPConnector:
    """Return a connector to servers of which a client reads no more than status and headers; see aiohttp's options."""
    connector = aiohttp.TCPConnector(**options)
    made: Callable[..., ResponseHandler] = _Heads
    connector._factory = partial(made, loop=connector._loop)
    return connector
