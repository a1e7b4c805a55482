"""Imports libraries without what they do at once for uses that may never come."""

from __future__ import annotations

import ctypes.util
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from typing_extensions import override


class LateTrust(ssl.SSLContext):
    """A TLS context of a client that reads the machine's certificates at its first connection."""

    _has_read = False

    @override
    def wrap_bio(self, *arguments: object, **options: object) -> ssl.SSLObject:
        if not self._has_read:
            self._has_read = True
            self.load_default_certs()
        return super().wrap_bio(*arguments, **options)  # type: ignore[arg-type]


def _late_trust() -> ssl.SSLContext:
    """Return what `ssl.create_default_context()` returns, without the certificates yet."""
    made = LateTrust(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return made


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block.

    aiohttp makes its TLS context at its import, and so reads some hundred certificates. asyncssh looks for liboqs and
    nettle, for which Python runs ldconfig and a compiler; without them it offers all of its other algorithms, which
    are the same on every machine.
    """
    replaced = ssl.create_default_context, ctypes.util.find_library
    ssl.create_default_context, ctypes.util.find_library = _late_trust, lambda name: None  # type: ignore[assignment]
    try:
        yield
    finally:
        ssl.create_default_context, ctypes.util.find_library = replaced
