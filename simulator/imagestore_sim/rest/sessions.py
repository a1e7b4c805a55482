"""Sessions: who may call (wire-protocol 2). The Authorization header's form is checked before the session itself is."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable, Vault
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import ADMIN_UUID, Account, Session, User
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.errors import WRONG_PASSWORD, WRONG_USER, ApiError, ErrorCode, not_found
from imagestore_sim.rest.session_options import CLEANUP_INTERVAL, MAX_SESSIONS, SESSION_TIMEOUT
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

ADMIN_NAME = "admin"
DEFAULT_PASSWORD = "password"  # noqa: S105 - what everyone expects of a fresh node
LOGIN_STEP = "process-login (location:2/2)"
# A slid expiry is written when it has moved by this much: a restart may shorten a session by so many seconds.
WRITE_EXPIRY_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: an account, or one of its users."""

    account_uuid: str
    user_uuid: str

    @property
    def is_user(self) -> bool:
        """Whether it is a user of an account, not the account itself."""
        return self.user_uuid != self.account_uuid

    @property
    def is_admin(self) -> bool:
        """Whether nothing is forbidden to it."""
        return self.account_uuid == ADMIN_UUID


class NoClaim(Enum):
    """Why a message of the legacy API claims nobody."""

    NO_SESSION = "session of message[{}] is null"
    NO_UUID = "session uuid is null"


