"""What a kind of store offers to `Database`: a file of SQLite's, or a MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, TypeVarTuple

from sqlalchemy import CursorResult, Dialect, Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.changes import Plan
from imagestore_sim.database.text_watch import TextWatch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Transactions(Protocol):
    """Runs write transactions, one at a time."""

    revision: int
    """Number of committed transactions."""
    watchers: list[Callable[[], None]]
    """Called right after each commit, before whatever waits for it goes on."""

    @property
    def is_busy(self) -> bool:
        """Whether a transaction runs."""

    def transaction(self, *, quiet: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Run the block in a transaction; commit at its end, roll back on any exception. Raise StoreUnavailable.

        A `quiet` one changes no revision, and calls no watcher.
        """

    async def change(self, plan: Plan[T]) -> T:
        """Return the result of a plan, which is carried out in a transaction. Raise StoreUnavailable."""


class Reads(Protocol):
    """Reads what is committed. Its methods raise StoreUnavailable."""

    async def read(self, statement: Select[*Ts], parameters: Mapping[str, object] | None = None) -> Sequence[Row[*Ts]]:
        """Return all rows of `statement`."""

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of compiled SQL, past SQLAlchemy. Raise ReadTooLong after the time limit."""

    def fetch_at_once(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return all rows of compiled SQL without waiting; None if that is not possible now."""

    def fetch_if_short(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Return all rows of compiled SQL without waiting; None if that takes long, or is not possible now."""

    def make_quick(self) -> None:
        """Let `fetch_at_once` work from now on, where it can."""

    def snapshot(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Provide a connection on which every read sees the same state, whatever is committed meanwhile."""


class Backend(Protocol):
    """An open store: its transactions, its reads, and what belongs to all of it."""

    @property
    def writer(self) -> Transactions:
        """Writes to it."""

    @property
    def reader(self) -> Reads:
        """Reads from it."""

    @property
    def dialect(self) -> Dialect:
        """The dialect in which to compile statements."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may write to it."""

    @property
    def texts(self) -> TextWatch | None:
        """What notices changes of texts; None where other nodes may make them."""

    async def current_revision(self) -> int:
        """Return a number that grows with every committed transaction, also with one of another node."""

    async def now(self) -> float:
        """Return the store's time, in seconds since the epoch."""

    def beat(self) -> AbstractAsyncContextManager[tuple[AsyncConnection, float]]:
        """Provide a connection for a heartbeat, ahead of what waits to be read or written, and the store's time.

        It changes no revision. Raise StoreUnavailable.
        """

    async def check_writing(self, seconds: float) -> None:
        """Write a little, and wait `seconds` for a lock at most. Raise StoreUnavailable."""

    def rows_of(self, result: CursorResult[Any]) -> list[tuple[Any, ...]]:
        """Return rows that were read on a connection of SQLAlchemy's as `fetch` returns them."""

    async def close(self) -> None:
        """Close every connection after its running statement has ended."""
