"""The sources of images, which all nodes of a store have in common: a node that changes them tells the others."""

from __future__ import annotations

import logging
from dataclasses import asdict

from imagestore_sim.cluster import Bus, CallBroken, NodeGone, Peers, TooManyCalls
from imagestore_sim.cluster.bus import Content
from imagestore_sim.images.sources import ImageSource, ImageSources

logger = logging.getLogger(__name__)
SERVICE = "image sources"
LONGEST_SECONDS = 10.0


class SharedSources:
    """Keeps the sources of the nodes alike. They are in no table: a node that starts asks another one for them."""

    def __init__(self, sources: ImageSources, peers: Peers, bus: Bus) -> None:
        self._sources = sources
        self._peers = peers
        self._bus = bus
        bus.serve(SERVICE, self._serve)

    async def tell(self) -> None:
        """Have every other node take the sources of this one."""
        if not self._peers.is_alone:
            sources = [asdict(one) for one in self._sources.all()]
            await self._bus.tell_all(SERVICE, {"sources": sources}, seconds=LONGEST_SECONDS)

    async def ask(self) -> None:
        """Take the sources of another node, if there is one."""
        other = next((node for node in self._peers.members if node != self._peers.uuid), None)
        if other is None:
            return
        try:
            answer = await self._bus.call(other, SERVICE, {}, seconds=LONGEST_SECONDS)
        except (NodeGone, CallBroken, TooManyCalls) as error:
            logger.warning("the sources of images are not known, as %s", error)
        else:
            self._take(answer)

    async def _serve(self, content: Content) -> Content:
        if "sources" in content:
            self._take(content)
        return {"sources": [asdict(one) for one in self._sources.all()]}

    def _take(self, content: Content) -> None:
        self._sources.replace(ImageSource(**one) for one in content["sources"])
