"""Which hosts the records of backup storages name: refuses to name one twice, and releases those no longer named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE
from imagestore_sim.database import Database
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.probe import Prober

Release = Callable[[str, Callable[[], Awaitable[bool]]], Awaitable[None]]
"""Called with a host name that a record named until now, and a function that returns whether no record names it."""

_BY_HOSTNAME = [select(model.uuid).where(model.hostname == bindparam("hostname")) for model in HOSTS.values()]


async def keep_host(hostname: str, is_unused: Callable[[], Awaitable[bool]]) -> None:
    """Do nothing on release, since real hosts are not ours to remove."""


class HostUsage:
    """Looks up which hosts are in use. A host serves one storage, whatever its type (domain 3.1)."""

    def __init__(self, database: Database, prober: Prober, release: Release) -> None:
        self._database = database
        self._prober = prober
        self._release = release
        self._adding: Counter[str] = Counter()
        """The number of storages on each host that are being added."""
        self._by_hostname = [sql_of(statement, database.dialect) for statement in _BY_HOSTNAME]

    @contextmanager
    def adding(self, hostname: str) -> Iterator[None]:
        """Count the host as used while the block runs."""
        self._adding[hostname] += 1
        try:
            yield
        finally:
            self._adding[hostname] -= 1
            if not self._adding[hostname]:
                del self._adding[hostname]

    async def refuse_duplicate(self, kind: str, hostname: str) -> None:
        """Raise OperationFailed if a storage of type `kind` names the host."""
        if await self._has_host(kind, hostname):
            there_is = f"a sftp backup storage[hostname:{hostname}] existing"
            if kind != SFTP_TYPE:
                there_is = f"an image store backup storage[hostname:{hostname}]"
            raise OperationFailed(f"duplicate backup storage. There has been {there_is}")

    async def refuse_other_type(self, kind: str, hostname: str, connection: AsyncConnection | None = None) -> None:
        """Raise OperationFailed if a storage of a type other than `kind` names the host.

        In the transaction of a `connection`, no other node can add one from here on until it ends.
        """
        for other in HOSTS:
            if other != kind and await self._has_host(other, hostname, connection):
                article = "a" if other == SFTP_TYPE else "an"
                raise OperationFailed(
                    "More than one BackupStorage on the same host identified by hostname."
                    f" There has been {article} {other} [hostname:{hostname}] existing."
                    f" The BackupStorage type to be added is {kind}. "
                )

    async def _has_host(self, kind: str, hostname: str, connection: AsyncConnection | None = None) -> bool:
        model = HOSTS[kind]
        found = select(model.uuid).where(model.hostname == hostname)
        if connection is None:
            return bool(await self._database.read(found))
        return await connection.scalar(found.with_for_update()) is not None

    async def release(self, hostname: str) -> None:
        """Drop the connection to a host that a record no longer names, or names with other credentials."""
        await self._prober.forget(hostname)
        await self._release(hostname, partial(self._is_unused, hostname))

    async def release_all(self, hostnames: Iterable[str]) -> None:
        """Release many hosts, after all records have been replaced."""
        for hostname in hostnames:
            await self.release(hostname)

    async def _is_unused(self, hostname: str) -> bool:
        """Return whether no record names a host. Looked up on the event loop, so that nothing changes in between."""
        return not self._adding[hostname] and not any(
            [await self._database.fetch_few(sql, (hostname,)) for sql in self._by_hostname]
        )
