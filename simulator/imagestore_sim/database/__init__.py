"""The store: tables, engine, migrations, and the vault that keeps passwords unreadable."""

from __future__ import annotations

from imagestore_sim.database.engine import Database
from imagestore_sim.database.errors import DatabaseError, StoreUnavailable
from imagestore_sim.database.statement_timeout import ReadTooLong
from imagestore_sim.database.vault import Vault

__all__ = ["Database", "DatabaseError", "ReadTooLong", "StoreUnavailable", "Vault"]
