"""Has the node that owns a backup storage answer calls of the lab's API about it: it alone probes the host."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from imagestore_sim.cluster import Bus, CallBroken, NodeGone, Peers, TooManyCalls
from imagestore_sim.lab_api.routes import Refused, Shape
from imagestore_sim.tasks import together

logger = logging.getLogger(__name__)
SERVICE = "lab storages"
LONGEST_SECONDS = 90.0
OTHERS_SECONDS = 2.0
"""For which a call about all storages waits for each other node: what the rest know is worth more than to wait."""
S = TypeVar("S", bound=Shape)


class StorageOwners:
    """The nodes that own storages, which may be this one."""

    def __init__(self, peers: Peers, bus: Bus) -> None:
        self._peers = peers
        self._bus = bus

    def elsewhere(self, storage: str) -> str | None:
        """Return the node that owns a storage; None if it is this one."""
        if self._peers.is_alone or (owner := self._peers.owner_of(storage)) == self._peers.uuid:
            return None
        return owner

    async def ask(
        self,
        node: str,
        call: str,
        asked: Mapping[str, Any],
        shape: type[S],
        storage: str = "",
        seconds: float = LONGEST_SECONDS,
    ) -> S:
        """Return what another node answers within `seconds` to a call about a storage. Raise Refused."""
        content = {"call": call, "storage": storage, "asked": dict(asked)}
        try:
            answer = await self._bus.call(node, SERVICE, content, seconds=seconds)
        except (NodeGone, CallBroken, TooManyCalls) as error:
            raise Refused(503, str(error)) from None
        if "refused" in answer:
            raise Refused(*answer["refused"])
        return shape.model_validate(answer["answer"])

    async def ask_others(self, call: str, asked: Mapping[str, Any], shape: type[S]) -> Mapping[str, S | None]:
        """Return what each other node answers, by its uuid; None for one that is gone, stands still or is starting."""

        async def ask(node: str) -> S | None:
            try:
                return await self.ask(node, call, asked, shape, seconds=OTHERS_SECONDS)
            except Refused as refused:
                logger.info("management node %s does not tell of its %s: %s", node, call, refused)
                return None

        others = [node for node in self._peers.members if node != self._peers.uuid]
        return dict(zip(others, await together(*map(ask, others)), strict=True))
