"""What becomes of a message, whichever door it came through: validation, session, handler, errors (wire-protocol 0)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from simulator.rest.authentication import Sessions
from simulator.rest.binding import Values
from simulator.rest.errors import ApiError, internal_error
from simulator.rest.messages import Call, Handlers, Message, Reply
from simulator.rest.validation import Missing, NothingToDo, validate

logger = logging.getLogger(__name__)
S = TypeVar("S")
Translate = Callable[[Exception], ApiError | None]
"""The ZStack error that an exception of another room stands for, if it is one that was planned for."""


class Dispatcher(Generic[S]):
    """Carries out messages; `services` is what their handlers work with, `translate` knows how those fail."""

    def __init__(
        self, handlers: Handlers[S], services: S, sessions: Sessions, missing: Missing, translate: Translate
    ) -> None:
        self._handlers = handlers.by_message
        self._translate = translate
        self._services = services
        self._sessions = sessions
        self._missing = missing

    def account_of(self, session_uuid: str) -> str | None:
        """Whose session it is, valid or not."""
        return self._sessions.account_of(session_uuid)

    async def check(self, session_uuid: str) -> str:
        """Whose valid session it is, which then lasts longer. Raises ApiError for one that has ended."""
        return (await self._sessions.check(session_uuid)).account_uuid

    async def carry_out(
        self,
        message: type[Message],
        values: Values,
        uuid: str,
        session_uuid: str | None,
        *,
        account_uuid: str | None = None,
    ) -> Reply:
        """Validate the values, check the session, run the handler. Raises ApiError, and nothing else.

        Rules and resources come before the session, so that a bad argument is told even with a bad session. With an
        account the session has been checked already.
        """
        try:
            await validate(message.api, values, self._missing)
            if message.api.authenticated and account_uuid is None:
                account_uuid = await self.check(session_uuid or "")
            checked = message(**values)  # type: ignore[arg-type]  # validate has just seen to their types
            reply = await self._handlers[message](self._services, checked, Call(uuid, account_uuid))
        except ApiError:
            raise
        except NothingToDo:
            return Reply()
        except Exception as error:
            if (known := self._translate(error)) is not None:
                raise known from error
            logger.exception("%s %s went wrong", message.__name__, uuid)
            raise internal_error(f"{type(error).__name__}: {error}") from error
        return _checked(message, reply)


def _checked(message: type[Message], reply: Reply) -> Reply:
    if extra := reply.body.keys() - set(message.api.reply) - {"total"}:
        raise internal_error(f"{message.__name__} does not declare {', '.join(sorted(extra))} in its reply")
    if message.api.says_success:
        return Reply({**reply.body, "success": True}, reply.schema, reply.commit)
    return reply
