"""Sessions: log in, check, extend, log out (wire-protocol 2).

The form of an Authorization header is checked before (`authentication`); a session itself is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import FollowedState
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.ids import Purpose, new_uuid
from imagestore_sim.rest.accounts import LOGIN_STEP, Accounts, wrong_user
from imagestore_sim.rest.errors import ApiError, ErrorCode, not_found
from imagestore_sim.rest.identity import Claim, Identity, NoClaim
from imagestore_sim.rest.kept_sessions import StoredSession
from imagestore_sim.rest.session_options import CLEANUP_INTERVAL, MAX_SESSIONS, SESSION_TIMEOUT
from imagestore_sim.rest.session_store import SessionStore, UserGone
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

KEPT_KEYS = 256
"""Sessions whose key is kept, so that their next calls need not compute it."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session as its client sees it, with its uuid. Dates are in epoch seconds."""

    uuid: str
    identity: Identity
    create_date: int
    expired_date: int


class Sessions:
    """All sessions of a node. Each call extends its session by a full time-out (`session.timeout`, seconds)."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        configuration: GlobalConfiguration,
        followed: FollowedState,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._key = lru_cache(maxsize=KEPT_KEYS)(vault.fingerprint)
        self._clock = clock
        self._configuration = configuration
        self._tasks = Tasks()
        self._accounts = Accounts(database, vault)
        self._follows = followed.is_shared
        timeout = partial(configuration.get, SESSION_TIMEOUT)
        self._store = SessionStore(database, clock, self._tasks, followed, timeout)

    async def open(self) -> None:
        """Load the valid sessions of an earlier run, and start purging (`session.cleanup.interval`, seconds)."""

        async def until_next_purge() -> None:
            await self._clock.sleep(self._configuration.get(CLEANUP_INTERVAL))

        await self._store.load()
        self._supervisor.keep(self._tasks, "purge of sessions", until_next_purge, lambda _: self.purge())

    async def recall(self) -> None:
        """Forget the sessions whose rows are gone, such as those of deleted accounts."""
        await self._store.reload()

    async def end_all(self) -> None:
        """Delete every session from the store. Call `recall` once that is committed."""
        await self._store.delete_all()

    async def close(self) -> None:
        """Stop purging. The sessions stay in the store."""
        await self._tasks.close()

    async def log_in_by_account(self, name: str, password: str, *, known_type: bool = True) -> LoggedIn:
        """Begin a session of an account; `password` is its SHA-512 in hex. Raise ApiError ID.1000 or ID.1006.

        Without `known_type` the login fails as for a wrong name.
        """
        identity = await self._accounts.identify_account(name, password, known_type=known_type)
        return await self._begin(identity, LOGIN_STEP)

    async def log_in_by_user(
        self, name: str, password: str, *, account_uuid: str | None, account_name: str | None
    ) -> LoggedIn:
        """Begin a session of a user, in the account given by uuid or by name. Raise ApiError ID.1000 or ID.1006."""
        return await self._begin(
            await self._accounts.identify_user(name, password, account_uuid=account_uuid, account_name=account_name)
        )

    async def begin_for_account(self, name: str) -> LoggedIn | None:
        """Begin a session of an account without its password; None without such an account. Raise ApiError ID.1006.

        The uuids of the sessions that clients log in for stay the same where they are drawn from a seed.
        """
        identity = await self._accounts.find(name)
        return None if identity is None else await self._begin(identity, purpose="lab session")

    async def has_default_password(self) -> bool:
        """Return whether admin still logs in with the password of a fresh node."""
        return await self._accounts.has_default_password()

    async def _begin(self, identity: Identity, location: str | None = None, purpose: Purpose = "session") -> LoggedIn:
        await self.purge()
        now = int(self._clock.time())
        most = self._configuration.get(MAX_SESSIONS)
        if await self._store.count_of(identity) >= most:
            raise _too_many(location)
        uuid = new_uuid(purpose)
        expires = now + self._configuration.get(SESSION_TIMEOUT)
        session = StoredSession(self._key(uuid), identity, now, expires)
        try:
            if not await self._store.add(session, most):
                raise _too_many(location)
        except UserGone:
            raise wrong_user() from None
        return _as_shown(session, uuid)

    async def _key_of(self, session_uuid: str) -> str:
        """Return the fingerprint of a session, which is known as it is in the store then. Raise StoreUnavailable."""
        key = self._key(session_uuid)
        await self._store.look_up(key)
        return key

    async def exists(self, session_uuid: str) -> bool:
        """Return whether the session exists; it may have expired."""
        return self._store.exists(await self._key_of(session_uuid))

    async def recognize(self, session_uuid: str) -> Identity | None:
        """Return who has the session, or None if it is not valid. Do not extend it (wire-protocol 2.6)."""
        key = self._key(session_uuid)
        if self._follows:
            await self._store.look_up(key)
        session = self._store.valid(key)
        return None if session is None else session.identity

    def recognize_at_once(self, session_uuid: str) -> Identity | None:
        """Return what `recognize` does; also None where other nodes write the store, which had to be asked."""
        session = None if self._follows else self._store.valid(self._key(session_uuid))
        return None if session is None else session.identity

    def extend(self, session_uuid: str) -> None:
        """Extend a session that is valid, as `identify` does."""
        self._store.extend(self._key(session_uuid), self._configuration.get(SESSION_TIMEOUT))

    async def identify(self, claim: Claim) -> Identity:
        """Return who makes a call, and extend the session. Raise ApiError ID.1001 if it is not valid."""
        if isinstance(claim, Identity):
            return claim
        if not isinstance(claim, str):
            raise ApiError(ErrorCode("ID.1001", NoClaim.NO_UUID.value))
        key = self._key(claim)
        if self._follows:
            await self._store.look_up(key)
        if self._store.valid(key) is None:
            if self._store.exists(key):
                self._store.end_in_background(key)
            raise ApiError(ErrorCode("ID.1001", "Session expired"))
        return self._store.extend(key, self._configuration.get(SESSION_TIMEOUT)).identity

    async def renew(self, session_uuid: str, seconds: int | None) -> LoggedIn:
        """Let a session expire `seconds` from now, by default a full time-out; its next call sets that back.

        Raise ApiError SYS.1003 if it is not valid.
        """
        key = await self._key_of(session_uuid)
        if self._store.valid(key) is None:
            raise not_found(f"invalid field[sessionUuid], resource[uuid:{session_uuid}, type:SessionVO] not found")
        extended = await self._store.extend_everywhere(key, seconds or self._configuration.get(SESSION_TIMEOUT))
        return _as_shown(extended, session_uuid)

    async def log_out(self, session_uuid: str) -> None:
        """End a session, if it exists."""
        await self._store.end(await self._key_of(session_uuid))

    async def end_of(self, owner: str) -> None:
        """End the sessions of an account with its users, or of one user, by the uuid of either (observed 9)."""
        await self._store.end_of(owner)

    async def purge(self) -> None:
        """Delete every expired session."""
        await self._store.purge()


def _too_many(location: str | None) -> ApiError:
    text = "Login sessions hit limit of max allowed concurrent login sessions"
    return ApiError(ErrorCode("ID.1006", text, location=location))


def _as_shown(session: StoredSession, uuid: str) -> LoggedIn:
    return LoggedIn(uuid, session.identity, session.create_date, session.expired_date)
