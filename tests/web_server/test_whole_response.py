"""Responses in one piece: the same bytes as aiohttp's own, also where a later step has added to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from aiohttp import web

from imagestore_sim.web_server.whole_response import WholeResponse

JSON = "application/json; charset=utf-8"
DATE = re.compile(rb"Date: [^\r]*")


def unchanged(_: web.Response) -> None:
    """Leave a response as it was made."""


def with_header(response: web.Response) -> None:
    response.headers["X-More"] = "1"


def with_another_body(response: web.Response) -> None:
    response.body = b"[]"


@pytest.mark.parametrize("change", [unchanged, with_header, with_another_body, web.Response.force_close])
async def test_a_response_has_the_same_bytes_as_one_of_aiohttp(change: Callable[[web.Response], None]) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        plain = web.Response(status=202, body=b"{}", headers={"Content-Type": JSON})
        response = plain if request.path == "/plain" else WholeResponse(202, b"{}", JSON)
        change(response)
        return response

    server = await asyncio.get_running_loop().create_server(web.Server(answer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for line in ("GET {} HTTP/1.1", "HEAD {} HTTP/1.1", "GET {} HTTP/1.0"):
            plain, whole = [await _bytes(port, line, path) for path in ("/plain", "/whole")]
            assert b" 202 Accepted\r\n" in plain
            assert DATE.sub(b"", whole) == DATE.sub(b"", plain)


async def _bytes(port: int, line: str, path: str) -> bytes:
    """Return all that the server sends to two requests in a row, of which the second ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{line.format(path)}\r\nHost: x\r\n\r\n".encode())
    found = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    found += await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return found
