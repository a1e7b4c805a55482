"""The journal of REST requests: `/lab/v1/requests` finds them, counts them and waits for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from fnmatch import translate

from aiohttp import web
from pydantic import Field

from imagestore_sim.clock import Clock, wake
from imagestore_sim.lab_api.routes import Answer, Done, Handler, Problem, Refused, Route, Shape, with_query
from imagestore_sim.rest.journal import MOST_REQUESTS, Entry, Journal, Matches
from imagestore_sim.units import Seconds

LONGEST_WAIT = 60.0
"""Real seconds."""
MOST_WAITING = 1000
"""Clients that may wait at once."""


class RequestsQuery(Shape):
    """Which requests to find."""

    method: str | None = Field(None, description="such as POST")
    path: str | None = Field(None, description="a glob; the path has to match it, with or without its query string")
    status: int | None = Field(None, description="the HTTP status of the answer")
    since: int = Field(0, ge=0, description="only those after the one with this number")

    @property
    def criteria(self) -> tuple[str | None, str | None, int | None]:
        """What a request has to have: equal criteria share one watch of the journal."""
        return self.method, self.path, self.status

    def matcher(self) -> Matches:
        """Return a function that returns whether a request matches."""
        method = None if self.method is None else self.method.upper()
        path = None if self.path is None else re.compile(translate(self.path)).match

        def matches(entry: Entry) -> bool:
            if method not in (None, entry.method) or self.status not in (None, entry.status):
                return False
            return path is None or any(map(path, _paths(entry)))

        return matches


class WaitQuery(RequestsQuery):
    """Which requests to wait for, how many, and how long."""

    count: int = Field(1, ge=1, le=MOST_REQUESTS, description="how many have to be there")
    within: Seconds = Field(5.0, le=LONGEST_WAIT, description="by the machine's clock")


class RequestShape(Shape):
    """A request that was answered, with the lab's time."""

    number: int = Field(description="counts all requests, from 1 on")
    time: float = Field(description="when it was answered: seconds since the epoch, by the lab's clock")
    method: str
    path: str = Field(description="as it was sent, with its query string; secrets are masked")
    status: int
    milliseconds: float
    account: str | None = Field(description="the uuid of the account, if the call needs a session")
    job: str | None = Field(description="the uuid of the job that it started or polled")
    body: str | None = Field(description="the first 4 KiB, secrets masked; a note if it could not be read")
    faults: list[str] = Field(description="the ids of the faults that it met; with status 0 they let it have no answer")


class RequestsShape(Shape):
    """Requests, the oldest first."""

    requests: list[RequestShape]
    last: int = Field(description="the number of the latest request, for `since`")


class CountShape(Shape):
    """How many requests match."""

    count: int
    last: int = Field(description="the number of the latest request, for `since`")


class TooFew(Problem):
    """Fewer requests than asked for came in time."""

    requests: list[RequestShape] = Field(description="those that came")
    last: int


class RequestsRoutes:
    """Serves `/lab/v1/requests`. Its own requests are not in the journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        path, not_valid = "/lab/v1/requests", {400: "a parameter cannot be used"}
        found = with_query(RequestsQuery, self.find)
        count, wait = with_query(RequestsQuery, self.count), with_query(WaitQuery, self.wait)
        late = {408: "too few came in time"}
        return [
            Route(
                "GET",
                path,
                "The latest requests to the REST API",
                found,
                RequestsShape,
                problems=not_valid,
                private=True,
            ),
            Route("DELETE", path, "Forget all requests", Handler(self.clear), Done),
            Route("GET", f"{path}/count", "How many requests there were", count, CountShape, problems=not_valid),
            Route(
                "GET",
                f"{path}/wait",
                "The requests, as soon as there are enough",
                wait,
                RequestsShape,
                problems=not_valid | late | {503: "too many wait already"},
                problem_shapes={408: TooFew},
                private=True,
            ),
        ]

    async def find(self, request: web.Request, query: RequestsQuery) -> Answer:
        """Return the stored requests that match, the oldest first."""
        return self._shape(list(self._matching(query, query.since)))

    async def count(self, request: web.Request, query: RequestsQuery) -> Answer:
        """Return how many stored requests match."""
        return CountShape(count=sum(1 for _ in self._matching(query, query.since)), last=self._journal.last)

    async def wait(self, request: web.Request, query: WaitQuery) -> Answer:
        """Return the requests that match, once there are enough. Raise Refused after the time is up."""
        if self._journal.watchers >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} clients wait for requests already")
        # A number beyond the last one is from before a reset, after which numbers begin with 1 again.
        since = query.since if query.since <= self._journal.last else 0
        found = list(self._matching(query, since))
        enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def add(entry: Entry) -> None:
            found.append(entry)
            if len(found) >= query.count:
                wake(enough)

        try:
            if len(found) < query.count:
                with self._journal.watching(query.criteria, query.matcher(), add):
                    await asyncio.wait_for(enough, query.within)  # real: the client waits in real time
        except TimeoutError:
            text = f"{len(found)} of {query.count} requests came within {query.within:g} s"
            few = TooFew(error=text, requests=self._shapes(found), last=self._journal.last)
            raise Refused(408, text, few) from None
        return self._shape(found)

    async def clear(self, request: web.Request) -> Answer:
        """Forget all requests."""
        self._journal.clear()
        return Done()

    def _matching(self, query: RequestsQuery, since: int) -> Iterator[Entry]:
        return filter(query.matcher(), self._journal.since(since))

    def _shape(self, found: list[Entry]) -> RequestsShape:
        return RequestsShape(requests=self._shapes(found), last=self._journal.last)

    def _shapes(self, found: list[Entry]) -> list[RequestShape]:
        epoch = self._clock.time() - self._clock.monotonic()
        return [_shape(entry, epoch) for entry in found]


def _paths(entry: Entry) -> tuple[str, str]:
    return entry.path.partition("?")[0], entry.path


def _shape(entry: Entry, epoch: float) -> RequestShape:
    return RequestShape(
        number=entry.number,
        time=epoch + entry.ended,
        method=entry.method,
        path=entry.path,
        status=entry.status,
        milliseconds=round(entry.seconds * 1000, 3),
        account=entry.account,
        job=entry.job,
        body=entry.body,
        faults=list(entry.faults),
    )
