"""The global configuration of category `identity`: how long a session lasts, and how many a user may have."""

from __future__ import annotations

from imagestore_sim.database.configuration import Option
from imagestore_sim.database.zstack_options import integer

CATEGORY = "identity"

SESSION_TIMEOUT = integer(CATEGORY, "session.timeout")
MAX_SESSIONS = integer(CATEGORY, "session.maxConcurrent")
CLEANUP_INTERVAL = integer(CATEGORY, "session.cleanup.interval")
OPTIONS: tuple[Option[object], ...] = (SESSION_TIMEOUT, MAX_SESSIONS, CLEANUP_INTERVAL)
