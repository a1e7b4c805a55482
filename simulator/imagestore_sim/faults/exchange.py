"""What a fault of the management plane may do to a request: the protocol `Exchange`, and the answer that it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Protocol

from imagestore_sim.faults.selection import Subject


class Point(StrEnum):
    """When a fault sets in."""

    BEFORE = "before"
    """Before the call is carried out: it never happens."""
    AFTER = "after"
    """After that: it has happened, and a client that asks again finds it done. An asynchronous call has begun its job.
    """


class Loss(StrEnum):
    """How a connection ends without an answer."""

    RESET = "reset"
    """By a TCP reset."""
    CLOSE = "close"
    """As by a server that has closed it in good order."""
    SILENCE = "silence"
    """Not at all: it stays open, and nothing comes."""


@dataclass(slots=True)
class Answer:
    """An HTTP response that has not been sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    """Without those that follow from the body and the connection."""


@dataclass(slots=True)
class Sending:
    """How the bytes of an answer go out."""

    reset_after: int | None = None
    """The bytes, counted from the first of the head, after which the connection is reset."""
    close_after: int | None = None
    """The bytes of the body after which the connection is closed, though the head promised more."""


class Exchange(Protocol):
    """One request and its answer, as a fault sees them. Faults act in the order in which they were set."""

    @property
    def subject(self) -> Subject:
        """Return what a selection sees of the request."""

    @property
    def random(self) -> Random:
        """Return the random numbers of the fault that acts, which derive from the seed of the node."""

    @property
    def answer(self) -> Answer:
        """Return the answer, to change after the call was carried out. Raise RuntimeError before."""

    @property
    def sending(self) -> Sending:
        """Return how the answer goes out, to change at any time."""

    def slow_down(self, seconds: float, pieces: int) -> None:
        """Let the body take `seconds` longer, in at least `pieces`, for as long as the fault that acts lasts."""

    def replace(self, answer: Answer) -> None:
        """Answer this; before the call, it is not carried out then. The first fault that replaces the answer wins."""

    def fail(self, code: str, description: str | None, details: str) -> None:
        """Answer an error of ZStack in the form of the API that was called; else like `replace`.

        Without a description it is the one that ZStack has for the code.
        """

    def refuse(self, status: int, text: str) -> None:
        """Answer a plain text, as ZStack refuses a request that it does not take for a call; else like `replace`."""

    def begins_job(self) -> bool:
        """Return whether the request is an asynchronous call."""

    def hold_job(self, point: Point, seconds: float | None) -> None:
        """Let the job of the call wait before its work, or after it, for `seconds` of the clock.

        It waits no longer than the fault that acts lasts; without `seconds`, so long.
        """

    def fail_job(self, point: Point, code: str, description: str | None, details: str) -> None:
        """End the job of the call with an error of ZStack in place of its work, or of the result of that.

        The first fault that does so wins. Without a description it is the one that ZStack has for the code.
        """

    def lose_job(self, point: Point) -> None:
        """Forget the job of the call from its start, or at its end. Its work is done all the same."""

    async def end_sessions(self, *, everyone: bool) -> None:
        """End the session of the caller, or all. Raise StoreUnavailable."""

    def refuses_signature(self, skew: float) -> bool:
        """Return whether the request is signed, and its date is wrong for a clock that is `skew` seconds ahead."""

    def now(self) -> datetime:
        """Return the time of the node's clock, in UTC."""

    def node_uuid(self) -> str:
        """Return the uuid of the management node."""

    async def restart_node(self) -> None:
        """Leave the node as a restart leaves it. Reset every other connection that carries ZStack's API."""

    def shift_page(self, rows: int) -> None:
        """Let a query begin that many rows later, or earlier if negative; call it before the query is carried out."""

    def read_past(self) -> None:
        """Let the call read what the fault that acts has remembered; call it before the call is carried out."""

    def lose(self, how: Loss) -> None:
        """End the connection without an answer. No fault after this one acts."""

    async def wait(self, seconds: float) -> None:
        """Wait on the clock, but no longer than the fault that acts lasts, or the connection."""

    async def wait_until_healed(self) -> None:
        """Wait until the fault that acts is healed, or the connection is lost."""
