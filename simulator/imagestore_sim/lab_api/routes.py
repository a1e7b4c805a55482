"""The declaration of a call of `/lab/v1`. Routing, reading, checking and the OpenAPI document follow from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from imagestore_sim.clock import LATEST
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.lab_api.guard import REALM, Guard, NotAdmitted
from imagestore_sim.plain_numbers import PlainNumbers
from imagestore_sim.tasks import by_size
from imagestore_sim.validation_errors import one_line

JSON = "application/json"
STREAM = "text/event-stream"
MOST_MEMBERS = 100
"""Members of a JSON object that are read at most."""
Moment = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]
"""Seconds since the epoch, by the lab's clock."""


class Shape(PlainNumbers):
    """A JSON object of a request or an answer, or the parameters of a query string. Names are camelCase outside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # at its first use: a start needs few of them
    )

    @model_validator(mode="before")
    @classmethod
    def check_members(cls, value: object) -> object:
        """Refuse an object of very many members: pydantic would block the interpreter to collect an error for each."""
        if isinstance(value, Mapping) and len(value) > MOST_MEMBERS:
            raise ValueError(f"has {len(value)} members, and {MOST_MEMBERS} at most are read")
        return value


class Problem(Shape):
    """Why a request was refused."""

    error: str = Field(description="one sentence, which names the field that is wrong")


class Done(Shape):
    """It was done."""

    done: bool = True


class Refused(Exception):
    """A request that is refused with an HTTP status and a text, or with a `problem` that holds more than a text."""

    def __init__(self, status: int, text: str, problem: Problem | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem or Problem(error=text)


Answer = BaseModel | web.StreamResponse
"""A shape is sent as JSON with the status of its route; a response as it is."""
Work = Callable[[web.Request], Awaitable[Answer]]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Handler:
    """Answers a request. `body` and `query` are the shapes that it takes, for the OpenAPI document.

    The document shows the docstring of `work` as the description of the call.
    """

    work: Work
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None


def _documented_by(work: Callable[..., object]) -> Callable[[Work], Work]:
    """Return a decorator that gives a function the docstring of another, which the OpenAPI document shows."""

    def decorate(read: Work) -> Work:
        read.__doc__ = work.__doc__
        return read

    return decorate


def with_body(shape: type[M], work: Callable[[web.Request, M], Awaitable[Answer]]) -> Handler:
    """Return a handler that calls `work` with the JSON body, read and checked."""

    @_documented_by(work)
    async def read(request: web.Request) -> Answer:
        raw = await request.read()
        return await work(request, await by_size(len(raw), _from_json, shape, raw))

    return Handler(read, body=shape)


def with_query(shape: type[M], work: Callable[[web.Request, M], Awaitable[Answer]]) -> Handler:
    """Return a handler that calls `work` with the query string, read and checked."""

    @_documented_by(work)
    async def read(request: web.Request) -> Answer:
        return await work(request, read_query(request, shape))

    return Handler(read, query=shape)


def read_query(request: web.Request, shape: type[M]) -> M:
    """Return the query string of a request, checked. Raise Refused."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise Refused(400, f"{name}: is given twice")
        given[name] = value
    return _read(shape, given, "the query string")


@dataclass(frozen=True, slots=True)
class Route:
    """The declaration of one call of `/lab/v1`."""

    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None
    """The shape of the answer, None if it is not JSON."""
    status: int = 200
    problems: Mapping[int, str] = field(default_factory=dict)
    """The HTTP statuses of refusals, each with when it is sent."""
    problem_shapes: Mapping[int, type[Problem]] = field(default_factory=dict)
    """The shapes of refusals that hold more than a text, by status."""
    body_media: str = JSON
    """The media type of the body, if it is not JSON."""
    answer_media: str = JSON
    private: bool = False
    """Whether it shows what only the admin may see. Such a call counts as one that changes something."""

    @property
    def changes(self) -> bool:
        """Whether a node without `--lab-api` refuses the call: it changes something, or is private."""
        return self.private or self.method not in ("GET", "*")

    @property
    def takes_head(self) -> bool:
        """Whether it answers HEAD as well, which aiohttp adds to a GET: its answer must have an end."""
        return self.method == "GET" and self.answer_media != STREAM

    def to_aiohttp(self, guard: Guard) -> web.RouteDef:
        """Return the route for aiohttp's router; `guard` checks each request first."""
        options = {"allow_head": self.takes_head} if self.method == "GET" else {}
        return web.route(self.method, self.path, partial(self._answer, guard), **options)

    async def _answer(self, guard: Guard, request: web.Request) -> web.StreamResponse:
        try:
            guard.check_lab(request, changes=self.changes)
            given = await self.handler.work(request)
        except NotAdmitted as refusal:
            response = _json(refusal.status, Problem(error=str(refusal)))
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = REALM
            return response
        except Refused as refused:
            return _json(refused.status, refused.problem)
        except StoreUnavailable as error:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, Problem(error=str(error)))
        except web.HTTPException as error:  # a body that is too large, late or cannot be decoded, or has no room
            response = _json(error.status, Problem(error=error.text or error.reason))
            if "Retry-After" in error.headers:
                response.headers["Retry-After"] = error.headers["Retry-After"]
            return response
        return given if isinstance(given, web.StreamResponse) else _json(self.status, given)


def _json(status: int, shape: BaseModel) -> web.Response:
    """Return a shape as a response. It ends in a newline, for those who read it in a terminal."""
    return web.Response(status=status, text=f"{shape.model_dump_json(by_alias=True)}\n", content_type=JSON)


def _from_json(shape: type[M], raw: bytes) -> M:
    try:
        return _read(shape, orjson.loads(raw or b"{}"), "the body")
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def _read(shape: type[M], value: object, whole: str) -> M:
    """Return a value, checked. `whole` names it in errors that are not about one field. Raise Refused."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        known = (one.alias or name for name, one in shape.model_fields.items())
        raise Refused(400, one_line(error, known, whole, shape, value)) from None
