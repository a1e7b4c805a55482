"""The journal of REST requests: `/lab/v1/requests` finds them, counts them, waits for them, and compares them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from aiohttp import web
from pydantic import ConfigDict, Field, model_validator

from imagestore_sim.clock import Clock
from imagestore_sim.globs import Glob
from imagestore_sim.lab_api.json_path import TooMuchWork
from imagestore_sim.lab_api.request_log import (
    LONGEST_WAIT,
    MOST_NEAR_MISSES,
    RequestLog,
    TooManyWait,
    WaitedInVain,
    cost,
)
from imagestore_sim.lab_api.request_matcher import Method, RequestMatcher, Status, check_masks
from imagestore_sim.lab_api.request_shapes import NearMissShape, RequestShape, SequenceShape
from imagestore_sim.lab_api.routes import (
    Answer,
    Done,
    Handler,
    Moment,
    Problem,
    Refused,
    Route,
    Shape,
    with_body,
    with_query,
)
from imagestore_sim.rest.journal import MOST_REQUESTS, Journal
from imagestore_sim.tasks import by_size
from imagestore_sim.units import Seconds

MOST_MATCHERS = 50
PATH = "/lab/v1/requests"
T = TypeVar("T")


class RequestsQuery(Shape):
    """Which requests are meant, as a query string. A POST takes all that a matcher can say."""

    method: Method | None = Field(None, description="such as POST")
    path: Glob | None = Field(None, description="a glob; the path with or without its query string and `/zstack`")
    api: Glob | None = Field(None, description="a glob: the class of the message, with or without `API` and `Msg`")
    account: Glob | None = Field(None, description="a glob: the uuid of the account")
    status: Status | None = Field(None, description="the HTTP status of the answer, or its class: `5xx`")
    error: Glob | None = Field(None, description="a glob: the code of the error in the answer")
    job: Glob | None = Field(None, description="a glob: the uuid of the job that it started or polled")
    fault: Glob | None = Field(None, description="a glob: the id of a fault that it met")
    since: int = Field(0, ge=0, description="only those after the one with this number")
    after: Moment | None = Field(None, description="only those after this time: seconds since the epoch")

    @model_validator(mode="after")
    def _check_masks(self) -> RequestsQuery:
        check_masks(self.matcher())
        return self

    def matcher(self) -> RequestMatcher:
        """Return the matcher. Its fields have been checked."""
        names = RequestMatcher.model_fields.keys() & self.model_fields_set
        return RequestMatcher.model_construct(**{name: getattr(self, name) for name in names})


class WaitQuery(RequestsQuery):
    """Which requests to wait for, how many, and how long."""

    count: int = Field(1, ge=1, le=MOST_REQUESTS, description="how many have to be there")
    within: Seconds = Field(5.0, le=LONGEST_WAIT, description="by the machine's clock")


class NextQuery(RequestsQuery):
    """Which requests to follow, how long to wait for one, and how many to return."""

    client: Glob | None = Field(None, description="a glob: the address that it came from, or its `User-Agent`")
    within: Seconds = Field(20.0, le=LONGEST_WAIT, description="by the machine's clock")
    limit: int = Field(200, ge=1, le=MOST_REQUESTS, description="how many to return at most: the latest")


class NextShape(Shape):
    """The requests that have come since, the oldest first; none after the time is up."""

    requests: list[RequestShape]
    left_off: int = Field(description="older ones that match too, and are more than `limit`")
    dropped: int = Field(description="older requests that the journal has dropped: they may match as well")
    last: int = Field(description="the number of the latest request, for `since`")


class WaitBody(RequestMatcher):
    """Which requests to wait for, how many, and how long."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"api": "AddImageStore*", "status": "2xx", "count": 2, "within": "10s"}]}
    )

    count: int = Field(1, ge=1, le=MOST_REQUESTS, description="how many have to be there")
    within: Seconds = Field(5.0, le=LONGEST_WAIT, description="by the machine's clock")

    def matcher(self) -> RequestMatcher:
        """Return the matcher."""
        return RequestMatcher.model_construct(**{name: getattr(self, name) for name in RequestMatcher.model_fields})


