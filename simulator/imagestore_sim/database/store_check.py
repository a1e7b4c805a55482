"""The check of a store: writes and reads a little on every connection."""

from __future__ import annotations

import time

from sqlalchemy import ColumnClause, column, select, table

from imagestore_sim.database.backend import Backend
from imagestore_sim.database.errors import StoreUnavailable
from imagestore_sim.database.health import Health
from imagestore_sim.in_flight import under_way

_CHECK_SECONDS = 1.0
"""Least time between two checks, and the time that a check waits for a lock."""
_VERSION: ColumnClause[str] = column("version_num")
_CHECK_READING = select(_VERSION).select_from(table("alembic_version", _VERSION))


class StoreCheck:
    """Finds out whether a store works, by using it."""

    def __init__(self, backend: Backend, health: Health) -> None:
        self._backend = backend
        self._health = health
        self._last = 0.0

    async def problem(self) -> str | None:
        """Return the known problem, or else that of a check, which is run at most once in _CHECK_SECONDS."""
        now = time.monotonic()  # real: see Health
        if self._health.problem is None and now >= self._last + _CHECK_SECONDS:
            self._last = now
            try:
                await self.run()
            except StoreUnavailable as error:
                return str(error)
        return self._health.problem

    async def run(self) -> None:
        """Write and read a little on every connection. Raise StoreUnavailable."""
        if not self._backend.writer.is_busy:  # otherwise the transaction that runs will report its outcome
            await self._backend.check_writing(_CHECK_SECONDS)
        with under_way():
            await self._backend.reader.read(_CHECK_READING)
            await self._backend.reader.fetch(str(_CHECK_READING), ())
