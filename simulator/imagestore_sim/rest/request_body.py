"""The body of a request, decoded with the character set that it declares (wire-protocol 1.4).

A servlet container takes an undeclared character set for ISO 8859-1. Most clients declare nothing and send UTF-8, so a
lenient node takes it for UTF-8.
"""

from __future__ import annotations

import codecs

from aiohttp import web

from imagestore_sim.rest.errors import ContainerError
from imagestore_sim.rest.leniency import Leniency

UNDECLARED = "iso-8859-1"


async def read_body(request: web.BaseRequest, leniency: Leniency) -> bytes:
    """Return the body as UTF-8. Raise ContainerError 500 for bytes that its character set does not allow."""
    if not request.body_exists:
        return b""
    raw = await request.read()
    declared = request.charset
    if raw.isascii() or (declared is None and leniency.undeclared_utf8):
        return raw
    try:
        text = codecs.decode(raw, declared or UNDECLARED)
    except (LookupError, UnicodeError):
        raise ContainerError(500, f"the body cannot be read as {declared}") from None
    return text.encode("utf-8", "replace")
