"""Host name resolution by the system, in threads of its own: a name server may take long to answer."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

Address = tuple[str, int]
Resolve = Callable[[str, int], Awaitable[Address]]

MOST_THREADS = 64
"""The number of look-ups at once. One whose caller has given up still runs until the system's resolver gives up."""


class SystemResolver:
    """Resolves names with getaddrinfo. Its threads are daemons, which do not keep the process from ending."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._threads = 0
        self._waiting: deque[tuple[asyncio.Future[Address], str, int]] = deque()

    async def __call__(self, hostname: str, port: int) -> Address:
        """Return the address of `hostname`, IPv4 if it has one, like ZStack's node. Raise socket.gaierror.

        An address is returned as it is; an IPv6 one may be in brackets, and name a zone (`fe80::1%eth0`).
        """
        if (literal := literal_address(hostname)) is not None:
            return literal, port
        found: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._waiting.append((found, hostname, port))
        self._begin()
        return await found

    def _begin(self) -> None:
        while self._threads < self._most and self._waiting:
            found, hostname, port = self._waiting.popleft()
            if found.done():
                continue
            self._threads += 1
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=self._look_up, args=(loop, found, hostname, port), name=f"resolve {hostname}", daemon=True
            ).start()

    def _look_up(
        self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[Address], hostname: str, port: int
    ) -> None:
        address: Address | None = None
        problem: Exception | None = None
        try:
            address = _look_up(hostname, port)
        except Exception as error:  # raised in the caller
            problem = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._finish, found, address, problem)

    def _finish(self, found: asyncio.Future[Address], address: Address | None, problem: Exception | None) -> None:
        self._threads -= 1
        if not found.done():
            if address is not None:
                found.set_result(address)
            else:
                assert problem is not None
                found.set_exception(problem)
        self._begin()


def literal_address(hostname: str) -> str | None:
    """Return `hostname` without brackets if it is an IP address; None for a name."""
    bare = hostname[1:-1] if hostname.startswith("[") and hostname.endswith("]") else hostname
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return None
    return bare


def _look_up(hostname: str, port: int) -> Address:
    try:
        found = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    except (UnicodeError, ValueError) as error:
        raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]), port
