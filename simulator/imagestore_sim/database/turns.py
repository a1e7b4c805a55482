"""Changes that nodes which share a store make one after the other, though each writes rows of its own.

The first statement of such a change writes the row of what it changes (`SharedState`). Another node then waits for the
end of the transaction, and reads what it has left. Servers of a Galera cluster have no locks in common: there the later
COMMIT of two that wrote the row is undone, and the whole change is to be made again (`Database.atomically`).
"""

from __future__ import annotations

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.models import SharedState


async def take_turn(connection: AsyncConnection, name: str) -> None:
    """Keep other nodes from changing what has that name until the caller's transaction ends."""
    taken = update(SharedState).where(SharedState.name == name).values(changes=SharedState.changes + 1)
    if (await connection.execute(taken)).rowcount:
        return
    try:
        await connection.execute(insert(SharedState).values(name=name, changes=1))
    except IntegrityError:  # another node has made the row, and committed it, meanwhile
        if not (await connection.execute(taken)).rowcount:
            raise
