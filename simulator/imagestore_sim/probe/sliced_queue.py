"""A queue of received bytes that is handled in small slices."""

from __future__ import annotations

from collections.abc import Callable

from imagestore_sim.probe.round_robin import RoundRobin

SLICE_BYTES = 2 * 1024
"""Handled in one turn of the event loop: 128 of the smallest SSH packets."""
_END_TURNS = 4  # turns of the event loop in which asyncssh handles all that it has received


class SlicedQueue:
    """Passes on received bytes in slices of SLICE_BYTES, and then the end of the connection."""

    def __init__(
        self, round_robin: RoundRobin, deliver: Callable[[bytes], None], on_drained: Callable[[], None]
    ) -> None:
        """Call `deliver` with each slice, and `on_drained` after the last one."""
        self._round_robin = round_robin
        self._deliver = deliver
        self._on_drained = on_drained
        self._data = bytearray()
        self._scheduled = False
        self._on_end: Callable[[], None] | None = None
        self._turns_left = _END_TURNS

    def __len__(self) -> int:
        return len(self._data)

    @property
    def ending(self) -> bool:
        """Whether the end of the connection is queued."""
        return self._on_end is not None

    def add(self, data: bytes) -> None:
        """Queue received bytes."""
        self._data += data
        self._schedule()

    def clear(self) -> None:
        """Discard the queued bytes."""
        self._data.clear()

    def end(self, on_end: Callable[[], None]) -> None:
        """Call `on_end` after the queued bytes, and after asyncssh has had time to handle them."""
        self._on_end = on_end
        self._turns_left = _END_TURNS
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._round_robin.add(self._handle_slice)

    def _handle_slice(self) -> bool:
        """Pass on one slice, or else the end. Return whether there is more to do."""
        if self._data:
            piece = bytes(self._data[:SLICE_BYTES])
            del self._data[:SLICE_BYTES]
            self._deliver(piece)
            if not self._data:
                self._on_drained()
        elif self._on_end is not None and self._turns_left:
            self._turns_left -= 1
        elif self._on_end is not None:
            end, self._on_end = self._on_end, None
            self._scheduled = False
            end()
            return False
        self._scheduled = bool(self._data) or self._on_end is not None
        return self._scheduled
