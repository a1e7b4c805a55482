"""Faults of the management plane's connections: an answer that is late, lost or cut."""

from __future__ import annotations

import math
from enum import StrEnum
from random import Random

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.exchange import Exchange, Loss, Point
from imagestore_sim.faults.node_fault import NodeFault
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets
from imagestore_sim.units import Amount, Bytes, BytesOrShare, Seconds

PAST_OKHTTP = 11.0
"""Seconds: okhttp, and so ZStack's Java SDK, waits 10 s for an answer; ZStack's Go SDK waits 20 s."""


@node_fault(
    Layer.CONNECTION,
    heals="Answers arrive again; connections that are held in silence are closed.",
    meets=Meets.REQUEST,
    example={"point": "after", "how": "reset", "when": {"api": "APIAddImageStoreBackupStorageMsg", "first": 1}},
)
class AnswerLost(NodeFault):
    """The answer never arrives.

    The client cannot know whether the call was carried out: after an answer that was lost, it was.
    """

    point: Point = Field(Point.AFTER, description="`before`: the call is not carried out; `after`: it is")
    how: Loss = Field(Loss.RESET, description="how the connection ends: `reset`, `close`, or `silence`: it does not")

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.point is Point.BEFORE:
            exchange.lose(self.how)

    @override
    async def after(self, exchange: Exchange) -> None:
        if self.point is Point.AFTER:
            exchange.lose(self.how)


@node_fault(
    Layer.CONNECTION,
    heals="Answers arrive whole again; connections that were reset stay lost.",
    meets=Meets.REQUEST,
    example={"size": 200, "when": {"method": "GET", "probability": 0.3}},
)
class Reset(NodeFault):
    """The connection is reset in the middle of the answer, once a number of bytes has been sent. The call has happened.

    A client may have read these bytes or not: a reset discards what it has not read.
    """

    size: Bytes = Field(64, description="bytes that are sent before the reset, counted from the first of the head")

    @override
    async def after(self, exchange: Exchange) -> None:
        exchange.sending.reset_after = self.size


@node_fault(
    Layer.CONNECTION,
    heals="Answers arrive whole again.",
    meets=Meets.REQUEST,
    example={"keep": "50%", "when": {"api": "Query*"}},
)
class Truncated(NodeFault):
    """The body of the answer ends too early: the connection is closed before as many bytes as the head promises."""

    keep: BytesOrShare = Field(
        Amount("50%", 0.5, 0),
        description="how much of the body is sent: a size, or a share",
        json_schema_extra={"default": "50%"},
    )

    @override
    async def after(self, exchange: Exchange) -> None:
        size = len(exchange.answer.body)
        exchange.sending.close_after = min(self.keep.of(size), max(0, size - 1))


@node_fault(
    Layer.CONNECTION,
    heals="Bodies are fast again; the rest of one that is under way is sent at once.",
    meets=Meets.REQUEST,
    example={"over": "11s", "when": {"path": "/v1/backup-storage*"}},
)
class SlowBody(NodeFault):
    """The head of the answer comes at once, and its body slowly, in pieces."""

    over: Seconds = Field(PAST_OKHTTP, description="how long the body takes")
    pieces: int = Field(10, ge=1, le=1000, description="how many pieces it comes in, the first at once")

    @override
    async def after(self, exchange: Exchange) -> None:
        exchange.slow_down(self.over, self.pieces)


class Distribution(StrEnum):
    """How delays vary."""

    UNIFORM = "uniform"
    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@node_fault(
    Layer.CONNECTION,
    heals="Answers are prompt again; those that are held are sent at once.",
    meets=Meets.REQUEST,
    example={"delay": "21s", "when": {"api": "APIQuery*", "every": 5}},
)
class Latency(NodeFault):
    """The answer is late. Several such faults add up.

    The default is past the 10 s of ZStack's Java SDK (okhttp); 21 s are past the 20 s of its Go SDK.
    """

    delay: Seconds = Field(PAST_OKHTTP, description="how much later the answer comes")
    jitter: Seconds = Field(0.0, description="how much that varies at random, by the seed of the node")
    distribution: Distribution = Field(
        Distribution.UNIFORM,
        description="`uniform`: up to `jitter` more or less; `normal`: that is the standard deviation; `lognormal`:"
        " `delay` is the median, and one in six takes more than `delay` + `jitter`",
    )
    point: Point = Field(Point.AFTER, description="`before`: the call is carried out late; `after`: at once")

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.point is Point.BEFORE:
            await exchange.wait(self._seconds(exchange.random))

    @override
    async def after(self, exchange: Exchange) -> None:
        if self.point is Point.AFTER:
            await exchange.wait(self._seconds(exchange.random))

    def _seconds(self, chance: Random) -> float:
        """Return a delay: at least 0, and at most ten times `jitter` more than `delay`."""
        if not self.jitter:
            return self.delay
        match self.distribution:
            case Distribution.UNIFORM:
                drawn = chance.uniform(self.delay - self.jitter, self.delay + self.jitter)
            case Distribution.NORMAL:
                drawn = chance.gauss(self.delay, self.jitter)
            case Distribution.LOGNORMAL:
                median = max(self.delay, 0.001)
                drawn = chance.lognormvariate(math.log(median), math.log1p(self.jitter / median))
        return min(max(0.0, drawn), self.delay + 10 * self.jitter)


@node_fault(
    Layer.CONNECTION,
    heals="New connections are accepted: the requests that wait on them are carried out, though their clients may have"
    " left, and answered.",
    meets=Meets.NEW_CONNECTION,
    example={"for": "30s"},
)
class NoAccept(NodeFault):
    """New connections are not accepted; requests on those that were open before are served.

    As with any server that has stopped accepting, the kernel completes the handshake: connecting succeeds, and the
    first request on the connection waits.
    """

    how: Loss = Field(
        Loss.SILENCE, description="`silence`: the request waits; `reset` or `close`: its connection ends like that"
    )

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.how is Loss.SILENCE:
            await exchange.wait_until_healed()
        else:
            exchange.lose(self.how)
