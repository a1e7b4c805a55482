"""Routes that are made when the first request needs one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from aiohttp import web
from yarl import URL

from imagestore_sim.tasks import in_thread


class LateRoutes(web.AbstractResource):
    """The routes below a path, which `register` adds to a router when the first request needs one.

    To add a hundred of them takes a sixth of the time that a node takes to start, and few clients ever call them.
    """

    def __init__(self, path: str, register: Callable[[web.UrlDispatcher], None]) -> None:
        super().__init__()
        self._path = path
        self._register = register
        self._making = asyncio.Lock()

    @cached_property
    def _router(self) -> web.UrlDispatcher:
        router = web.UrlDispatcher()
        self._register(router)
        return router

    @property
    def _is_made(self) -> bool:
        return "_router" in vars(self)

    @property
    def canonical(self) -> str:
        """The path below which all routes are."""
        return self._path

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        """Return the route of a request; None if it has none here.

        The routes are made in a thread: to import what answers them would hold up all other requests.
        """
        if not self._is_made:
            async with self._making:
                await in_thread(lambda: self._router)
        found = await self._router.resolve(request)
        return None if found.http_exception else found, set()

    def raw_match(self, path: str) -> bool:
        """Return False: a route that is added beside these is a resource of its own."""
        return False

    def add_prefix(self, prefix: str) -> None:
        """Raise NotImplementedError: the routes are not for an application within another."""
        raise NotImplementedError

    def url_for(self, **kwargs: str) -> URL:
        """Raise NotImplementedError: no route has a name."""
        raise NotImplementedError

    def get_info(self) -> Any:
        """Return the path below which all routes are."""
        return {"path": self.canonical}

    def __len__(self) -> int:
        return len(self._router.routes())

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(self._router.routes())
