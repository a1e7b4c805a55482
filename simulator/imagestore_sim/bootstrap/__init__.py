"""Bootstrap files: the records that a node starts with, as YAML under the field names of ZStack's inventories."""

from __future__ import annotations

from imagestore_sim.bootstrap.errors import BootstrapError
from imagestore_sim.bootstrap.loader import BootstrapLoader
from imagestore_sim.bootstrap.reader import parse_bootstrap, read_bootstrap
from imagestore_sim.bootstrap.records import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid
from imagestore_sim.bootstrap.snapshot import Snapshots, write_snapshot

__all__ = [
    "BackupStorageRecord",
    "Bootstrap",
    "BootstrapError",
    "BootstrapLoader",
    "Snapshots",
    "ZoneRecord",
    "parse_bootstrap",
    "read_bootstrap",
    "stable_uuid",
    "write_snapshot",
]
