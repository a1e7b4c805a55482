"""Faults of what a management node answers: its status, its body, and how true it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import orjson
from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Layer
from imagestore_sim.faults.exchange import Answer, Exchange, Point
from imagestore_sim.faults.node_fault import FailingFault, FaultyNode, NodeFault, Undo
from imagestore_sim.faults.registry import node_fault
from imagestore_sim.faults.selection import Meets
from imagestore_sim.units import Seconds

POINT = Field(Point.BEFORE, description="`before`: the call is not carried out; `after`: it is")
JSON, HTML, TEXT = "application/json; charset=utf-8", "text/html", "text/plain; charset=utf-8"


class Proxy(StrEnum):
    """A proxy in front of the node, and the status that it answers by itself."""

    HAPROXY_503 = "haproxy_503"
    HAPROXY_504 = "haproxy_504"
    NGINX_502 = "nginx_502"
    NGINX_503 = "nginx_503"
    NGINX_504 = "nginx_504"


@dataclass(frozen=True, slots=True)
class _Page:
    """An error page of a proxy."""

    status: int
    body: str
    headers: Mapping[str, str]


def _haproxy(status: int, title: str, text: str) -> _Page:
    body = f"<html><body><h1>{status} {title}</h1>\n{text}\n</body></html>\n"
    return _Page(status, body, {"Content-Type": HTML, "Cache-Control": "no-cache"})


def _nginx(status: int, title: str) -> _Page:
    heading = f"{status} {title}"
    lines = (
        f"<html>\r\n<head><title>{heading}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return _Page(status, lines, {"Content-Type": HTML, "Server": "nginx"})


PAGES: Mapping[Proxy, _Page] = {
    Proxy.HAPROXY_503: _haproxy(503, "Service Unavailable", "No server is available to handle this request."),
    Proxy.HAPROXY_504: _haproxy(504, "Gateway Time-out", "The server didn't respond in time."),
    Proxy.NGINX_502: _nginx(502, "Bad Gateway"),
    Proxy.NGINX_503: _nginx(503, "Service Temporarily Unavailable"),
    Proxy.NGINX_504: _nginx(504, "Gateway Time-out"),
}


@node_fault(
    Layer.ANSWER,
    heals="Requests are answered by the node again.",
    meets=Meets.REQUEST,
    example={"preset": "haproxy_503", "when": {"every": 1}, "for": "30s"},
)
class Status(NodeFault):
    """The answer is another HTTP status and body, as from a proxy in front of the node."""

    preset: Proxy | None = Field(None, description="the page of a proxy, in place of `code` and `body`")
    code: int = Field(503, ge=200, le=599, description="the HTTP status")
    body: str = Field("", max_length=65536, description="the body, a plain text", examples=["no healthy upstream"])
    point: Point = POINT

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.point is Point.BEFORE:
            exchange.replace(self._answer())

    @override
    async def after(self, exchange: Exchange) -> None:
        if self.point is Point.AFTER:
            exchange.replace(self._answer())

    def _answer(self) -> Answer:
        if self.preset is None:
            return Answer(self.code, self.body.encode(), {"Content-Type": TEXT})
        page = PAGES[self.preset]
        return Answer(page.status, page.body.encode(), dict(page.headers))


@node_fault(
    Layer.ANSWER,
    heals="Calls are carried out and answered again.",
    meets=Meets.REQUEST,
    example={"code": "SYS.1006", "details": "the database is locked", "when": {"api": "APIQuery*", "nth": 2}},
)
class ApiError(FailingFault):
    """The answer is an error of ZStack: 503 with its JSON; over the legacy API, a reply without success.

    An asynchronous call is answered like that in place of 202.
    """

    point: Point = POINT

    @override
    async def before(self, exchange: Exchange) -> None:
        if self.point is Point.BEFORE:
            exchange.fail(self.code, self.summary, self.details)

    @override
    async def after(self, exchange: Exchange) -> None:
        if self.point is Point.AFTER:
            exchange.fail(self.code, self.summary, self.details)


class Damage(StrEnum):
    """What is wrong with a body."""

    CUT = "cut"
    EMPTY = "empty"
    TEXT = "text"
    NOT_UTF8 = "not_utf8"


@node_fault(
    Layer.ANSWER,
    heals="Bodies are valid again.",
    meets=Meets.REQUEST,
    example={"how": "cut", "when": {"api": "api-jobs", "first": 1}},
)
class Malformed(NodeFault):
    """The body of the answer cannot be read, though it arrives as its head promises."""

    how: Damage = Field(
        Damage.CUT,
        description="`cut`: the JSON ends in its middle; `empty`: there is no body; `text`: it is a sentence;"
        " `not_utf8`: its bytes are no UTF-8",
    )

    @override
    async def after(self, exchange: Exchange) -> None:
        answer = exchange.answer
        match self.how:
            case Damage.CUT:
                answer.body = answer.body[: len(answer.body) // 2]
            case Damage.EMPTY:
                answer.body = b""
            case Damage.TEXT:
                answer.body = b"the answer of a program that is not ZStack"
            case Damage.NOT_UTF8:
                answer.body = b"\xff\xfe" + answer.body


@node_fault(
    Layer.ANSWER,
    heals="New calls are answered with the address that their client used.",
    meets=Meets.ASYNC_CALL,
    example={"host": "192.0.2.1:8080", "when": {"api": "Add*", "first": 1}},
)
class WrongLocation(NodeFault):
    """The answer to an asynchronous call names a wrong address to poll: that of the node, as ZStack does behind a VIP.

    The job is at the right address.
    """

    host: str | None = Field(
        "192.0.2.1:8080", max_length=300, description="HOST or HOST:PORT in place of the right one"
    )
    path: str | None = Field(
        None,
        max_length=2000,
        description="the path in place of the right one, if set",
        examples=["/zstack/v1/api-jobs/0"],
    )

    @override
    async def after(self, exchange: Exchange) -> None:
        content = _json(exchange.answer.body)
        if isinstance(content, dict) and isinstance(location := content.get("location"), str):
            exchange.answer.body = orjson.dumps({**content, "location": self._wrong(location)})

    def _wrong(self, location: str) -> str:
        try:
            right = urlsplit(location)
        except ValueError:  # the host that the client named, or an earlier fault, cannot be in a URL
            return location
        return right._replace(netloc=self.host or right.netloc, path=self.path or right.path).geturl()


@node_fault(
    Layer.ANSWER,
    heals="Answers are complete again.",
    meets=Meets.REQUEST,
    example={"field": "inventories.*.url", "when": {"api": "APIQuery*"}},
)
class MissingField(NodeFault):
    """A member is missing from the JSON of the answer; an answer without it is sent as it is."""

    field: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="its path: names with dots between them, `*` for each element of a list: `inventories.*.uuid`",
        examples=["inventories.*.url", "inventory.uuid"],
    )

    @override
    async def after(self, exchange: Exchange) -> None:
        content = _json(exchange.answer.body)
        if _remove(content, self.field.split(".")):
            exchange.answer.body = orjson.dumps(content)


@node_fault(
    Layer.ANSWER,
    heals="Queries read what is stored now.",
    meets=Meets.QUERY,
    example={"by": "5s", "when": {"api": "APIQueryBackupStorage*"}},
)
class StaleReads(NodeFault):
    """Queries are answered as some seconds ago, as from a replica of the database that lags behind.

    Until that time has passed since the fault was set, they are answered as when it was set.
    """

    by: Seconds = Field(
        5.0,
        le=3600,
        description="how far the answers lag behind; up to a fifth more",
        json_schema_extra={"maximum": 3600},
    )

    @override
    async def begin(self, node: FaultyNode) -> Undo | None:
        return await node.remember(self.by)

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.read_past()


class Shift(StrEnum):
    """What happens before a page."""

    COMES = "comes"
    GOES = "goes"


@node_fault(
    Layer.ANSWER,
    heals="Pages follow each other again.",
    meets=Meets.LATER_PAGE,
    example={"row": "goes", "when": {"api": "APIQueryBackupStorage*"}, "for": "1m"},
)
class PageShift(NodeFault):
    """A row comes or goes while a client reads page after page.

    Each page whose `start` is above 0 is answered as if a row had come or gone after the first page was read, before
    the rows of that: the last row of the first page comes again, or one row is on no page. The store does not change.
    """

    row: Shift = Field(Shift.COMES, description="`comes`: a row is read twice; `goes`: a row is missed")

    @override
    async def before(self, exchange: Exchange) -> None:
        exchange.shift_page(-1 if self.row is Shift.COMES else 1)


def _json(body: bytes) -> object:
    """Return the value of a body; None for one that is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _remove(value: object, path: list[str]) -> bool:
    """Remove the members at a path from a JSON value; return whether there were any."""
    name, *rest = path
    if isinstance(value, list):
        return name == "*" and sum(_remove(one, rest) for one in value if rest) > 0
    if not isinstance(value, dict) or name not in value:
        return False
    if rest:
        return _remove(value[name], rest)
    del value[name]
    return True
