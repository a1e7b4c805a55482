"""Sessions as they are stored: in memory for speed, and in the database, so that they survive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sqlalchemy import Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import FollowedState
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import Account, Session, User
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.pieces import in_pieces
from imagestore_sim.rest.identity import Identity
from imagestore_sim.rest.kept_sessions import KeptSessions, StoredSession
from imagestore_sim.tasks import Tasks

WRITE_EXPIRY_AFTER_SECONDS = 60
"""A new expiry is written once it has moved this far: after a crash a session may end that many seconds early.

Where several nodes share the store, it is written sooner if sessions are short, and a session lasts that much longer.
"""
_COLUMNS = (Session.uuid, Session.accountUuid, Session.userUuid, Session.createDate, Session.expiredDate)
_ALL = select(*_COLUMNS)
_KEYS = select(Session.uuid)
_BY_KEY = select(*_COLUMNS).where(Session.uuid == bindparam("uuid"))
SESSIONS_OF_A_TURN = 500
"""Sessions that are read, forgotten or deleted before the event loop has its turn."""


class UserGone(Exception):
    """A user was deleted while it logged in."""


class SessionStore:
    """The sessions in memory, and their rows. Memory is authoritative: a row's expiry may lag behind.

    Where other nodes write the store, the rows are: `look_up` reads one before its session is asked for. Writes that no
    caller waits for run in `tasks`.
    """

    def __init__(
        self, database: Database, clock: Clock, tasks: Tasks, followed: FollowedState, timeout: Callable[[], int]
    ) -> None:
        """Take `timeout`, which returns the seconds that a session lasts after a call."""
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._followed = followed
        self._timeout = timeout
        self._by_key = sql_of(_BY_KEY, database.dialect)
        self._sessions = KeptSessions()
        self._written_expiry: dict[str, int] = {}
        self._looked_up: dict[str, int] = {}
        """The revision of the store at which each session was read."""

    async def load(self) -> None:
        """Delete the rows that have expired, and read the others."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.expiredDate <= self._now() - self._lag))
        rows = await self._database.fetch(sql_of(_ALL, self._database.dialect), ())
        for piece in in_pieces(rows, SESSIONS_OF_A_TURN):
            for row in piece:
                self._keep(*row)
            await _others_turn(piece)

    async def look_up(self, key: str) -> None:
        """Read the row of a session that another node may have begun, extended or ended. Raise StoreUnavailable."""
        if not self._followed.is_shared or self._looked_up.get(key) == self._followed.revision:
            return
        revision = self._followed.revision
        rows = await self._database.fetch_few(self._by_key, (key,))
        if not rows:
            self._forget(key)
            return
        if rows[0][4] != self._written_expiry.get(key):  # else this node may have extended it since
            self._keep(*rows[0])
        self._looked_up[key] = revision

    def _keep(self, key: str, account_uuid: str, user_uuid: str, create_date: int, expired_date: int) -> None:
        self._sessions.put(StoredSession(key, Identity(account_uuid, user_uuid), create_date, expired_date))
        self._written_expiry[key] = expired_date

    @property
    def _lag(self) -> int:
        """Seconds for which a session outlives its row's expiry: another node may have extended it that much."""
        return self._write_after if self._followed.is_shared else 0

    @property
    def _write_after(self) -> int:
        """Seconds that an expiry moves before it is written."""
        if not self._followed.is_shared:
            return WRITE_EXPIRY_AFTER_SECONDS
        return max(1, min(WRITE_EXPIRY_AFTER_SECONDS, self._timeout() // 20))

    async def reload(self) -> None:
        """Forget the sessions that have no row any more."""
        left = {key for (key,) in await self._database.fetch(sql_of(_KEYS, self._database.dialect), ())}
        for piece in in_pieces([key for key in self._sessions if key not in left], SESSIONS_OF_A_TURN):
            for key in piece:
                self._forget(key)
            await _others_turn(piece)

    async def delete_all(self) -> None:
        """Delete every row. Call `reload` once that is committed."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session))

    def exists(self, key: str) -> bool:
        """Return whether the session exists; it may have expired."""
        return key in self._sessions

    def valid(self, key: str) -> StoredSession | None:
        """Return the session, or None if it does not exist or has expired."""
        session = self._sessions.get(key)
        return session if session is not None and session.expired_date + self._lag >= self._now() else None

    async def count_of(self, identity: Identity) -> int:
        """Return how many sessions that user has, or the account itself."""
        if not self._followed.is_shared:
            return len(self._sessions.of_user(identity.user_uuid))
        [row] = await self._database.read(_number_of(identity))
        return row[0]

    async def add(self, session: StoredSession, most: int) -> bool:
        """Store a new session; return False if its user, or the account itself, has `most` by now.

        It counts before it is written, so that concurrent logins cannot exceed the limit together. Where other nodes
        write the store, the rows count, and logins of one account wait for each other. Raise UserGone.
        """
        self._sessions.put(session)
        self._written_expiry[session.key] = session.expired_date
        values = {
            "uuid": session.key,
            "accountUuid": session.identity.account_uuid,
            "userUuid": session.identity.user_uuid,
            "createDate": session.create_date,
            "expiredDate": session.expired_date,
        }

        async def write() -> bool:
            async with self._database.transaction() as connection:
                await _require_user(connection, session.identity)
                if self._followed.is_shared and await _count_exactly(connection, session.identity) >= most:
                    return False
                await connection.execute(insert(Session).values(**values))
            return True

        added = False
        try:
            added = await self._database.atomically(write)
        finally:
            if not added:
                self._forget(session.key)
        return added

    def extend(self, key: str, seconds: int) -> StoredSession:
        """Let a session expire `seconds` from now, and return it."""
        session = self._sessions.get(key)
        assert session is not None
        expired_date = self._now() + seconds
        if session.expired_date == expired_date:
            return session
        session = replace(session, expired_date=expired_date)
        self._sessions.put(session)
        written = self._written_expiry[key]
        if abs(session.expired_date - written) >= self._write_after:
            self._written_expiry[key] = session.expired_date
            # In the background: a call that only reads must not wait for the store's write lock, nor fail with it.
            self._tasks.begin(self._write_expiry(session, written), "expiry of a session")
        return session

    async def extend_everywhere(self, key: str, seconds: int) -> StoredSession:
        """Let a session expire `seconds` from now, on every node that shares the store, and return it."""
        session = self.extend(key, seconds)
        if self._followed.is_shared:
            self._written_expiry[key] = session.expired_date
            async with self._database.transaction() as connection:
                row = update(Session).where(Session.uuid == key)
                await connection.execute(row.values(expiredDate=session.expired_date))
        return session

    async def _write_expiry(self, session: StoredSession, written: int) -> None:
        try:
            async with self._database.transaction() as connection:
                row = update(Session).where(Session.uuid == session.key)
                await connection.execute(row.values(expiredDate=session.expired_date))
        except StoreUnavailable:
            if session.key in self._written_expiry:
                self._written_expiry[session.key] = written  # a later call writes it

    async def end(self, key: str) -> None:
        """Delete a session, if it exists."""
        if key not in self._sessions:
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.uuid == key))
        await self._database.after_commit(partial(self._forget, key))

    async def end_of(self, owner: str) -> None:
        """Delete the sessions of an account with its users, or of one user, by the uuid of either."""
        keys = [*self._sessions.of_account(owner), *self._sessions.of_user(owner)]
        async with self._database.transaction() as connection:
            await lock(connection, select(User.uuid).where(User.uuid == owner))  # who may be logging in
            await connection.execute(
                delete(Session).where(or_(Session.accountUuid == owner, Session.userUuid == owner))
            )

        def forget() -> None:
            for key in keys:
                self._forget(key)

        await self._database.after_commit(forget)

    def end_in_background(self, key: str) -> None:
        """Delete a session that has expired, without making the caller wait for the store's write lock."""

        async def end_if_possible() -> None:
            with suppress(StoreUnavailable):  # the next purge deletes it
                await self.end(key)

        self._tasks.begin(end_if_possible(), "end of a session")

    async def purge(self) -> None:
        """Delete every expired session, by the expiry in memory; by the rows where other nodes write them."""
        now = self._now() - self._lag
        expired = self._sessions.expired(now)
        if self._followed.is_shared:
            for key in expired:
                self._forget(key)  # one that another node has extended is read again
            old = select(Session.uuid).where(Session.expiredDate < now)
            expired = [row.uuid for row in await self._database.read(old)]
        for piece in in_pieces(expired, SESSIONS_OF_A_TURN):
            async with self._database.transaction() as connection:
                await connection.execute(delete(Session).where(Session.uuid.in_(piece)))
            for key in piece:
                self._forget(key)

    def _forget(self, key: str) -> None:
        self._written_expiry.pop(key, None)
        self._looked_up.pop(key, None)
        self._sessions.remove(key)

    def _now(self) -> int:
        return int(self._clock.time())


async def _require_user(connection: AsyncConnection, identity: Identity) -> None:
    """Raise UserGone if a user was deleted. Else the user is there until the transaction ends.

    The database does the same for an account: the row of a session has no foreign key to its user.
    """
    if identity.user_uuid != identity.account_uuid:
        this = select(User.uuid).where(User.uuid == identity.user_uuid).with_for_update()
        if await connection.scalar(this) is None:
            raise UserGone


def _number_of(identity: Identity) -> Select[int]:
    return select(func.count()).select_from(Session).where(Session.userUuid == identity.user_uuid)


async def _count_exactly(connection: AsyncConnection, identity: Identity) -> int:
    """Return how many sessions that user has, or the account itself; no login changes it until the end."""
    await lock(connection, select(Account.uuid).where(Account.uuid == identity.account_uuid))
    return await connection.scalar(_number_of(identity)) or 0


async def _others_turn(piece: Sequence[object]) -> None:
    """Let the event loop have its turn, if more may follow."""
    if len(piece) == SESSIONS_OF_A_TURN:
        await asyncio.sleep(0)
