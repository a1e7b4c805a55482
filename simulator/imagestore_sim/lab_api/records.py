"""All records at once: `GET`, `PUT` and `POST /lab/v1/snapshot`, `POST /lab/v1/reset`.

    GET  /lab/v1/snapshot            the records as a bootstrap file (YAML); secrets are sealed with the node's own key
    PUT  /lab/v1/snapshot            replaces all records by those of a bootstrap file (YAML, so JSON too)
    POST /lab/v1/snapshot            adds the records of a bootstrap file; one that exists already stays as it is
    POST /lab/v1/reset               goes back to the records of the start

The others answer `{"replaced": true}` or `{"added": true}` once the records are stored; with `?wait=true`, once each
storage has been tried as well. An invalid file is a 400 whose `error` names line and field, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web
from pydantic import Field

from imagestore_sim.bootstrap import Bootstrap, BootstrapError, parse_bootstrap, write_snapshot
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_query
from imagestore_sim.tasks import OneThread, by_size, in_thread
from imagestore_sim.web_server import Request

NAME = "snapshot"
YAML = "application/yaml"
BYTES = 16 * 2**20
"""Bytes of a bootstrap file that are read at most: a snapshot of thousands of records has to fit."""
_thread = OneThread("snapshots")
"""Parses and writes snapshots. Large bodies of other calls have a thread of their own and need not wait."""


class RecordKeeper(Protocol):
    """Keeps all records of a management node. A change waits for those before it."""

    async def snapshot(self) -> Bootstrap:
        """Return all records."""

    async def add(self, records: Bootstrap, *, wait: bool = False) -> None:
        """Add records; `wait` waits until each new storage has been tried. Raise BootstrapError."""

    async def replace(self, records: Bootstrap, *, wait: bool = False) -> None:
        """Replace all records; `wait` waits until each storage has been tried. Raise BootstrapError."""

    async def reset(self, *, wait: bool = False) -> None:
        """Go back to the records of the start; `wait` waits until each storage has been tried."""


class Waiting(Shape):
    """Whether to wait."""

    wait: bool = Field(False, description="answer when each storage has been tried as well")


class Replaced(Shape):
    """The records are stored."""

    replaced: bool = Field(True, description="always true")


class Added(Shape):
    """The records are stored."""

    added: bool = Field(True, description="always true")


class RecordsRoutes:
    """Serves `/lab/v1/snapshot` and `/lab/v1/reset`."""

    def __init__(self, keeper: Callable[[], RecordKeeper | None]) -> None:
        """`keeper` returns None while the node starts."""
        self._keeper_or_none = keeper

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        starting = {503: "the node is starting"}
        unusable = {400: "the records cannot be used; nothing has changed"} | starting
        return [
            Route(
                "GET",
                "/lab/v1/snapshot",
                "The records, as a bootstrap file",
                Handler(self.take),
                None,
                problems=starting,
                answer_media=YAML,
                private=True,
            ),
            Route(
                "PUT",
                "/lab/v1/snapshot",
                "Replace all records by those of a bootstrap file",
                with_query(Waiting, self.put),
                Replaced,
                problems=unusable,
                body_media=YAML,
            ),
            Route(
                "POST",
                "/lab/v1/snapshot",
                "Add the records of a bootstrap file; one that exists already stays as it is",
                with_query(Waiting, self.post),
                Added,
                problems=unusable,
                body_media=YAML,
            ),
            Route(
                "POST",
                "/lab/v1/reset",
                "Go back to the records that the node was started with, and heal the hosts",
                with_query(Waiting, self.reset),
                Replaced,
                problems=unusable,
            ),
        ]

    async def take(self, request: web.Request) -> Answer:
        """Return all records as YAML, which --bootstrap and PUT take; passwords are sealed."""
        # The thread alone has them, so that it, not the event loop, frees what very many records take.
        body = await in_thread(_written, [await self._keeper().snapshot()], thread=_thread)
        return web.Response(body=body, content_type=YAML, charset="utf-8")

    async def put(self, request: web.Request, how: Waiting) -> Answer:
        """Replace all records by those of the body, once it is valid as a whole. Raise Refused."""
        records = await _read(request)
        keeper = self._keeper()
        with _refusing():
            await keeper.replace(records, wait=how.wait)
        return Replaced()

    async def post(self, request: web.Request, how: Waiting) -> Answer:
        """Add the records of the body; one that exists already stays as it is. Raise Refused."""
        records = await _read(request)
        keeper = self._keeper()
        with _refusing():
            await keeper.add(records, wait=how.wait)
        return Added()

    async def reset(self, request: web.Request, how: Waiting) -> Answer:
        """Go back to the records of the start."""
        keeper = self._keeper()
        with _refusing():
            await keeper.reset(wait=how.wait)
        return Replaced()

    def _keeper(self) -> RecordKeeper:
        keeper = self._keeper_or_none()
        if keeper is None:
            raise Refused(503, "the management node is starting")
        return keeper


def _written(records: list[Bootstrap]) -> bytes:
    """Return a snapshot as text; take it out of the list."""
    return write_snapshot(records.pop()).encode()


async def _read(request: web.Request) -> Bootstrap:
    if isinstance(request, Request):
        request.allow(BYTES)
    content = await request.read()
    with _refusing():
        return await by_size(len(content), parse_bootstrap, content, NAME, thread=_thread)


@contextmanager
def _refusing() -> Iterator[None]:
    """Answer 400 for records that cannot be used."""
    try:
        yield
    except BootstrapError as error:
        raise Refused(400, str(error)) from None
