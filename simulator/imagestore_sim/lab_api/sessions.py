"""`POST /lab/v1/sessions`: a session of ZStack's API without a password, for tests and for the node's own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from pydantic import Field

from imagestore_sim.lab_api.routes import Answer, Refused, Route, Shape, with_body
from imagestore_sim.rest.errors import ApiError
from imagestore_sim.rest.sessions import LoggedIn


class SessionsOfAccounts(Protocol):
    """Begins sessions (`rest.sessions.Sessions`)."""

    async def begin_for_account(self, name: str) -> LoggedIn | None:
        """Begin a session of the account of that name, None without one. Raise ApiError."""


class SessionToBegin(Shape):
    """Whose session to begin."""

    account: str = Field("admin", max_length=255, description="the name of an account; no password is needed")


class SessionShape(Shape):
    """A session. Clients send it as `Authorization: OAuth` and the uuid."""

    session_uuid: str = Field(description="what later calls carry as `Authorization: OAuth <uuid>`")
    account_uuid: str = Field(description="the uuid of the account")
    expired_date: int = Field(description="when it ends unless it is used, in seconds since the epoch")


class SessionsRoutes:
    """Serves `/lab/v1/sessions`."""

    def __init__(self, sessions: Callable[[], SessionsOfAccounts | None]) -> None:
        """`sessions` returns None while the node starts."""
        self._sessions = sessions

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        return [
            Route(
                "POST",
                "/lab/v1/sessions",
                "Begin a session of an account, without its password",
                with_body(SessionToBegin, self.begin),
                SessionShape,
                201,
                {
                    400: "a field cannot be used",
                    404: "there is no such account",
                    409: "the account has as many sessions as it may have",
                    503: "the node is starting",
                },
            )
        ]

    async def begin(self, request: web.Request, asked: SessionToBegin) -> Answer:
        """Begin a session of an account, and return its uuid, as after a login. Raise Refused."""
        sessions = self._sessions()
        if sessions is None:
            raise Refused(503, "the management node is starting")
        try:
            begun = await sessions.begin_for_account(asked.account)
        except ApiError as error:
            raise Refused(409, error.error.details or error.error.code) from None
        if begun is None:
            raise Refused(404, f"there is no account {asked.account!r}")
        return SessionShape(
            session_uuid=begun.uuid, account_uuid=begun.identity.account_uuid, expired_date=begun.expired_date
        )
