"""The body of a request as text: in the character set that it declares, as a servlet container reads it.

Without a declaration the container takes ISO 8859-1. Most clients send UTF-8 all the same and declare nothing, which is
what a lenient node takes (wire-protocol 1.4).
"""

from __future__ import annotations

import codecs

from aiohttp import web

from imagestore_sim.rest.errors import ContainerError
from imagestore_sim.rest.leniency import Leniency

UNDECLARED = "iso-8859-1"


async def read_body(request: web.BaseRequest, leniency: Leniency) -> bytes:
    """Return the body, re-encoded as UTF-8. Raises ContainerError 500 for one that its character set does not allow."""
    raw = await request.read()
    declared = request.charset
    if raw.isascii() or (declared is None and leniency.undeclared_utf8):
        return raw
    try:
        text = codecs.decode(raw, declared or UNDECLARED)
    except (LookupError, UnicodeError):
        raise ContainerError(500, f"the body cannot be read as {declared}") from None
    return text.encode("utf-8", "replace")