Claim = Identity | str | NoClaim | None
"""What a call shows of who makes it: an identity, proved by a signature, or the uuid of a session, yet unchecked; None
for an API that asks for none."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session as its client is shown it: times in epoch seconds."""

    uuid: str
    identity: Identity
    create_date: int
    expired_date: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as it is kept, by the fingerprint of its uuid: the uuid itself, which lets one in, is kept nowhere."""

    key: str
    identity: Identity
    create_date: int
    expired_date: int

    def shown(self, uuid: str) -> LoggedIn:
        """The session, for the client that has its uuid."""
        return LoggedIn(uuid, self.identity, self.create_date, self.expired_date)


class Sessions:
    """Every login there is: kept in memory for speed, and in the database, so that a restart logs nobody out."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        configuration: GlobalConfiguration,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._database = database
        self._vault = vault
        self._clock = clock
        self._configuration = configuration
        self._sessions: dict[str, Kept] = {}
        self._written_expiry: dict[str, int] = {}
        self._tasks = Tasks()

    async def open(self) -> None:
        """Read the sessions that an earlier run left and that are still valid, and begin to purge."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.expiredDate <= int(self._clock.time())))
        for row in await self._database.read(select(Session)):
            identity = Identity(row.accountUuid, row.userUuid)
            self._sessions[row.uuid] = Kept(row.uuid, identity, row.createDate, row.expiredDate)
            self._written_expiry[row.uuid] = row.expiredDate
        self._supervisor.keep(self._tasks, "purge of sessions", self._until_purge, lambda _: self.purge())

    async def recall(self) -> None:
        """Forget the sessions of accounts that are gone."""
        left = {row.uuid for row in await self._database.read(select(Session.uuid))}
        self._sessions = {key: session for key, session in self._sessions.items() if key in left}

    async def end_all(self) -> None:
        """End every session in the store; `recall` follows once that is committed."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session))

    async def close(self) -> None:
        """Purge no more; the sessions stay in the database."""
        await self._tasks.close()

    async def log_in_by_account(self, name: str, password: str, *, known: bool = True) -> LoggedIn:
        """A new session for an account; `password` is its SHA-512 in hex. Raises ApiError ID.1000, ID.1006.

        An account of a kind that is not `known` is none.
        """
        rows = await self._database.read(select(Account.uuid, Account.password).where(_is_named(Account.name, name)))
        if not self._vault.is_password(password.rstrip(" "), rows[0].password if rows else None) or not known:
            wrong = ErrorCode(
                "ID.1000", "wrong account name or password", explanation=WRONG_PASSWORD, location=LOGIN_STEP
            )
            raise ApiError(wrong)
        return await self._begin(Identity(rows[0].uuid, rows[0].uuid))

    async def has_default_password(self) -> bool:
        """Whether admin logs in with the password that every fresh node has."""
        rows = await self._database.read(select(Account.password).where(Account.name == ADMIN_NAME))
        sent = hashlib.sha512(DEFAULT_PASSWORD.encode()).hexdigest()
        return any(self._vault.is_password(sent, row.password) for row in rows)

    async def log_in_by_user(
        self, name: str, password: str, *, account_uuid: str | None, account_name: str | None
    ) -> LoggedIn:
        """A new session for a user of the account that either is given of. Raises ApiError ID.1000, ID.1006."""
        of_account: ColumnElement[bool] = Account.uuid == account_uuid
        if account_uuid is None:
            of_account = _is_named(Account.name, account_name or "")
        users = select(User.uuid, User.accountUuid, User.password).join(Account, Account.uuid == User.accountUuid)
        rows = await self._database.read(users.where(of_account, _is_named(User.name, name)))
        if not self._vault.is_password(password.rstrip(" "), rows[0].password if rows else None):
            raise ApiError(ErrorCode("ID.1000", "wrong account or username or password", explanation=WRONG_USER))
        return await self._begin(Identity(rows[0].accountUuid, rows[0].uuid))

    async def _begin(self, identity: Identity) -> LoggedIn:
        await self.purge()
        now = int(self._clock.time())
        of_user = sum(one.identity.user_uuid == identity.user_uuid for one in self._sessions.values())
        if of_user >= self._configuration.get(MAX_SESSIONS):
            text = "Login sessions hit limit of max allowed concurrent login sessions"
            raise ApiError(ErrorCode("ID.1006", text))
        uuid = new_uuid("session")
        expires = now + self._configuration.get(SESSION_TIMEOUT)
        session = Kept(self._vault.fingerprint(uuid), identity, now, expires)
        # Counted before it is written, so that concurrent logins cannot slip past the limit together.
        self._sessions[session.key] = session
        self._written_expiry[session.key] = session.expired_date
        try:
            await self._insert(session)
        except BaseException:
            self._sessions.pop(session.key, None)
            self._written_expiry.pop(session.key, None)
            raise
        return session.shown(uuid)

    async def _insert(self, session: Kept) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                insert(Session).values(
                    uuid=session.key,
                    accountUuid=session.identity.account_uuid,
                    userUuid=session.identity.user_uuid,
                    createDate=session.create_date,
                    expiredDate=session.expired_date,
                )
            )

    def is_valid(self, session_uuid: str) -> bool:
        """Whether a session exists and has not expired; asking does not extend it (wire-protocol 2.6)."""
        return self.recognize(session_uuid) is not None

    def exists(self, session_uuid: str) -> bool:
        """Whether there is such a session, though it may have expired."""
        return self._vault.fingerprint(session_uuid) in self._sessions

    def recognize(self, session_uuid: str) -> Identity | None:
        """Whose session it is, if it is valid; looking does not extend it."""
        session = self._valid(self._vault.fingerprint(session_uuid))
        return None if session is None else session.identity

    def _valid(self, key: str) -> Kept | None:
        session = self._sessions.get(key)
        return session if session is not None and session.expired_date >= int(self._clock.time()) else None

    async def identify(self, claim: Claim) -> Identity:
        """Who makes a call. A session's expiry slides to a full time-out from now. Raises ApiError ID.1001."""
        if isinstance(claim, Identity):
            return claim
        if not isinstance(claim, str):
            raise ApiError(ErrorCode("ID.1001", NoClaim.NO_UUID.value))
        key = self._vault.fingerprint(claim)
        if self._valid(key) is None:
            if key in self._sessions:
                self._tasks.begin(self._end_expired(key), "end of a session")  # who asks waits for no lock
            raise ApiError(ErrorCode("ID.1001", "Session expired"))
        return (await self._extend(key, self._configuration.get(SESSION_TIMEOUT))).identity

    async def renew(self, session_uuid: str, seconds: int | None) -> LoggedIn:
        """Let a session last for so long from now, a full time-out unless told otherwise; its next call sets it back.

        Raises ApiError SYS.1003 if it has ended meanwhile.
        """
        key = self._vault.fingerprint(session_uuid)
        if self._valid(key) is None:
            raise not_found(f"invalid field[sessionUuid], resource[uuid:{session_uuid}, type:SessionVO] not found")
        extended = await self._extend(key, seconds or self._configuration.get(SESSION_TIMEOUT))
        return extended.shown(session_uuid)

    async def _extend(self, key: str, seconds: int) -> Kept:
        session = self._sessions[key]
        expired_date = int(self._clock.time()) + seconds
        if session.expired_date == expired_date:
            return session
        session = self._sessions[key] = replace(session, expired_date=expired_date)
        written = self._written_expiry[key]
        if abs(session.expired_date - written) >= WRITE_EXPIRY_AFTER_SECONDS:
            self._written_expiry[key] = session.expired_date
            # By itself: a call that only reads waits for no lock, and is answered though the store takes no change.
            self._tasks.begin(self._write_expiry(session, written), "expiry of a session")
        return session

    async def _write_expiry(self, session: Kept, written: int) -> None:
        try:
            async with self._database.transaction() as connection:
                slide = update(Session).where(Session.uuid == session.key)
                await connection.execute(slide.values(expiredDate=session.expired_date))
        except StoreUnavailable:
            if session.key in self._written_expiry:
                self._written_expiry[session.key] = written  # a later call writes it

    async def log_out(self, session_uuid: str) -> None:
        """End a session; one that does not exist is ended already."""
        await self._end(self._vault.fingerprint(session_uuid))

    async def _end(self, key: str) -> None:
        if key not in self._sessions:
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.uuid == key))
        await self._database.after_commit(partial(self._forget, key))

    async def _end_expired(self, key: str) -> None:
        with suppress(StoreUnavailable):  # the purge ends it then
            await self._end(key)

    def _forget(self, key: str) -> None:
        self._written_expiry.pop(key, None)
        self._sessions.pop(key, None)

    async def purge(self) -> None:
        """Delete every expired session."""
        now = int(self._clock.time())
        # What is in memory counts: an expiry that has slid may not be written yet.
        expired = [one.key for one in self._sessions.values() if one.expired_date < now]
        if not expired:
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(Session).where(Session.uuid.in_(expired)))
        for key in expired:
            self._forget(key)

    async def _until_purge(self) -> None:
        await self._clock.sleep(self._configuration.get(CLEANUP_INTERVAL))


def _is_named(column: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """Whether a name is that one as ZStack's database compares it: without case, accents and trailing blanks."""
    return func.general_ci(column) == func.general_ci(name)
