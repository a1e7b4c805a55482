"""All records at once: `GET`, `PUT` and `POST /lab/v1/snapshot`, `POST /lab/v1/reset`.

    GET  /lab/v1/snapshot            the records as a bootstrap file (YAML); secrets are sealed with the node's own key
    PUT  /lab/v1/snapshot            a bootstrap file (YAML, so JSON too) in the place of all records
    POST /lab/v1/snapshot            a bootstrap file beside all records; one that is there already stays as it is
    POST /lab/v1/reset               the records that the node was started with in the place of all

The others answer `{"replaced": true}` or `{"added": true}` once the records are there, with `?wait=true` once each
storage has been tried as well; a file that cannot be used is a 400 whose `error` names line and field, and changes
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web
from pydantic import Field

from imagestore_sim.bootstrap import Bootstrap, BootstrapError, parse_bootstrap, write_snapshot
from imagestore_sim.lab_api.routes import Given, Handler, Refused, Route, Shape
from imagestore_sim.tasks import OneThread, by_size
from imagestore_sim.web_server import Request

NAME = "snapshot"
YAML = "application/yaml"
BYTES = 16 * 2**20
"""What a bootstrap file may have here, so that a snapshot of thousands of records can be put back."""
_thread = OneThread("snapshots")
"""Reads and writes them, so that the large bodies of others need not wait for them."""


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
    """How long to wait."""

    wait: str = Field("false", description="`true`: until each storage has been tried as well")


class Replaced(Shape):
    """The records are there."""

    replaced: bool = True


class Added(Shape):
    """The records are there."""

    added: bool = True


class RecordsRoutes:
    """Answers the requests."""

    def __init__(self, keeper: Callable[[], RecordKeeper | None]) -> None:
        """`keeper` returns None while the node starts."""
        self._keeper_or_none = keeper

    def routes(self) -> list[Route]:
        """The calls."""
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
                gives_media=YAML,
                private=True,
            ),
            Route(
                "PUT",
                "/lab/v1/snapshot",
                "A bootstrap file in the place of all records",
                Handler(self.put, query=Waiting),
                Replaced,
                problems=unusable,
                takes_media=YAML,
            ),
            Route(
                "POST",
                "/lab/v1/snapshot",
                "A bootstrap file beside all records; one that is there already stays as it is",
                Handler(self.post, query=Waiting),
                Added,
                problems=unusable,
                takes_media=YAML,
            ),
            Route(
                "POST",
                "/lab/v1/reset",
                "Back to the records that the node was started with; hosts are healed, too",
                Handler(self.reset, query=Waiting),
                Replaced,
                problems=unusable,
            ),
        ]

    async def take(self, request: web.Request) -> Given:
        """The snapshot."""
        records = await self._keeper().snapshot()
        text = await asyncio.get_running_loop().run_in_executor(_thread, write_snapshot, records)
        return web.Response(text=text, content_type=YAML, charset="utf-8")

    async def put(self, request: web.Request) -> Given:
        """Replace everything by what the request holds."""
        records = await _read(request)
        keeper = self._keeper()
        with _refusing():
            await keeper.replace(records, wait=_waits(request))
        return Replaced()

    async def post(self, request: web.Request) -> Given:
        """Add what the request holds."""
        records = await _read(request)
        keeper = self._keeper()
        with _refusing():
            await keeper.add(records, wait=_waits(request))
        return Added()

    async def reset(self, request: web.Request) -> Given:
        """Go back to the beginning."""
        keeper = self._keeper()
        with _refusing():
            await keeper.reset(wait=_waits(request))
        return Replaced()

    def _keeper(self) -> RecordKeeper:
        keeper = self._keeper_or_none()
        if keeper is None:
            raise Refused(503, "the management node is starting")
        return keeper


async def _read(request: web.Request) -> Bootstrap:
    if isinstance(request, Request):
        request.allow(BYTES)
    content = await request.read()
    with _refusing():
        return await by_size(len(content), parse_bootstrap, content, NAME, thread=_thread)


@contextmanager
def _refusing() -> Iterator[None]:
    """Records that cannot be used are the fault of whoever sent them."""
    try:
        yield
    except BootstrapError as error:
        raise Refused(400, str(error)) from None


def _waits(request: web.Request) -> bool:
    return request.query.get("wait") == "true"
