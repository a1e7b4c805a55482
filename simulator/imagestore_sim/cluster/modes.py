"""How fast nodes notice that another one is gone, and how strict they are about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Times of the heartbeat, in seconds."""

    name: Literal["faithful", "quick"]
    beat: float
    """Between two heartbeats of a node."""
    silent: float
    """How long the heartbeat of a node must have stood still before others take it for dead."""
    lease: float | None
    """How long a heartbeat lets a node own storages, by its own monotonic clock. None: until it finds itself out."""
    most_failures: int | None
    """A node whose heartbeat fails more often than that in a row stops itself. None: it waits for the store."""
    rejoins: bool
    """Whether a node that others took for dead joins again, or stops itself."""
    even: bool
    """Whether the ring spreads storages evenly, or as ZStack's does."""

    @property
    def quick(self) -> bool:
        """Whether a node may own nothing longer than its last heartbeat says."""
        return self.lease is not None


FAITHFUL = Mode(name="faithful", beat=5.0, silent=30.0, lease=None, most_failures=5, rejoins=False, even=False)
"""ZStack's: silent for more than (maxHeartbeatFailure 5 + 1) x 5 s, and out a turn later (management-nodes 1.2)."""
QUICK = Mode(name="quick", beat=1.0, silent=2.5, lease=2.0, most_failures=None, rejoins=True, even=True)
"""The lease ends before others may think of a takeover, so that no two nodes ever ping one storage.

From the last heartbeat of a node it takes at most 1 s until another one has seen it, 2.5 s of silence, and 1 s until
the rest has seen that it is out.
"""
MODES: Mapping[str, Mode] = MappingProxyType({mode.name: mode for mode in (FAITHFUL, QUICK)})
