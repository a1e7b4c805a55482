"""The bootstrap file: records to begin with, under the inventories' own field names (YAML)."""

from __future__ import annotations

from simulator.bootstrap.loader import Bootstrapper
from simulator.bootstrap.reader import BootstrapError, read_bootstrap
from simulator.bootstrap.records import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid

__all__ = [
    "BackupStorageRecord",
    "Bootstrap",
    "BootstrapError",
    "Bootstrapper",
    "ZoneRecord",
    "read_bootstrap",
    "stable_uuid",
]
