"""Probes of storages by their owner alone: a node that loses a storage ends them, and nothing more gets out of it.

Of several nodes another one may probe the storage from the next moment on. So each write to a host asks whether the
storage is still this node's: a node that has stood still finds out there, before it has got to anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.cluster import Alone, PastOwner, Peers
from imagestore_sim.probe import Prober, sending_while

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Running:
    """A probe that runs, and whether this node has lost its storage meanwhile."""

    uuid: str
    task: asyncio.Task[object]
    lost: bool = False


class OwnedProbes:
    """Runs the probes of a node, each as long as the node owns the storage."""

    def __init__(self, cluster: Peers, prober: Prober) -> None:
        self._cluster = cluster
        self._prober = prober
        self._shared = not isinstance(cluster, Alone)
        self._running: set[_Running] = set()
        self._hostnames: dict[str, str] = {}
        """By uuid of a storage: the host that it was probed on."""

    async def run(self, storage: Storage, probe: Callable[[], Awaitable[T]]) -> T:
        """Return what a probe of a storage returns. Raise PastOwner if this node does not own it, or not to the end."""
        return await (self._run(storage, probe) if self._shared else probe())

    async def _run(self, storage: Storage, probe: Callable[[], Awaitable[T]]) -> T:
        self._check(storage.uuid)
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        running = _Running(storage.uuid, task)
        self._running.add(running)
        self._hostnames[storage.uuid] = storage.hostname
        try:
            with sending_while(partial(self._cluster.is_ours, storage.uuid)):
                found = await probe()
        except asyncio.CancelledError:
            if not running.lost or task.cancelling() - before > 1:  # it is cancelled for another reason, too
                raise
            task.uncancel()
            raise self._lost(storage.uuid) from None
        finally:
            self._running.discard(running)
        if running.lost:
            task.uncancel()  # the cancellation came in one turn with the result
        self._check(storage.uuid)
        return found

    def end_others(self) -> None:
        """End at once the probes of storages that this node does not own any more; leave the hosts of other nodes."""
        for one in [one for one in self._running if not one.lost and not self._cluster.is_ours(one.uuid)]:
            one.lost = True
            one.task.cancel()
        # A node whose lease has ended keeps its connections: most get it back, and logging in to all hosts costs much.
        for uuid in [uuid for uuid in self._hostnames if self._cluster.owner_of(uuid) != self._cluster.uuid]:
            self._prober.abandon(self._hostnames.pop(uuid))

    def forget(self, uuid: str) -> None:
        """Forget a storage that was deleted."""
        self._hostnames.pop(uuid, None)

    def _check(self, uuid: str) -> None:
        if not self._cluster.is_ours(uuid):
            raise self._lost(uuid)

    def _lost(self, uuid: str) -> PastOwner:
        return PastOwner(self._cluster.uuid, uuid)
