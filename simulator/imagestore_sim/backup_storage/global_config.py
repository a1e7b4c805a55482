"""The options of category `backupStorage` of the global configuration: pings, reconnects, capacity (domain 3.6)."""

from __future__ import annotations

from dataclasses import replace

from imagestore_sim.database.global_config import ConfigOption
from imagestore_sim.database.zstack_global_config import boolean, integer, size

CATEGORY = "backupStorage"

PING_INTERVAL = integer(CATEGORY, "ping.interval")
"""Seconds between two pings of a storage, and before each automatic reconnect."""
PING_PARALLELISM = integer(CATEGORY, "ping.parallelismDegree")
"""The number of storages that are pinged at once."""
PING_MAX_FAILURE = replace(integer(CATEGORY, "ping.maxFailure"), default="1")
"""The number of failed tries in a row that make a ping of an ImageStore fail.

The default is 1; with `--strict` it is ZStack's 3. For an Sftp storage nothing reads it, and the first failed try
disconnects (observed 16).
"""
PING_SLEEP_AFTER_FAILURE = integer(CATEGORY, "ping.sleepPeriodAfterFailure")
"""Seconds between two tries of a ping."""
AUTO_RECONNECT = boolean(CATEGORY, "connection.autoReconnectOnError")
"""Whether a Disconnected storage is reconnected automatically."""
AUTO_RECONNECT_MAX_ATTEMPTS = integer(CATEGORY, "connection.autoReconnectOnError.maxAttemptsNum")
"""The number of failed connects after which that stops; 0 for no limit."""
RESERVED_CAPACITY = size(CATEGORY, "reservedCapacity")
"""Bytes that new images must leave available."""

OPTIONS: tuple[ConfigOption[object], ...] = (
    PING_INTERVAL,
    PING_PARALLELISM,
    PING_MAX_FAILURE,
    PING_SLEEP_AFTER_FAILURE,
    AUTO_RECONNECT,
    AUTO_RECONNECT_MAX_ATTEMPTS,
    RESERVED_CAPACITY,
)
