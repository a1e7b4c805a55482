"""The global configuration of category `identity`: how long a session lasts, and how many a user may have."""

from __future__ import annotations

from imagestore_sim.database.global_config import ConfigOption
from imagestore_sim.database.zstack_global_config import integer

CATEGORY = "identity"

SESSION_TIMEOUT = integer(CATEGORY, "session.timeout")
MAX_SESSIONS = integer(CATEGORY, "session.maxConcurrent")
CLEANUP_INTERVAL = integer(CATEGORY, "session.cleanup.interval")
OPTIONS: tuple[ConfigOption[object], ...] = (SESSION_TIMEOUT, MAX_SESSIONS, CLEANUP_INTERVAL)
