"""Runs an application on the connections of this package, and listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from imagestore_sim.web_server.connections import AtOnce, Connection, Server, request_factory
from imagestore_sim.web_server.requests import Handle

MOST_UNACCEPTED = 1024
"""Connections that may wait to be accepted. The kernel makes clients beyond them try again after a second and more."""


class Runner(web.AppRunner):
    """Runs an application on these connections."""

    def __init__(
        self,
        application: web.Application,
        *,
        before: Callable[[Handle], Handle],
        at_once: AtOnce | None = None,
        **options: Any,
    ) -> None:
        """`before` wraps the handler of aiohttp's router, and answers what has a `refusal`; `at_once` comes first."""
        super().__init__(application, access_log=None, **options)
        self._before = before
        self._at_once = at_once

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        make = request_factory(self.app._client_max_size)
        server = Server(self._before(plain.request_handler), request_factory=make, loop=plain._loop, **plain._kwargs)
        server.at_once = self._at_once
        return server

    def cut_off(self) -> None:
        """Reset every connection, those that are accepted from now on too, as a kill -9 would."""
        if isinstance(self.server, Server):
            self.server.is_cut_off = True
        self.reset_connections(("",))

    def reset_connections(self, below: tuple[str, ...], but: Connection | None = None) -> None:
        """Reset the connections whose latest request was for a path that begins like this, but for one."""
        for connection in self.server.connections if self.server is not None else ():
            if (
                isinstance(connection, Connection)
                and connection.latest_path.startswith(below)
                and connection is not but
            ):
                connection.reset()

    async def listen(self, host: str, port: int) -> int:
        """Listen on every address of a host with one port, and return it; 0 picks a free one. Raise OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for address in dict.fromkeys(one[4] for one in found):
            name = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            await web.TCPSite(self, name, port, backlog=MOST_UNACCEPTED).start()
            port = self.addresses[-1][1]
        return port
