"""The node's place among others that share its store: none, or a membership with a fence."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from imagestore_sim.cluster import MODES, Alone, Fence, Membership, Peers
from imagestore_sim.database.location import url_of
from imagestore_sim.ids import new_uuid
from imagestore_sim.node.foundation import Foundation
from imagestore_sim.node.store import Store
from imagestore_sim.settings import Settings, split_address
from imagestore_sim.virtual_clock import VirtualEventLoop

EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared only
ANY_PORT = 9  # of a datagram socket that sends nothing


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """Who the other nodes are, and what this one does about them; nothing where the store is not shared."""

    peers: Peers
    membership: Membership | None = None
    fence: Fence | None = None

    async def join(self) -> None:
        """Become a member, and wait for those that are starting: only one node at a time prepares the store."""
        if self.membership is not None:
            await self.membership.join()
            await self.membership.until_first()

    @property
    def joins_others(self) -> bool:
        """Whether other nodes were running when this one joined."""
        return self.membership is not None and self.membership.joins_others

    async def run(self) -> None:
        """Join the ring."""
        if self.membership is not None:
            await self.membership.run()

    def cut_off(self) -> None:
        """Beat no more, as after a kill -9."""
        if self.membership is not None:
            self.membership.cut_off()


def wire_cluster(foundation: Foundation, store: Store, url: str) -> ClusterParts:
    """Return the node's place in the cluster of its store. `url` is where it listens."""
    if not store.database.is_shared:
        return ClusterParts(Alone())
    host, port = address_of(foundation.settings, url)
    mode = MODES[foundation.settings.cluster_mode]
    membership = Membership(store.database, foundation.events, foundation.clock, mode, _uuid_of(host, port), host, port)
    return ClusterParts(membership, membership, Fence(membership))


def address_of(settings: Settings, url: str) -> tuple[str, int]:
    """Return the host and the port at which clients and other nodes reach this one."""
    listening = urlsplit(url)
    port = listening.port or 0
    if settings.advertise is not None:
        host, given = split_address(settings.advertise)
        return host, given or port
    if settings.host not in EVERY_ADDRESS:
        return settings.host, port
    return _own_address(url_of(settings.database).host), port


def _own_address(store: str | None) -> str:
    """Return the address from which this machine reaches the store; a datagram socket finds it, and sends nothing."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect((store or "127.0.0.1", ANY_PORT))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _uuid_of(host: str, port: int) -> str:
    """Return the uuid of the node at an address: the same at each start, as in ZStack (management-nodes 1.1).

    In virtual time, where ports change from run to run, it is drawn as all uuids are.
    """
    if isinstance(asyncio.get_running_loop(), VirtualEventLoop):
        return new_uuid("node")
    digest = bytearray(hashlib.md5(f"{host}:{port}".encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x30  # a version 3 uuid, as Java's nameUUIDFromBytes makes it
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()
