"""Faults of sessions and access keys: expired, too many, or judged by a clock that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import orjson
from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.exchange import Exchange
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets
from imagestore_sim.units import SignedSeconds, read_date, write_date

PAST_TOLERANCE = 1200.0
"""Seconds: ZStack takes a signature whose date is up to 15 minutes from its own clock."""
TOO_SKEWED = "requestTimeTooSkewed"
SESSION_DATES = ("createDate", "expiredDate")


@node_fault(
    Layer.IDENTITY,
    heals="Sessions last as long as `session.timeout` says; those that have ended stay ended.",
    meets=Meets.SESSION_CALL,
    example={"when": {"api": "APIQuery*", "nth": 2}},
)
class SessionExpired(NodeFault):
    """The session ends just before the call: ZStack answers ID.1001, of an asynchronous call by its job.

    The client has to log in again. Without a choice in `when` the new session ends with its first call, too.
    """

    everyone: bool = Field(False, description="whether all sessions end, not only the caller's")

    @override
    async def before(self, exchange: Exchange) -> None:
        await exchange.end_sessions(everyone=self.everyone)


@node_fault(
    Layer.IDENTITY,
    heals="Clients log in again.",
    meets=Meets.LOGIN,
    example={"when": {"first": 1}},
)
class SessionsFull(NodeFault):
    """Logins fail with ID.1006, as if the account had as many sessions as `session.maxConcurrent` allows."""

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.fail("ID.1006", None, "Login sessions hit limit of max allowed concurrent login sessions")


@node_fault(
    Layer.IDENTITY,
    heals="The node's clock is right again.",
    meets=Meets.REQUEST,
    example={"by": "-20m", "for": "5m"},
)
class ClockSkew(NodeFault):
    """The clock of the node is wrong.

    A call that is signed with an access key is refused with 403 if its date is more than 15 minutes from that clock.
    The dates of sessions and the Date header are by that clock, so that a client may take a session for expired.
    """

    by: SignedSeconds = Field(
        PAST_TOLERANCE, description="how far the clock is ahead; negative, such as `-20m`, if it is behind"
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        if exchange.refuses_signature(self.by):
            exchange.refuse(403, TOO_SKEWED)

    @override
    async def after(self, exchange: Exchange) -> None:
        answer, skew = exchange.answer, timedelta(seconds=self.by)
        answer.body = _with_session_dates(answer.body, skew)
        given = answer.headers.get("Date")
        now = exchange.now() if given is None else parsedate_to_datetime(given)
        answer.headers["Date"] = format_datetime(now + skew, usegmt=True)


def _with_session_dates(body: bytes, skew: timedelta) -> bytes:
    """Return a body with the dates of its session moved; one that holds no session as it is."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    session = content.get("inventory") if isinstance(content, Mapping) else None
    if not isinstance(session, dict) or "expiredDate" not in session:
        return body
    for name in SESSION_DATES:
        if isinstance(date := session.get(name), str):
            session[name] = write_date(read_date(date) + skew)
    return orjson.dumps(content)
