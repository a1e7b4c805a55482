"""`GET /openapi.json`: the document as a node serves it, made when it is first asked for, and kept."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass

import orjson
from aiohttp import web

from imagestore_sim.rest.leniency import Leniency
from imagestore_sim.rest.versions import ZStackVersion
from imagestore_sim.tasks import LARGE, by_size

PATH = "/openapi.json"
UNFOLDED = "unfolded"
MEDIA = "application/json"


@dataclass(frozen=True, slots=True)
class _Kept:
    plain: bytes
    compressed: bytes
    """By gzip."""


class ServedDocument:
    """Answers requests for the document. It needs no session: it holds no secret."""

    def __init__(self, version: ZStackVersion, leniency: Leniency) -> None:
        self._version = version
        self._leniency = leniency
        self._kept: dict[bool, _Kept] = {}
        self._making = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the route, for aiohttp's router."""
        return [web.get(PATH, self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        """Return the document; with `?unfolded` the one that has one operation for each API."""
        one_an_api = UNFOLDED in request.query
        async with self._making:
            if one_an_api not in self._kept:
                self._kept[one_an_api] = await by_size(LARGE, self._written, one_an_api)
        kept = self._kept[one_an_api]
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=kept.plain, content_type=MEDIA)
        return web.Response(body=kept.compressed, headers={"Content-Encoding": "gzip"}, content_type=MEDIA)

    def _written(self, one_an_api: bool) -> _Kept:
        from imagestore_sim.openapi.document import document

        made = document(version=self._version, leniency=self._leniency, one_an_api=one_an_api)
        plain = orjson.dumps(made)
        return _Kept(plain, gzip.compress(plain, mtime=0))
