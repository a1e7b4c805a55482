"""Sessions as they are stored: in memory for speed, and in the database, so that they survive a restart."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import delete, insert, or_, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import Session
from imagestore_sim.rest.identity import Identity
from imagestore_sim.tasks import Tasks

WRITE_EXPIRY_AFTER_SECONDS = 60
"""A new expiry is written once it has moved this far: after a crash a session may end that many seconds early."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session by the fingerprint of its uuid. The uuid itself, which grants access, is stored nowhere.

    Dates are in epoch seconds.
    """

    key: str
    identity: Identity
    create_date: int
    expired_date: int


class SessionStore:
    """The sessions in memory, and their rows. Memory is authoritative: a row's expiry may lag behind.

    Writes that no caller waits for run in `tasks`.
    """

    def __init__(self, database: Database, clock: Clock, tasks: Tasks) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._sessions: dict[str, StoredSession] = {}
        self._written_expiry: dict[str, int] = {}

    async def load(self) -> None:
        """Delete the rows that have expired, and read the others."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.expiredDate <= self._now()))
        for row in await self._database.read(select(Session)):
            identity = Identity(row.accountUuid, row.userUuid)
            self._sessions[row.uuid] = StoredSession(row.uuid, identity, row.createDate, row.expiredDate)
            self._written_expiry[row.uuid] = row.expiredDate

    async def reload(self) -> None:
        """Forget the sessions that have no row any more."""
        left = {row.uuid for row in await self._database.read(select(Session.uuid))}
        self._sessions = {key: session for key, session in self._sessions.items() if key in left}

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
        return session if session is not None and session.expired_date >= self._now() else None

    def count_of(self, identity: Identity) -> int:
        """Return how many sessions that user has, or the account itself."""
        return sum(one.identity.user_uuid == identity.user_uuid for one in self._sessions.values())

    async def add(self, session: StoredSession) -> None:
        """Store a new session.

        It counts before it is written, so that concurrent logins cannot exceed the limit together.
        """
        self._sessions[session.key] = session
        self._written_expiry[session.key] = session.expired_date
        values = {
            "uuid": session.key,
            "accountUuid": session.identity.account_uuid,
            "userUuid": session.identity.user_uuid,
            "createDate": session.create_date,
            "expiredDate": session.expired_date,
        }
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(Session).values(**values))
        except BaseException:
            self._forget(session.key)
            raise

    def extend(self, key: str, seconds: int) -> StoredSession:
        """Let a session expire `seconds` from now, and return it."""
        session = self._sessions[key]
        expired_date = self._now() + seconds
        if session.expired_date == expired_date:
            return session
        session = self._sessions[key] = replace(session, expired_date=expired_date)
        written = self._written_expiry[key]
        if abs(session.expired_date - written) >= WRITE_EXPIRY_AFTER_SECONDS:
            self._written_expiry[key] = session.expired_date
            # In the background: a call that only reads must not wait for the store's write lock, nor fail with it.
            self._tasks.begin(self._write_expiry(session, written), "expiry of a session")
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
        keys = [
            key for key, one in self._sessions.items() if owner in (one.identity.account_uuid, one.identity.user_uuid)
        ]
        async with self._database.transaction() as connection:
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
        """Delete every expired session, by the expiry in memory."""
        now = self._now()
        expired = [one.key for one in self._sessions.values() if one.expired_date < now]
        if not expired:
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.uuid.in_(expired)))
        for key in expired:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._written_expiry.pop(key, None)
        self._sessions.pop(key, None)

    def _now(self) -> int:
        return int(self._clock.time())
