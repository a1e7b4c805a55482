"""What a fault of the management plane may do to a request: the protocol `Exchange`, and the answer that it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        """Let the body take so much longer, in at least so many pieces, for as long as the fault that acts lasts."""

    def replace(self, answer: Answer) -> None:
        """Answer this; before the call, it is not carried out then. The first fault that replaces the answer wins."""

    def fail(self, code: str, description: str | None, details: str) -> None:
        """Answer an error of ZStack in the form of the API that was called; else like `replace`.

        Without a description it is the one that ZStack has for the code.
        """

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
