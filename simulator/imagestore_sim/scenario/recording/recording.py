"""What was recorded of a node, live or from its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagestore_sim.backup_storage.global_config import PING_MODE

Event = Mapping[str, Any]
"""An event as JSON has it: `time` (epoch seconds), `path`, `resourceUuid`, `content`."""


@dataclass(slots=True)
class Recording:
    """The storages of a node when a time began, and all events until it ended."""

    source: str
    """The node's URL, or the location of its database."""
    began: float
    """Epoch seconds."""
    ended: float
    ping_interval: int
    """Seconds."""
    storages: Sequence[Mapping[str, Any]]
    """Inventories, as they were when the time began."""
    events: Sequence[Event] = ()
    ping_mode: str = PING_MODE.default
    """What pings asked of hosts."""
    images: Sequence[Mapping[str, Any]] = ()
    """Inventories of the images, as they were when the time began."""
    lost: str = ""
    """How the node was lost before the recording was to end, as words that follow its URL; empty if it was not."""
