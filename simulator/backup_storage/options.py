"""The global configuration of category `backupStorage` (domain 3.6)."""

from __future__ import annotations

from simulator.database.configuration import Option, boolean, size, whole_number

CATEGORY = "backupStorage"

PING_INTERVAL = Option(
    CATEGORY, "ping.interval", "60", "seconds between two pings of a backup storage", whole_number(at_least=1)
)
PING_PARALLELISM = Option(
    CATEGORY, "ping.parallelismDegree", "50", "how many backup storages are pinged at once", whole_number(at_least=0)
)
PING_MAX_FAILURE = Option(
    CATEGORY, "ping.maxFailure", "1", "failed tries in a row that make a ping fail", whole_number(at_least=0)
)
PING_SLEEP_AFTER_FAILURE = Option(
    CATEGORY, "ping.sleepPeriodAfterFailure", "1", "seconds between two tries of a ping", whole_number(at_least=-1)
)
AUTO_RECONNECT = Option(
    CATEGORY,
    "connection.autoReconnectOnError",
    "true",
    "whether a disconnected backup storage is reconnected without being asked",
    boolean,
)
AUTO_RECONNECT_MAX_ATTEMPTS = Option(
    CATEGORY,
    "connection.autoReconnectOnError.maxAttemptsNum",
    "0",
    "failed reconnects after which no more are tried; 0 never stops",
    whole_number(at_least=0),
)
RESERVED_CAPACITY = Option(
    CATEGORY, "reservedCapacity", "1G", "what is left free on a backup storage when space on it is allocated", size
)

OPTIONS: tuple[Option[object], ...] = (
    PING_INTERVAL,
    PING_PARALLELISM,
    PING_MAX_FAILURE,
    PING_SLEEP_AFTER_FAILURE,
    AUTO_RECONNECT,
    AUTO_RECONNECT_MAX_ATTEMPTS,
    RESERVED_CAPACITY,
)
