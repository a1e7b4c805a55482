"""The methods of measuring capacity in order of preference, and which one each host supports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from imagestore_sim.probe import df, stat, statvfs
from imagestore_sim.probe.capacity import Method, Space
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.failures import Unclear, Unsupported
from imagestore_sim.probe.target import Layout, Request

Measure = Callable[[Connection, Request], Awaitable[Space]]

_METHODS: Mapping[Method, Measure] = {
    Method.STATVFS: statvfs.measure,
    Method.DF: df.measure,
    Method.STAT: stat.measure,
}


@dataclass(slots=True)
class HostState:
    """What is known of a host."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one probe that runs on the host."""
    method: Method = Method.STATVFS
    """The method that worked last, with which the next probe begins."""
    probes: int = 0
    """Probes that run or wait."""
    forgotten: bool = False
    """Whether `forget` was called while a probe was running."""
    suspect: bool = False
    """Whether its last probe cost much time or work: its next login queues behind others."""
    agent: str | None = None
    """The run of the agent that the last connect has met; None: unknown."""
    file_systems: dict[str, str] = field(default_factory=dict)
    """By url, the file system on which the folders of a storage were last seen."""


async def measure(connection: Connection, host: HostState, request: Request) -> tuple[Method, Space]:
    """Return method and space; check the storage's folders again when the url is on another file system than before.

    If none of the folders is there, it is the wrong file system: the disk of the url is not mounted (domain 6.3).
    """
    method, space = await _try_methods(connection, host, request)
    if request.layout in (Layout.CREATE, Layout.REQUIRE):
        host.file_systems[request.url] = space.file_system
    elif host.file_systems.get(request.url, space.file_system) != space.file_system:
        method, space = await _try_methods(connection, host, replace(request, layout=Layout.REQUIRE))
        host.file_systems[request.url] = space.file_system
    return method, space


async def _try_methods(connection: Connection, host: HostState, request: Request) -> tuple[Method, Space]:
    """Try the methods from the one that worked last on; raise what the first supported one raises.

    After an Unclear failure of a method, the next probe begins with that method again.
    """
    methods = list(_METHODS)
    missing: list[str] = []
    unclear: Unclear | None = None
    for method in methods[methods.index(host.method) :]:
        try:
            space = await _METHODS[method](connection, request)
        except Unclear as error:
            unclear = unclear or error
            connection.leave_sftp()
            continue
        except Unsupported as error:
            missing.append(f"{method}: {error}")
            continue
        if unclear is None:
            host.method = method
        return method, space
    raise unclear or Unsupported("; ".join(missing))
