"""How a connection to a MariaDB is made and set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, Pool

from imagestore_sim.database.mariadb.opening import open_connection

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
    "optimizer_search_depth": 4,  # with its 62, a plan for the tables of a dozen nested queries takes minutes
    # MariaDB's own defaults, for the administrator of a server may have set others.
    "character_set_client": "utf8mb4",  # by skip-character-set-client-handshake the server ignores what a client says
    "character_set_connection": "utf8mb4",
    "character_set_results": "utf8mb4",
    "foreign_key_checks": 1,  # rows are deleted with those that they belong to
    "unique_checks": 1,
    "sql_safe_updates": 0,
    "sql_select_limit": 2**64 - 1,
    "sql_big_selects": 1,
    "max_sort_length": 1024,
    "sql_auto_is_null": 0,
    "completion_type": 0,  # a commit neither begins a transaction nor ends the connection
    "max_statement_time": 0,
}
_OF_READS: Mapping[str, object] = {"max_statement_time": READ_SECONDS}
_OF_GALERA: Mapping[str, object] = {"wsrep_sync_wait": 1}
"""Reads wait until this server has applied what the cluster had committed before."""
BEGIN_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",  # else the snapshot is ignored
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
"""Statements that begin a transaction in which all reads see one state."""


class Session:
    """Makes connections with the variables that a node needs. All of them are UTC, READ COMMITTED, and bounded."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_galera = False
        """Whether the server can be a part of a Galera cluster."""

    async def connect(self, dialect: Dialect, *, reads: bool, dates: Callable[[str], object] | None = None) -> Any:
        """Return a connection of asyncmy's own. With `dates` it returns dates as that makes them of their texts.

        Raise NotConnected.
        """
        _, of_url = dialect.create_connect_args(self.url)
        password = (self.url.password or "").encode()  # asyncmy would take Latin-1
        variables = {**_VARIABLES, **(_OF_READS if reads else {}), **(_OF_GALERA if self.is_galera else {})}
        arguments = {
            **of_url,
            "password": password,
            "charset": "utf8mb4",
            "read_timeout": SILENT_SECONDS,
            "conv": _conversions(dates),
            "program_name": "imagestore-sim",
            "init_command": "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in variables.items()),
        }
        return await open_connection({**arguments, **({"autocommit": True} if dates is not None else {})})

    def engine(self, *, reads: bool = False, pool: type[Pool] = NullPool, **options: Any) -> AsyncEngine:
        """Return an engine whose connections are in AUTOCOMMIT: transactions are begun by statements of our own."""
        engine: AsyncEngine = create_async_engine(
            self.url,
            poolclass=pool,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            async_creator=lambda: self.connect(engine.dialect, reads=reads),
            **options,
        )
        return engine

    async def connect_raw(self, dialect: Dialect) -> Any:
        """Return a connection of asyncmy's own, for reads. It returns dates as texts."""
        return await self.connect(dialect, reads=True, dates=str)


def _conversions(dates: Callable[[str], object] | None) -> dict[Any, Any]:
    """Return asyncmy's conversions, but sums as whole numbers where they are such, as SQLite has them."""
    from asyncmy.constants import FIELD_TYPE
    from asyncmy.converters import conversions

    changed = dict.fromkeys((FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL), _number)
    return {**conversions, **changed, **({FIELD_TYPE.DATETIME: dates} if dates is not None else {})}


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
