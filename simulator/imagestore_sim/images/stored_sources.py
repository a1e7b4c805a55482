"""Changes of the sources of images: in memory, and before that in the store, where other nodes share it.

Over a shared store, the list that a node has in memory (`ImageSources`) is a copy of the one in the store. It is read
again when the store has changed (`cluster.followed_state`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial

import orjson
from sqlalchemy import bindparam, select, update

from imagestore_sim.database import Database
from imagestore_sim.database.models import SharedState
from imagestore_sim.database.turns import take_turn
from imagestore_sim.images.sources import ImageSource, ImageSources, added

TURN = "image sources"
"""The row that has the list, and what nodes take their turns for that change it."""
_STORED = select(SharedState.changes, SharedState.content).where(SharedState.name == TURN)
_CHANGED = _STORED.where(SharedState.changes != bindparam("known"))
Change = Callable[[Sequence[ImageSource]], Sequence[ImageSource]]
"""Returns the new list. It may be called again, with what another node has left; what it raises changes nothing."""


class StoredSources:
    """Changes the sources of images of all nodes that share the store, one change at a time."""

    def __init__(self, database: Database, sources: ImageSources) -> None:
        self._database = database
        self._sources = sources
        self._known = 0
        """The number of changes in the list that was read last."""
        self._reading = asyncio.Lock()

    async def change(self, change: Change) -> Sequence[ImageSource]:
        """Change the sources in a transaction of its own, and return them. Raise StoreUnavailable."""
        return await self._database.atomically(partial(self._write, change))

    async def replace(self, sources: Iterable[ImageSource]) -> None:
        """Take these sources in place of all others, in the caller's `atomic` block. Raise StoreUnavailable."""
        new = tuple(sources)
        await self._write(lambda _: new)

    async def add(self, sources: Iterable[ImageSource]) -> None:
        """Put sources before the others, in place of those with the same glob, as `replace` does."""
        await self._write(partial(added, tuple(sources)))

    async def _write(self, change: Change) -> Sequence[ImageSource]:
        """Change the sources, and return them; memory follows the commit."""
        if not self._database.is_shared:
            new = tuple(change(self._sources.all()))
            await self._database.after_commit(partial(self._sources.replace, new))
            return new
        async with self._database.transaction() as connection:
            await take_turn(connection, TURN)
            row = (await connection.execute(_STORED)).one()
            new = tuple(change(_read(row.content)))
            stored = update(SharedState).where(SharedState.name == TURN)
            await connection.execute(stored.values(content=orjson.dumps([asdict(one) for one in new]).decode()))
        await self._database.after_commit(self.read)
        return new

    async def read(self) -> None:
        """Take over the sources that other nodes have stored, if they share the store. Raise StoreUnavailable."""
        if not self._database.is_shared:
            return
        async with self._reading:  # one read after the other, so that an older list never replaces a newer one
            for row in await self._database.read(_CHANGED, {"known": self._known}):
                self._sources.replace(_read(row.content))
                self._known = row.changes


def _read(content: str | None) -> Sequence[ImageSource]:
    return [ImageSource(**one) for one in orjson.loads(content or "[]")]
