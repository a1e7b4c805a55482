"""The bootstrap file: records to begin with, under the inventories' own field names (YAML)."""

from __future__ import annotations

from simulator.bootstrap.loader import Bootstrapper
from simulator.bootstrap.reader import BootstrapError, parse_bootstrap, read_bootstrap
from simulator.bootstrap.records import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid
from simulator.bootstrap.snapshot import Snapshots, write_snapshot

__all__ = [
    "BackupStorageRecord",
    "Bootstrap",
    "BootstrapError",
    "Bootstrapper",
    "Snapshots",
    "ZoneRecord",
    "parse_bootstrap",
    "read_bootstrap",
    "stable_uuid",
    "write_snapshot",
]
