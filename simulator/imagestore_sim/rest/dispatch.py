"""Carry out a message of either API: validation, session, handler, errors (wire-protocol 0)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.sql.dml import UpdateBase

from imagestore_sim.database import StoreConflict
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.encoding import with_elements
from imagestore_sim.rest.errors import ApiError, ErrorCode, NothingToDo, PlainError, internal_error
from imagestore_sim.rest.identity import Claim, Identity, NoClaim
from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.messages import Call, CreateMessage, DeleteMessage, Handlers, Message, Reply
from imagestore_sim.rest.parameters import Api
from imagestore_sim.rest.remote_handlers import RemoteFailure, RemoteHandlers
from imagestore_sim.rest.sessions import Sessions
from imagestore_sim.rest.validation import FindMissing, check_resource_uuid, validate
from imagestore_sim.rest.versions import ZStackVersion

logger = logging.getLogger(__name__)
S = TypeVar("S")
Translate = Callable[[Exception], ApiError | None]
"""Returns the ZStack error for an exception of another package, or None for an exception that it does not know."""
VALIDATION_ONLY = frozenset(("validationOnly", "ephemeral::validationOnly"))


class Tags(Protocol):
    """Checks and stores the tags of new resources."""

    async def check(self, message: CreateMessage) -> None:
        """Raise ApiError SYS.1007 for a tag that is unknown or not allowed on a new resource."""

    async def writes(self, message: CreateMessage, reply: Reply) -> Sequence[UpdateBase]:
        """Return the statements that write the tags of the new resource in a reply."""


class Rights(Protocol):
    """Checks what a caller may do."""

    async def check(self, api: Api, values: Values, identity: Identity) -> None:
        """Raise ApiError SYS.1006 for a change to a resource that belongs to another account."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the dispatcher checks with: resources, tags, rights, leniency, version; and how it translates exceptions."""

    missing: FindMissing
    tags: Tags
    translate: Translate
    leniency: Leniency
    rights: Rights
    version: ZStackVersion


class Dispatcher(Generic[S]):
    """Carries out messages. Their handlers get `services`."""

    def __init__(
        self, handlers: Handlers[S], services: S, sessions: Sessions, rules: Rules, runs: RemoteHandlers[S]
    ) -> None:
        """Take `runs`, which runs a handler here or on another node."""
        self._runs = runs
        self._handlers = handlers
        self._services = services
        self._sessions = sessions
        self._rules = rules

    async def recognize(self, session_uuid: str) -> Identity | None:
        """Return who has the session, or None if it is not valid. Do not extend it."""
        return await self._sessions.recognize(session_uuid)

    def recognize_at_once(self, session_uuid: str) -> Identity | None:
        """Return what `recognize` does; also None if that has to wait for something."""
        return self._sessions.recognize_at_once(session_uuid)

    def extend(self, session_uuid: str) -> None:
        """Extend a session that has just been recognized."""
        self._sessions.extend(session_uuid)

    async def account_of(self, claim: Claim) -> str | None:
        """Return the uuid of the account that makes a call, or None for an invalid claim. Do not extend the session."""
        identity = await self.recognize(claim) if isinstance(claim, str) else claim
        return identity.account_uuid if isinstance(identity, Identity) else None

    async def identify(self, claim: Claim) -> Identity:
        """Return who makes a call, and extend the session. Raise ApiError ID.1001 if it is not valid."""
        try:
            return await self._sessions.identify(claim)
        except ApiError as failure:
            failure.error = self._rules.version.complete(failure.error)
            raise

    async def carry_out(self, message: type[Message], values: Values, uuid: str, claim: Claim) -> Reply:
        """Validate the values, check the session, run the handler.

        Rules and resources are checked before the session, so that a bad argument is reported even with a bad session;
        then come the API's own checks, and tags last. Raise ApiError, and PlainError for a synchronous call that asks
        for validation only.
        """
        try:
            return await self._safely(message, uuid, self._carry_out(message, values, uuid, claim))
        except ApiError as failure:
            failure.error = self._rules.version.complete(failure.error)  # with the members that it has there
            raise

    async def _carry_out(self, message: type[Message], values: Values, uuid: str, claim: Claim) -> Reply:
        api, leniency = message.api, self._rules.leniency
        await validate(api, values, self._rules.missing, leniency)
        if issubclass(message, CreateMessage):
            check_resource_uuid(values, leniency)
        checked = self._runs.placed(message(**values))  # validate has checked their types
        if (first := self._handlers.first_checks_by_message.get(message)) is not None:
            await first(self._services, checked, Call(uuid, None))
        account_uuid = await self._authorize(api, values, claim) if api.authenticated else None
        call = Call(uuid, account_uuid)
        await self._check(checked, call)
        if not VALIDATION_ONLY.isdisjoint(checked.systemTags or ()):
            return _validation_reply(api)
        if isinstance(checked, DeleteMessage):
            checked.check_delete_mode(leniency)
        try:
            reply = _checked_reply(api, await self._runs.run(checked, call))
        except ApiError as error:
            error.from_handler = True  # it is answered in a reply of the API's own class
            raise
        if isinstance(checked, CreateMessage):
            return replace(reply, commit=(*reply.commit, *await self._rules.tags.writes(checked, reply)))
        return reply

    async def _authorize(self, api: Api, values: Values, claim: Claim) -> str:
        if isinstance(claim, NoClaim):
            raise ApiError(ErrorCode("ID.1001", claim.value.format(api.java_class)))
        identity = await self._sessions.identify(claim)
        if api.admin_only and not identity.is_admin:
            text = f"request api[name: {api.java_class}] is admin only, can not be executed by current user"
            raise ApiError(ErrorCode("ID.1002", text))
        await self._rules.rights.check(api, values, identity)
        return identity.account_uuid

    async def _check(self, message: Message, call: Call) -> None:
        check = self._handlers.checks_by_message.get(type(message))
        if check is not None:
            await check(self._services, message, call)
        if isinstance(message, CreateMessage):
            await self._rules.tags.check(message)

    async def _safely(self, message: type[Message], uuid: str, work: Awaitable[Reply]) -> Reply:
        try:
            return await work
        except (ApiError, PlainError, StoreConflict):  # the whole call may be made again, see Database.atomically
            raise
        except NothingToDo:
            return Reply()
        except RemoteFailure as failure:
            raise failure.error from failure
        except Exception as error:
            if (known := self._rules.translate(error)) is not None:
                raise known from error
            logger.exception("%s %s went wrong", message.__name__, uuid)
            raise internal_error(f"{type(error).__name__}: {error}") from error


def _validation_reply(api: Api) -> Reply:
    """Return the reply to a message sent for validation only; ZStack fails on a synchronous one (wire-protocol 3.3)."""
    if api.sync and api.reply:
        first = next(iter(api.reply))
        name = api.reply_fields.get(first, first)
        raise PlainError(500, f"Unknown property '{name}' on class 'class org.zstack.header.message.APIReply'")
    return Reply()


def _checked_reply(api: Api, reply: Reply) -> Reply:
    """Return the reply, with `success` where the API has it. Raise ApiError for a member that it does not declare."""
    if extra := reply.body.keys() - api.reply.keys():
        raise internal_error(f"{api.name} does not declare {', '.join(sorted(extra))} in its reply")
    schema = with_elements(reply.body, reply.schema)
    if schema is reply.schema and not api.with_success:
        return reply  # as the reply to each query
    body: dict[str, Any] = {**reply.body, "success": True} if api.with_success else dict(reply.body)
    return replace(reply, body=body, schema=schema)