class NearMissesBody(Shape):
    """Which request was expected."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"expected": {"method": "POST", "body": {"params": {"name": "gold"}}}, "most": 1}]
        }
    )

    expected: RequestMatcher
    most: int = Field(3, ge=1, le=MOST_NEAR_MISSES, description="how many to return")


class SequenceBody(Shape):
    """Which requests were expected, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "expected": [{"path": "*/login"}, {"api": "Add*"}, {"api": "api-jobs", "status": 200}],
                    "among": {"client": "Go-http-client/*", "since": 120},
                }
            ]
        }
    )

    expected: list[RequestMatcher] = Field(min_length=1, max_length=MOST_MATCHERS)
    strict: bool = Field(False, description="no other request may come between them")
    among: RequestMatcher = Field(RequestMatcher(), description="only these requests count")


class RequestsShape(Shape):
    """Requests, the oldest first."""

    requests: list[RequestShape]
    undecided: int = Field(description="requests of which too little was kept to say whether they match")
    dropped: int = Field(description="older requests that the journal has dropped: they may match as well")
    last: int = Field(description="the number of the latest request, for `since`")


class CountShape(Shape):
    """How many requests match."""

    count: int
    undecided: int = Field(description="requests of which too little was kept to say whether they match")
    dropped: int = Field(description="older requests that the journal has dropped: they may match as well")
    last: int = Field(description="the number of the latest request, for `since`")


class NearMissesShape(Shape):
    """Requests that do not match, the closest first."""

    near_misses: list[NearMissShape]
    dropped: int = Field(description="older requests that the journal has dropped")
    text: str = Field(description="the same for people")
    last: int = Field(description="the number of the latest request, for `since`")


class TooFew(Problem):
    """Fewer requests than asked for came in time."""

    requests: list[RequestShape] = Field(description="those that came")
    near_misses: list[NearMissShape] = Field(description="the request that comes closest without matching")
    last: int


