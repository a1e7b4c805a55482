"""The options of category `backupStorage` of the global configuration: pings, reconnects, capacity (domain 3.6)."""

from __future__ import annotations

from dataclasses import replace

from imagestore_sim.backup_storage.records import SFTP_TYPE, Storage
from imagestore_sim.database.global_config import ConfigOption, GlobalConfiguration
from imagestore_sim.database.global_config_rules import Declaration, check, limits
from imagestore_sim.database.zstack_global_config import boolean, integer, size
from imagestore_sim.probe import PingMode

CATEGORY = "backupStorage"
_PING_MODE = Declaration(CATEGORY, "ping.mode", values=tuple(PingMode))


def _read_ping_mode(_: ConfigOption[PingMode], text: str) -> PingMode:
    check(_PING_MODE, text)
    return PingMode(text)


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
PING_MODE = ConfigOption(
    CATEGORY,
    _PING_MODE.name,
    PingMode.CAPACITY.value,
    "what a ping asks of a host: its capacity, a login by SSH, a TCP connection, or its agent",
    _read_ping_mode,
    100_001,
    lambda: limits(_PING_MODE),
    ours=True,
)
"""What a ping asks of a host. ZStack has no such option: its pings ask the agent."""
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
    PING_MODE,
)


def ping_mode_of(configuration: GlobalConfiguration, storage: Storage) -> PingMode:
    """Return what a ping asks of the host of a storage: an Sftp storage has no agent, so its capacity is measured."""
    mode = configuration.get(PING_MODE)
    return PingMode.CAPACITY if mode is PingMode.AGENT and storage.type == SFTP_TYPE else mode
