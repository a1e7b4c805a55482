"""The address that clients send images to: `POST` or `PUT /imagestore/upload/{storage}` (domain 8.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from imagestore_sim.images.uploads import Piece, UploadRefused, Uploads
from imagestore_sim.web_server import BODY_SECONDS, Request

CHUNK = 256 * 1024
DIGITS = 18
BROKEN = (HttpProcessingError, web.RequestPayloadError, ValueError, AssertionError)
"""What aiohttp raises for a body that it cannot read."""


async def receive_image(uploads: Uploads, request: web.Request) -> web.Response:
    """Take the piece of an image that a request brings: as it is, or as the first file of a form."""
    try:
        image_uuid, piece = _image(request.headers), _piece(request.headers)
        if isinstance(request, Request):
            if request.coding:
                raise UploadRefused(415, f"an image is sent as it is, not as {request.coding}")
            await request.ask_for_body()
        await uploads.receive(image_uuid, request.match_info["storage"], piece, _chunks(request))
    except UploadRefused as refusal:
        response = web.Response(status=refusal.status, text=str(refusal))
        response.force_close()  # its body may not have been read
        return response
    return web.Response()


def _image(headers: Mapping[str, str]) -> str:
    if (uuid := headers.get("X-IMAGE-UUID")) is None:
        raise UploadRefused(400, "a header X-IMAGE-UUID is needed")
    return uuid


def _piece(headers: Mapping[str, str]) -> Piece:
    """Read the headers that describe a piece; without those of a slice it is the whole image. Raise UploadRefused."""
    size = _number(headers, "X-IMAGE-SIZE", "")
    slice_size = _number(headers, "X-SLICE-SIZE", str(size))
    return Piece(size, _number(headers, "X-SLICE-OFFSET", "0"), slice_size, headers.get("X-SLICE-MD5"))


def _number(headers: Mapping[str, str], name: str, default: str) -> int:
    text = headers.get(name, default)
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise UploadRefused(400, f'invalid header "{name}": {text[:100]}')
    return int(text)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the bytes that a request brings. Raise UploadRefused if it stands still, or cannot be read."""
    try:
        part = await _file(request) if request.content_type.startswith("multipart/") else None
        while chunk := await _bounded(part, request):
            yield chunk
    except TimeoutError:
        raise UploadRefused(408, f"nothing has come for {BODY_SECONDS:g} s") from None
    except BROKEN as error:
        raise UploadRefused(400, f"the body cannot be read: {error}") from None


async def _bounded(part: BodyPartReader | None, request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_SECONDS):  # real: the client is
        return await (request.content.read(CHUNK) if part is None else part.read_chunk(CHUNK))


async def _file(request: web.Request) -> BodyPartReader:
    """Return the first file of a form. Raise UploadRefused if there is none."""
    async with asyncio.timeout(BODY_SECONDS):  # real: the client is
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.filename is not None:
                return part
    raise UploadRefused(400, "unexpected post form")
