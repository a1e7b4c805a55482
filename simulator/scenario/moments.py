"""Moments as people write them: `2026-03-01 12:00:00`, `2026-03-01T12:00:00+01:00`, or `2h` ago."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from simulator.hosts.faults.quantities import parse_seconds


def parse_moment(text: str) -> float:
    """Epoch seconds; a moment without a zone is in the node's, which is UTC. Raises ValueError."""
    try:
        return time.time() - parse_seconds(text)  # real: it is about a node that lived in it
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        known = "2026-03-01 12:00:00, 2026-03-01T12:00:00+01:00, or how long ago: 2h"
        raise ValueError(f"{text!r} is no moment, such as {known}") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
