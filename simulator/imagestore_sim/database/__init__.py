"""The store: the tables, an open database, migrations, the global configuration, and the vault for secrets."""

from __future__ import annotations

from imagestore_sim.database.engine import Database
from imagestore_sim.database.errors import (
    DatabaseError,
    OutcomeUnknown,
    StoreConflict,
    StoreUnavailable,
    UuidTaken,
    is_out_of_range,
)
from imagestore_sim.database.statement_timeout import ReadTooLong
from imagestore_sim.database.text_watch import TextWatch
from imagestore_sim.database.vault import Vault

__all__ = [
    "Database",
    "DatabaseError",
    "OutcomeUnknown",
    "ReadTooLong",
    "StoreConflict",
    "StoreUnavailable",
    "TextWatch",
    "UuidTaken",
    "Vault",
    "is_out_of_range",
]
