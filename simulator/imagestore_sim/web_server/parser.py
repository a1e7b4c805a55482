"""aiohttp's parser, with a way past it for requests that are answered at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from imagestore_sim.web_server.known_heads import is_one_head


class Parser:
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
