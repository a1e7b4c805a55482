"""The global configuration of category `identity`: how long a session lasts, and how many a user may have."""

from __future__ import annotations

from simulator.database.configuration import Option, whole_number

CATEGORY = "identity"


def _option(name: str, default: str, description: str) -> Option[int]:
    return Option(CATEGORY, name, default, description, whole_number(at_least=1))


SESSION_TIMEOUT = _option("session.timeout", "7200", "seconds that a session lasts after its last call")
MAX_SESSIONS = _option("session.maxConcurrent", "500", "sessions that a user may have at once")
CLEANUP_INTERVAL = _option("session.cleanup.interval", "3600", "seconds between purges of expired sessions")
OPTIONS: tuple[Option[object], ...] = (SESSION_TIMEOUT, MAX_SESSIONS, CLEANUP_INTERVAL)
