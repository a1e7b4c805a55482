"""Sessions: who may call (wire-protocol 2). The Authorization header's form is checked before the session itself is."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from sqlalchemy import delete, insert, select, update

from simulator.clock import Clock
from simulator.database import Database
from simulator.database.models import Account, Session
from simulator.rest.errors import ApiError, ErrorCode, PlainError
from simulator.uuids import new_uuid

ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"
ADMIN_NAME = "admin"
DEFAULT_PASSWORD = "password"  # noqa: S105 - what everyone expects of a fresh node
TIMEOUT_SECONDS = 7200
LIMIT_OF_A_USER = 500
# A slid expiry is written when it has moved by this much: a restart may shorten a session by so many seconds.
WRITE_EXPIRY_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session: times in epoch seconds."""

    uuid: str
    account_uuid: str
    user_uuid: str
    create_date: int
    expired_date: int


class Sessions:
    """Every login there is: kept in memory for speed, and in the database, so that a restart logs nobody out."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sessions: dict[str, LoggedIn] = {}
        self._written_expiry: dict[str, int] = {}

    async def load(self) -> None:
        """Read the sessions that an earlier run left and that are still valid; the others are deleted."""
        await self.purge()
        for row in await self._database.read(select(Session)):
            session = LoggedIn(row.uuid, row.accountUuid, row.userUuid, row.createDate, row.expiredDate)
            self._sessions[session.uuid] = session
            self._written_expiry[session.uuid] = session.expired_date

    async def log_in_by_account(self, name: str, password: str) -> LoggedIn:
        """A new session for an account; `password` is its SHA-512 in hex. Raises ApiError ID.1000, ID.1006."""
        rows = await self._database.read(select(Account.uuid, Account.password).where(Account.name == name))
        expected = rows[0].password if rows else ""
        # Hex may come in either case; ZStack's database compares without it.
        if not hmac.compare_digest(expected.lower().encode(), password.lower().encode()) or not rows:
            raise ApiError(ErrorCode("ID.1000", "wrong account name or password"))
        return await self._open(account_uuid=rows[0].uuid, user_uuid=rows[0].uuid)

    async def _open(self, account_uuid: str, user_uuid: str) -> LoggedIn:
        now = int(self._clock.time())
        for expired in [one.uuid for one in self._sessions.values() if one.expired_date <= now]:
            await self.log_out(expired)
        if sum(one.user_uuid == user_uuid for one in self._sessions.values()) >= LIMIT_OF_A_USER:
            text = "Login sessions hit limit of max allowed concurrent login sessions"
            raise ApiError(ErrorCode("ID.1006", text))
        session = LoggedIn(new_uuid(), account_uuid, user_uuid, now, now + TIMEOUT_SECONDS)
        # Counted before it is written, so that concurrent logins cannot slip past the limit together.
        self._sessions[session.uuid] = session
        self._written_expiry[session.uuid] = session.expired_date
        try:
            await self._insert(session)
        except BaseException:
            self._sessions.pop(session.uuid, None)
            raise
        return session

    async def _insert(self, session: LoggedIn) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(Session).values(
                    uuid=session.uuid,
                    accountUuid=session.account_uuid,
                    userUuid=session.user_uuid,
                    createDate=session.create_date,
                    expiredDate=session.expired_date,
                )
            )

    def is_valid(self, session_uuid: str) -> bool:
        """Whether a session exists and has not expired; asking does not extend it (wire-protocol 2.6)."""
        session = self._sessions.get(session_uuid)
        return session is not None and session.expired_date > self._clock.time()

    async def check(self, session_uuid: str) -> LoggedIn:
        """The session, whose expiry slides to a full time-out from now. Raises ApiError ID.1001 (wire-protocol 2.3)."""
        if not self.is_valid(session_uuid):
            if session_uuid in self._sessions:
                await self.log_out(session_uuid)
            raise ApiError(ErrorCode("ID.1001", "Session expired"))
        session = replace(self._sessions[session_uuid], expired_date=int(self._clock.time()) + TIMEOUT_SECONDS)
        self._sessions[session_uuid] = session
        if session.expired_date - self._written_expiry[session_uuid] >= WRITE_EXPIRY_AFTER_SECONDS:
            await self._write_expiry(session)
        return session

    async def _write_expiry(self, session: LoggedIn) -> None:
        self._written_expiry[session.uuid] = session.expired_date
        async with self._database.transaction() as connection:
            slide = update(Session).where(Session.uuid == session.uuid)
            await connection.execute(slide.values(expiredDate=session.expired_date))

    async def log_out(self, session_uuid: str) -> None:
        """End a session; one that does not exist is ended already."""
        self._written_expiry.pop(session_uuid, None)
        if self._sessions.pop(session_uuid, None) is None:
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.uuid == session_uuid))

    async def purge(self) -> None:
        """Delete every expired session."""
        now = int(self._clock.time())
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.expiredDate <= now))
        self._sessions = {one.uuid: one for one in self._sessions.values() if one.expired_date > now}


def session_uuid_of(authorization: str | None) -> str:
    """The session that an Authorization header names, not yet checked. Raises PlainError (wire-protocol 2.2)."""
    if authorization is None:
        raise PlainError(400, "missing header 'Authorization'")
    value = authorization.strip()
    if value.startswith("OAuth"):
        return value.removeprefix("OAuth").strip()
    if value.startswith("ZStack"):
        text = "RestAuthenticationType type: ZStack was not registered by any RestAuthenticationBackend"
        raise PlainError(500, text)
    raise PlainError(400, "Authorization type must be 'OAuth'")
