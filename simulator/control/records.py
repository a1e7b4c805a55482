"""All records at once: `GET` and `PUT /lab/v1/snapshot`, `POST /lab/v1/reset` (design 1).

    GET  /lab/v1/snapshot            the records as a bootstrap file (YAML); secrets are sealed with the node's own key
    PUT  /lab/v1/snapshot            a bootstrap file (YAML, so JSON too) in the place of all records
    POST /lab/v1/reset               the records that the node was started with in the place of all

The last two answer `{"replaced": true}` once the records are there, with `?wait=true` once each storage has been tried
as well; a file that cannot be used is a 400 whose `error` names line and field, and changes nothing.
"""

from __future__ import annotations

from typing import Protocol

import orjson
from aiohttp import web

from simulator.bootstrap import Bootstrap, BootstrapError, Snapshots, parse_bootstrap, write_snapshot

NAME = "snapshot"


class Node(Protocol):
    """What the door needs of a management node."""

    snapshots: Snapshots

    @property
    def ready(self) -> bool:
        """Whether it has records yet."""

    async def replace_records(self, records: Bootstrap | None = None, *, wait: bool = False) -> None:
        """Put records in the place of all there is. Raises BootstrapError."""


class RecordsDoor:
    """Answers the requests."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> list[web.RouteDef]:
        """Where it answers what."""
        return [
            web.get("/lab/v1/snapshot", self.take),
            web.put("/lab/v1/snapshot", self.put),
            web.post("/lab/v1/reset", self.reset),
        ]

    async def take(self, request: web.Request) -> web.Response:
        """The snapshot."""
        if not self._node.ready:
            return _not_ready()
        text = write_snapshot(await self._node.snapshots.take())
        return web.Response(text=text, content_type="application/yaml", charset="utf-8")

    async def put(self, request: web.Request) -> web.Response:
        """Replace everything by what the request holds."""
        try:
            records = parse_bootstrap(await request.read(), NAME)
        except BootstrapError as error:
            return _json(400, {"error": str(error)})
        return await self._replace(request, records)

    async def reset(self, request: web.Request) -> web.Response:
        """Go back to the beginning."""
        return await self._replace(request, None)

    async def _replace(self, request: web.Request, records: Bootstrap | None) -> web.Response:
        if not self._node.ready:
            return _not_ready()
        try:
            await self._node.replace_records(records, wait=request.query.get("wait") == "true")
        except BootstrapError as error:
            return _json(400, {"error": str(error)})
        return _json(200, {"replaced": True})


def _not_ready() -> web.Response:
    return _json(503, {"error": "the management node is starting"})


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
