"""The global configuration of category `backupStorage` (domain 3.6): what the life of a storage goes by."""

from __future__ import annotations

from dataclasses import replace

from imagestore_sim.database.global_config import ConfigOption
from imagestore_sim.database.zstack_global_config import boolean, integer, size

CATEGORY = "backupStorage"

PING_INTERVAL = integer(CATEGORY, "ping.interval")
PING_PARALLELISM = integer(CATEGORY, "ping.parallelismDegree")
PING_MAX_FAILURE = replace(integer(CATEGORY, "ping.maxFailure"), default="1")
"""How many failed tries in a row make a ping of an ImageStore fail: one, unless the node is strict, where ZStack says
three. Nothing reads it for an Sftp storage, which one failed ping disconnects (observed 16)."""
PING_SLEEP_AFTER_FAILURE = integer(CATEGORY, "ping.sleepPeriodAfterFailure")
AUTO_RECONNECT = boolean(CATEGORY, "connection.autoReconnectOnError")
AUTO_RECONNECT_MAX_ATTEMPTS = integer(CATEGORY, "connection.autoReconnectOnError.maxAttemptsNum")
RESERVED_CAPACITY = size(CATEGORY, "reservedCapacity")

OPTIONS: tuple[ConfigOption[object], ...] = (
    PING_INTERVAL,
    PING_PARALLELISM,
    PING_MAX_FAILURE,
    PING_SLEEP_AFTER_FAILURE,
    AUTO_RECONNECT,
    AUTO_RECONNECT_MAX_ATTEMPTS,
    RESERVED_CAPACITY,
)
