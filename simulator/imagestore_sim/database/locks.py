"""Locks of rows, at which the transactions of several nodes wait for each other."""

from __future__ import annotations

from typing import TypeVarTuple

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

Ts = TypeVarTuple("Ts")


async def lock(connection: AsyncConnection, rows: Select[*Ts]) -> None:
    """Let no other node lock, change or delete the rows that a statement selects before the transaction ends.

    Reads that follow see what the others had committed until then, so that a check holds for what is written by it.
    SQLite runs one transaction at a time, and needs no lock. Raise StoreConflict: see `Database.atomically`.
    """
    if connection.dialect.name != "sqlite":
        await connection.execute(rows.with_for_update())
