"""Options of category `identity` in the global configuration: how long sessions last, and how many a user may have."""

from __future__ import annotations

from imagestore_sim.database.global_config import ConfigOption
from imagestore_sim.database.zstack_global_config import integer

CATEGORY = "identity"

SESSION_TIMEOUT = integer(CATEGORY, "session.timeout")
"""Seconds from a session's last call to its end."""
MAX_SESSIONS = integer(CATEGORY, "session.maxConcurrent")
"""Sessions that a user may have at the same time."""
CLEANUP_INTERVAL = integer(CATEGORY, "session.cleanup.interval")
"""Seconds between two purges of expired sessions."""
OPTIONS: tuple[ConfigOption[object], ...] = (SESSION_TIMEOUT, MAX_SESSIONS, CLEANUP_INTERVAL)
