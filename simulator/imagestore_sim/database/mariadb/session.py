"""How a connection to a MariaDB is made and set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, Pool

CONNECT_SECONDS = 5
"""How long a connection may take to be made."""
LOCK_SECONDS = 10
"""How long a statement waits for a lock of another connection."""
IDLE_SECONDS = 5
"""How long a transaction that has written may send no statement; then the server undoes it and closes the connection.

A node that is paused or cut off in the midst of one would else hold its locks for hours, and keep the others from
taking over. It is less than LOCK_SECONDS, so that what waits for such a lock gets it.
"""
READ_SECONDS = 30
"""How long a read may take."""
SILENT_SECONDS = 40
"""How long a server may send nothing while a statement runs; then the connection is taken to be lost."""
SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION"
"""What MariaDB has by itself: a value that does not fit is an error, and GROUP BY lets any column be selected."""
_VARIABLES: Mapping[str, object] = {
    "sql_mode": f"'{SQL_MODE}'",
    "time_zone": "'+00:00'",
    "tx_isolation": "'READ-COMMITTED'",
    "innodb_lock_wait_timeout": LOCK_SECONDS,
    "lock_wait_timeout": LOCK_SECONDS,
    "idle_write_transaction_timeout": IDLE_SECONDS,
    "group_concat_max_len": 16 * 1024 * 1024,
}
_OF_READS: Mapping[str, object] = {"max_statement_time": READ_SECONDS}
_OF_GALERA: Mapping[str, object] = {"wsrep_sync_wait": 1}
"""Reads wait until this server has applied what the cluster had committed before."""


class Session:
    """Makes connections with the variables that a node needs. All of them are UTC, READ COMMITTED, and bounded."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_galera = False
        """Whether the server can be a part of a Galera cluster."""

    def connect_arguments(self, *, reads: bool, dates: Callable[[str], object] | None = None) -> dict[str, Any]:
        """Return the arguments of asyncmy's `connect`, besides those that are in the URL."""
        variables = {**_VARIABLES, **(_OF_READS if reads else {}), **(_OF_GALERA if self.is_galera else {})}
        return {
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": SILENT_SECONDS,
            "conv": _conversions(dates),
            "program_name": "imagestore-sim",
            "init_command": "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in variables.items()),
        }

    def engine(self, *, reads: bool = False, pool: type[Pool] = NullPool, **options: Any) -> AsyncEngine:
        """Return an engine whose connections are in AUTOCOMMIT: transactions are begun by statements of our own."""
        return create_async_engine(
            self.url,
            poolclass=pool,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            connect_args=self.connect_arguments(reads=reads),
            **options,
        )

    async def connect_raw(self, dialect: Dialect) -> Any:
        """Return a connection of asyncmy's own, for reads. It returns dates as texts."""
        import asyncmy

        _, arguments = dialect.create_connect_args(self.url)
        return await asyncmy.connect(**arguments, **self.connect_arguments(reads=True, dates=str), autocommit=True)


def _conversions(dates: Callable[[str], object] | None) -> dict[Any, Any]:
    """Return asyncmy's conversions, but sums as whole numbers where they are such, as SQLite has them."""
    from asyncmy.constants import FIELD_TYPE
    from asyncmy.converters import conversions

    changed = dict.fromkeys((FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL), _number)
    return {**conversions, **changed, **({FIELD_TYPE.DATETIME: dates} if dates is not None else {})}


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
