"""Room for the bodies of requests: how many bytes of them a server holds at once.

A body is read once there is room for all of it, in the order in which requests have come, and has that room until its
request is answered. While others wait, a body may take CROWDED_SECONDS to come, so that slow clients do not keep the
room from them. A SMALL body needs none: its connection takes more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

MOST_BYTES = 64 * 2**20
"""Bytes of bodies that are held at once, as long as they are declared or may be."""
SMALL = 16 * 1024
MOST_WAITING = 256
"""Bodies that wait for room; what a client has sent already, up to some 400 kB, is held meanwhile."""
ROOM_SECONDS = 30.0
"""Real seconds that a body waits for room."""
CROWDED_SECONDS = 5.0
"""Real seconds that a client may take to send a body that has room, while others wait for room."""


class NoRoom(Exception):
    """Other bodies take all room."""


class Place:
    """The room of one body."""

    def __init__(self, room: BodyRoom, size: int) -> None:
        self._room = room
        self._size = size
        self._limit: asyncio.Timeout | None = None
        self.began = asyncio.get_running_loop().time()
        self.was_cut_short = False
        """Whether its client took longer than CROWDED_SECONDS to send the body."""

    @contextmanager
    def coming(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Note that the body comes while the block runs, within a limit that is cut short if others wait."""
        self._limit = limit
        self._room.comes(self)
        try:
            yield
        finally:
            self._room.has_come(self)

    def cut_short(self) -> None:
        """End the block of `coming`, which raises TimeoutError."""
        assert self._limit is not None
        self.was_cut_short = True
        self._limit.reschedule(self.began)

    def leave(self) -> None:
        """Give the room back. Safe to call again."""
        size, self._size = self._size, 0
        self._room.give_back(size)


class BodyRoom:
    """The room of a server."""

    def __init__(self) -> None:
        self._free = MOST_BYTES
        self._waiting: dict[asyncio.Future[None], int] = {}
        """The bodies that wait, with their sizes, in the order of their requests."""
        self._coming: dict[Place, None] = {}
        """The bodies that have room and have not come yet, in the order in which they got it."""
        self._look: asyncio.TimerHandle | None = None

    async def take(self, size: int) -> Place:
        """Return the place of a body of at most `size` bytes. Raise NoRoom if there is none for ROOM_SECONDS."""
        size = min(size, MOST_BYTES)
        if self._waiting or size > self._free:
            await self._wait_for(size)
        else:
            self._free -= size
        return Place(self, size)

    async def _wait_for(self, size: int) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise NoRoom
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = size
        self._cut_short()
        try:
            async with asyncio.timeout(ROOM_SECONDS):  # real: the clients are
                await turn
        except BaseException as error:
            if self._waiting.pop(turn, None) is None:
                self._free += size
            self._let_in()  # those behind it may need less
            if isinstance(error, TimeoutError):
                raise NoRoom from None
            raise

    def give_back(self, size: int) -> None:
        """Take back the room of a body."""
        self._free += size
        if self._waiting:
            self._let_in()

    def comes(self, place: Place) -> None:
        """Note that a body begins to come."""
        self._coming[place] = None
        if self._waiting and self._look is None:
            self._cut_short()

    def has_come(self, place: Place) -> None:
        """Note that a body comes no more."""
        self._coming.pop(place, None)

    def _let_in(self) -> None:
        """Give those their turn that there is room for now."""
        while self._waiting:
            turn, size = next(iter(self._waiting.items()))
            if size > self._free:
                return
            del self._waiting[turn]
            self._free -= size
            turn.set_result(None)

    def _cut_short(self) -> None:
        """If bodies wait, end each that has been coming for CROWDED_SECONDS, now and as soon as one has."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        loop = asyncio.get_running_loop()
        while self._waiting and self._coming:
            place = next(iter(self._coming))
            late = place.began + CROWDED_SECONDS
            if late > loop.time():
                self._look = loop.call_at(late, self._cut_short)  # real: the client is
                return
            del self._coming[place]
            place.cut_short()
