"""Several management nodes in a thread of their own, in real time, behind one address, for tests that block."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.node.local_cluster import LocalCluster
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import cancel_and_wait
from three_nodes import records

NAMES = ("a", "b", "c")
CHUNK = 65_536
STOP_SECONDS = 60.0
TURN_SECONDS = 0.5
"""For which a connection stays with one node, where nodes answer by turns."""


@dataclass
class Front:
    """Passes connections on to a node, as a proxy does: to the first one of `order`, or to each by turns."""

    cluster: LocalCluster
    order: list[str]
    by_turns: bool = False
    url: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def close_connections(self) -> None:
        """Close all connections, as a proxy does for a node that it takes out."""
        for task in list(self._tasks):
            await cancel_and_wait(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            alive = [name for name in self.order if name in self.cluster.nodes]
            if alive:
                if self.by_turns:
                    self.order.append(self.order.pop(self.order.index(alive[0])))
                async with asyncio.timeout(TURN_SECONDS if self.by_turns else None):
                    await _join(reader, writer, self.cluster.nodes[alive[0]].url)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # one side has gone, its turn is over, or the test closes the connection
        finally:
            self._tasks.discard(task)
            writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
    """Copy both ways until one side closes."""
    to = urlsplit(url)
    node_reader, node_writer = await asyncio.open_connection(to.hostname, to.port)
    ways = [asyncio.create_task(_copy(reader, node_writer)), asyncio.create_task(_copy(node_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            await cancel_and_wait(way)
        node_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


class RunningCluster:
    """The nodes, whose calls run on their thread. `front` is the address at which any of them answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: LocalCluster, front: Front) -> None:
        self.cluster = cluster
        self.front = front
        self._loop = loop

    def url(self, name: str) -> str:
        """Return the URL of a node."""
        return self.cluster.nodes[name].url

    def label(self, name: str) -> str:
        """Return how the page calls a node: all of them have one host."""
        return self.url(name).removeprefix("http://")

    def uuid(self, name: str) -> str:
        """Return the uuid of a node."""
        return self.cluster.nodes[name].parts.cluster.peers.uuid

    def owned(self, name: str) -> int:
        """Return how many storages a node pings."""
        return len(self.cluster.nodes[name].storages.tracker.owned())

    def wait(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work`, asynchronous or not, on the thread of the nodes, and return its result."""

        async def run() -> Any:
            result = work(*arguments)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(STOP_SECONDS)


@contextmanager
def running_cluster(
    folder: Path, *, mode: str = "quick", nodes: Sequence[str] = NAMES, hosts: int = 9
) -> Iterator[RunningCluster]:
    """Run nodes over a database file in `folder`, with storages that are connected when the block begins."""
    begun: Future[tuple[RunningCluster, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, mode, nodes, hosts, begun)), daemon=True)
    thread.start()
    running, ended = begun.result(STOP_SECONDS)
    try:
        yield running
    finally:
        running.wait(ended.set)
        thread.join(STOP_SECONDS)


async def _serve(
    folder: Path, mode: str, nodes: Sequence[str], hosts: int, begun: Future[tuple[RunningCluster, asyncio.Event]]
) -> None:
    try:
        async with AsyncExitStack() as stack:
            clock, network = RealClock(), HostNetwork()
            stack.push_async_callback(network.close)
            for number in range(hosts):
                await network.add(SimulatedHost(f"imagestore-{number}", clock=clock))
            settings = Settings(cluster_mode=mode, ping_interval=1, log_level="error", lab_api=True)
            cluster = LocalCluster(folder / "mn.db", settings, clock, network.resolve)
            await stack.enter_async_context(cluster)
            for name in nodes:
                await cluster.start(name, records(hosts))
            front = Front(cluster, list(nodes))
            server = await stack.enter_async_context(await front.open())
            stack.push_async_callback(front.close_connections)
            stack.callback(server.close)
            ended = asyncio.Event()
            begun.set_result((RunningCluster(asyncio.get_running_loop(), cluster, front), ended))
            await ended.wait()
    except BaseException as error:
        if begun.done():
            raise
        begun.set_exception(error)
