"""The library of stories for a node that runs, made when a client first asks for it: its imports take a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from typing_extensions import override

from imagestore_sim.context_managers import Closeable

if TYPE_CHECKING:
    from imagestore_sim.scenario.stories_on_lab import StoriesOnLab


class StoriesOnDemand(Closeable):
    """Opens the library, once."""

    def __init__(
        self, url: Callable[[], str], lab_token: str | None, *, has_hosts: bool, any_host: bool = False
    ) -> None:
        """`url` returns that of the node, once it has started; `any_host`: it makes a host for any name."""
        self._url = url
        self._lab_token = lab_token
        self._has_hosts = has_hosts
        self._any_host = any_host
        self._opened: StoriesOnLab | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> StoriesOnLab:
        """Return the library."""
        async with self._opening:
            if self._opened is None:
                kind = await asyncio.to_thread(_import)
                self._opened = kind(self._url, self._lab_token, has_hosts=self._has_hosts, any_host=self._any_host)
            return self._opened

    @override
    async def close(self) -> None:
        """End what is being played."""
        if self._opened is not None:
            await self._opened.close()


def _import() -> type[StoriesOnLab]:
    from imagestore_sim.scenario.stories_on_lab import StoriesOnLab

    return StoriesOnLab
