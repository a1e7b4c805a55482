"""Bodies in a content coding (RFC 9110, 8.4.1): gzip and deflate, which Python can unpack without another library."""

from __future__ import annotations

import zlib

GZIP, OLD_GZIP, DEFLATE = "gzip", "x-gzip", "deflate"
CODINGS = (GZIP, OLD_GZIP, DEFLATE)
ACCEPTED = f"{GZIP}, {DEFLATE}"
"""The value of a header Accept-Encoding that names them."""
OF_GZIP, OF_ZLIB, OF_NEITHER = 31, 15, -15
"""The formats that zlib reads: gzip's, its own, and bare deflate, which some clients send for deflate."""


class BrokenCoding(Exception):
    """A body that is not in its content coding, or not to its end."""


def unpack(body: bytes, coding: str, most: int) -> bytes:
    """Return a body out of one of CODINGS; of one that has more than `most` bytes, the first of them and one more.

    Raise BrokenCoding.
    """
    if not body:
        return b""
    unpacker = zlib.decompressobj(_format(body, coding))
    try:
        unpacked = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise BrokenCoding(f"it is no {coding}") from None
    if len(unpacked) > most:
        return unpacked
    if not unpacker.eof:
        raise BrokenCoding(f"its {coding} has no end")
    if unpacker.unused_data:
        raise BrokenCoding(f"{len(unpacker.unused_data)} bytes follow the end of its {coding}")
    return unpacked


def _format(body: bytes, coding: str) -> int:
    if coding != DEFLATE:
        return OF_GZIP
    return OF_ZLIB if body[0] & 0x0F == zlib.DEFLATED else OF_NEITHER
