"""The store: tables, engine, migrations, and the vault that keeps passwords unreadable."""

from __future__ import annotations

from simulator.database.engine import Database
from simulator.database.errors import DatabaseError, StoreUnavailable
from simulator.database.read_limit import ReadTooLong
from simulator.database.vault import Vault

__all__ = ["Database", "DatabaseError", "ReadTooLong", "StoreUnavailable", "Vault"]
