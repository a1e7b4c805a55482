"""Limits on what a server may send in a login, and from one probe to the next."""

from __future__ import annotations

LOGIN_BYTES = 128 * 1024
"""What a server may send until the login is complete: a login takes some 5 KB, and a legal notice."""
PROBE_BYTES = 512 * 1024
"""What a server may send from one probe to the next."""
KEY_EXCHANGES = 4
"""How many key exchanges a server may begin in the same time: one is usual, and each costs both sides."""
_NOISY_BYTES = 32 * 1024  # a server that ran out of time after sending this much is one that floods
_CALM_BYTES = 16 * 1024  # handled at once; what a server sends beyond that is queued


class ReceiveLimits:
    """Counts what a server sends against what it is allowed."""

    def __init__(self, size: int) -> None:
        self._allowed = self._left = size
        self._calm_left = _CALM_BYTES
        self._exchanges_left = KEY_EXCHANGES

    def allow(self, size: int) -> None:
        """Allow the server to send `size` bytes, and KEY_EXCHANGES key exchanges, from now on."""
        self._allowed = self._left = size
        self._calm_left = _CALM_BYTES
        self._exchanges_left = KEY_EXCHANGES

    def is_calm(self, size: int) -> bool:
        """Return whether `size` more bytes may be handled at once rather than queued."""
        return size <= self._calm_left

    def is_noisy(self, queued: int) -> bool:
        """Return whether the server has sent more than _NOISY_BYTES, including `queued` ones not counted yet."""
        return self._allowed - self._left + queued > _NOISY_BYTES

    def count(self, size: int) -> bool:
        """Count `size` bytes; return whether they are allowed."""
        self._left -= size
        self._calm_left = max(0, self._calm_left - size)
        return self._left >= 0

    def count_key_exchange(self) -> bool:
        """Count a key exchange; return whether it is allowed."""
        self._exchanges_left -= 1
        return self._exchanges_left >= 0