class RequestsRoutes:
    """Serves `/lab/v1/requests`. Its own requests are not in the journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._log = RequestLog(journal, clock)

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        late = {408: "too few came in time", 503: "too many wait already"}
        found, counted = "The requests to the REST API that match", "How many requests match"
        waited = "The requests that match, as soon as there are enough"
        followed = "The next requests that match, as soon as there is one; none after a time"
        by_query = with_query(RequestsQuery, self.find_by_query), with_query(RequestsQuery, self.count_by_query)
        return [
            _route("GET", "", found, by_query[0], RequestsShape),
            _route("GET", "/count", counted, by_query[1], CountShape, private=False),
            _route("GET", "/wait", waited, with_query(WaitQuery, self.wait), RequestsShape, late),
            _route("GET", "/next", followed, with_query(NextQuery, self.next), NextShape, {503: late[503]}),
            _route("POST", "/find", found, with_body(RequestMatcher, self.find), RequestsShape),
            _route("POST", "/count", counted, with_body(RequestMatcher, self.count), CountShape),
            _route("POST", "/wait", waited, with_body(WaitBody, self.wait), RequestsShape, late),
            _route(
                "POST",
                "/near-misses",
                "The requests that come closest to an expected one, and in what they differ",
                with_body(NearMissesBody, self.near_misses),
                NearMissesShape,
            ),
            _route(
                "POST",
                "/sequence",
                "Whether requests came in an expected order, and which is missing",
                with_body(SequenceBody, self.sequence),
                SequenceShape,
            ),
            Route("DELETE", PATH, "Forget all requests", Handler(self.clear), Done),
        ]

    async def find_by_query(self, request: web.Request, query: RequestsQuery) -> Answer:
        """Return the stored requests that match, the oldest first."""
        return await self.find(request, query.matcher())

    async def count_by_query(self, request: web.Request, query: RequestsQuery) -> Answer:
        """Return how many stored requests match."""
        return await self.count(request, query.matcher())

    async def find(self, request: web.Request, matcher: RequestMatcher) -> Answer:
        """Return the stored requests that match, the oldest first."""
        found = await _bounded(self._log.search_in_thread(matcher))
        return RequestsShape(
            requests=self._log.shapes(found.entries),
            undecided=found.undecided,
            dropped=found.dropped,
            last=self._log.last,
        )

    async def count(self, request: web.Request, matcher: RequestMatcher) -> Answer:
        """Return how many stored requests match."""
        found = await _bounded(self._log.search_in_thread(matcher))
        return CountShape(
            count=len(found.entries), undecided=found.undecided, dropped=found.dropped, last=self._log.last
        )

    async def wait(self, request: web.Request, given: WaitQuery | WaitBody) -> Answer:
        """Return the requests that match, once there are enough. Raise Refused after the time is up."""
        matcher = given.matcher()
        try:
            found = await _bounded(self._log.wait_for(matcher, given.count, given.within))
        except TooManyWait as error:
            raise Refused(503, str(error)) from None
        except WaitedInVain as error:
            few = TooFew(error=error.summary, requests=error.found, near_misses=error.near, last=self._log.last)
            raise Refused(408, error.summary, few) from None
        return RequestsShape(requests=found, undecided=0, dropped=self._log.dropped(matcher), last=self._log.last)

    async def next(self, request: web.Request, given: NextQuery) -> Answer:
        """Return the requests that match, once there is one, or none. A client calls it again with `last`."""
        matcher = given.matcher()
        try:
            found = await _bounded(self._log.next_of(matcher, given.within))
        except TooManyWait as error:
            raise Refused(503, str(error)) from None
        return NextShape(
            requests=self._log.shapes(found[-given.limit :]),
            left_off=max(0, len(found) - given.limit),
            dropped=self._log.dropped(matcher),
            last=self._log.last,
        )

    async def near_misses(self, request: web.Request, given: NearMissesBody) -> Answer:
        """Return the requests that come closest to what was expected, each with its differences."""
        near = await _bounded(self._log.closest_in_thread(given.expected, given.most))
        lines = [line for one in near for line in one.lines()]
        return NearMissesShape(
            near_misses=near,
            dropped=self._log.dropped(given.expected),
            text="\n".join([f"expected: {given.expected.text()}", *lines]),
            last=self._log.last,
        )

    async def sequence(self, request: web.Request, given: SequenceBody) -> Answer:
        """Return how far the stored requests follow the expected ones, in their order, and which is missing."""
        rows = self._log.in_scope(given.among)
        bytes_read = cost(rows, [given.among, *given.expected])
        follow = self._log.follow
        return await _bounded(
            by_size(bytes_read, lambda: follow(given.expected, given.among, strict=given.strict, rows=rows))
        )

    async def clear(self, request: web.Request) -> Answer:
        """Forget all requests. The numbers of later ones go on."""
        self._log.clear()
        return Done()


def _route(
    method: str,
    below: str,
    summary: str,
    handler: Handler,
    answer: type[Shape],
    problems: dict[int, str] | None = None,
    *,
    private: bool = True,
) -> Route:
    problems = {400: "a matcher cannot be used", **(problems or {})}
    shapes = {408: TooFew} if 408 in problems else {}
    return Route(
        method, f"{PATH}{below}", summary, handler, answer, problems=problems, problem_shapes=shapes, private=private
    )


async def _bounded(work: Awaitable[T]) -> T:
    """Return the result of matching. Raise Refused if a JSONPath does too much work."""
    try:
        return await work
    except TooMuchWork as error:
        raise Refused(400, str(error)) from None
