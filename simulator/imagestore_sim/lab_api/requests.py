"""The journal of REST requests: `/lab/v1/requests` finds them, counts them and waits for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from fnmatch import translate

from aiohttp import web
from pydantic import Field

from imagestore_sim.clock import Clock, wake
from imagestore_sim.lab_api.routes import Done, Given, Handler, Problem, Refused, Route, Shape, with_query
from imagestore_sim.rest.journal import MOST_REQUESTS, Entry, Journal, Matches
from imagestore_sim.units import Seconds

LONGEST_WAIT = 60.0
MOST_WAITING = 1000


class RequestsQuery(Shape):
    """Which requests."""

    method: str | None = Field(None, description="such as POST")
    path: str | None = Field(None, description="a glob that the path is to match, with or without its query string")
    status: int | None = Field(None, description="the HTTP status of the answer")
    since: int = Field(0, ge=0, description="only those after the one with this number")

    @property
    def question(self) -> tuple[str | None, str | None, int | None]:
        """What makes a request one of them."""
        return self.method, self.path, self.status

    def matcher(self) -> Matches:
        """Return what tells whether a request is one of them."""
        method = None if self.method is None else self.method.upper()
        path = None if self.path is None else re.compile(translate(self.path)).match

        def matches(entry: Entry) -> bool:
            if method not in (None, entry.method) or self.status not in (None, entry.status):
                return False
            return path is None or any(map(path, _paths(entry)))

        return matches


class WaitQuery(RequestsQuery):
    """Which requests, how many, and how long to wait for them."""

    count: int = Field(1, ge=1, le=MOST_REQUESTS, description="how many are to be there")
    within: Seconds = Field(5.0, le=LONGEST_WAIT, description="by the machine's clock")


class RequestShape(Shape):
    """A request that was answered."""

    number: int = Field(description="one more than that of the one before")
    time: float = Field(description="when it was answered: seconds since the epoch, by the lab's clock")
    method: str
    path: str = Field(description="with its query string, as they were sent; secrets are masked")
    status: int
    milliseconds: float
    account: str | None = Field(description="the uuid of the account that made it, where it had to log in")
    job: str | None = Field(description="the uuid of the job that it began or asked for")
    body: str | None = Field(description="the first 4 KiB, secrets masked; a note if it could not be read")


class RequestsShape(Shape):
    """Requests, the oldest first."""

    requests: list[RequestShape]
    last: int = Field(description="the number of the latest request there was, for `since`")


class CountShape(Shape):
    """How many there are."""

    count: int
    last: int = Field(description="the number of the latest request there was, for `since`")


class TooFew(Problem):
    """They did not come in time."""

    requests: list[RequestShape] = Field(description="those that did")
    last: int


class RequestsRoutes:
    """Answers the requests about requests, which are none of those that it tells of."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def routes(self) -> list[Route]:
        """The calls."""
        path, not_valid = "/lab/v1/requests", {400: "a parameter cannot be used"}
        found = with_query(RequestsQuery, self.find)
        count, wait = with_query(RequestsQuery, self.count), with_query(WaitQuery, self.wait)
        late = {408: "they did not come in time"}
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
                "The requests, as soon as they are enough",
                wait,
                RequestsShape,
                problems=not_valid | late | {503: "too many wait already"},
                problem_shapes={408: TooFew},
                private=True,
            ),
        ]

    async def find(self, request: web.Request, wanted: RequestsQuery) -> Given:
        """Those that match."""
        return self._shape(list(self._matching(wanted, wanted.since)))

    async def count(self, request: web.Request, wanted: RequestsQuery) -> Given:
        """How many match."""
        return CountShape(count=sum(1 for _ in self._matching(wanted, wanted.since)), last=self._journal.last)

    async def wait(self, request: web.Request, wanted: WaitQuery) -> Given:
        """Those that match, once they are enough."""
        if self._journal.watchers >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} clients wait for requests already")
        since = (
            wanted.since if wanted.since <= self._journal.last else 0
        )  # the lab was reset, and they begin with 1 again
        found = list(self._matching(wanted, since))
        enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(entry: Entry) -> None:
            found.append(entry)
            if len(found) >= wanted.count:
                wake(enough)

        try:
            if len(found) < wanted.count:
                with self._journal.watching(wanted.question, wanted.matcher(), tell):
                    await asyncio.wait_for(enough, wanted.within)  # real: who waits lives in real time
        except TimeoutError:
            text = f"{len(found)} of {wanted.count} requests came within {wanted.within:g} s"
            few = TooFew(error=text, requests=self._shapes(found), last=self._journal.last)
            raise Refused(408, text, few) from None
        return self._shape(found)

    async def clear(self, request: web.Request) -> Given:
        """Forget them."""
        self._journal.clear()
        return Done()

    def _matching(self, wanted: RequestsQuery, since: int) -> Iterator[Entry]:
        return filter(wanted.matcher(), self._journal.since(since))

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
    )
