"""ZStack's query language: conditions in, SQL out, rows back as the members of inventories."""

from simulator.query.conditions import Query
from simulator.query.engine import Found, QueryEngine
from simulator.query.errors import QueryError, QueryParameterError
from simulator.query.folding import prepare
from simulator.query.inventories import (
    BACKUP_STORAGE,
    GLOBAL_CONFIG,
    IMAGE,
    IMAGE_STORE_BACKUP_STORAGE,
    MANAGEMENT_NODE,
    SFTP_BACKUP_STORAGE,
    SYSTEM_TAG,
    USER_TAG,
    WEB_HOOK,
    ZONE,
    Inventory,
)

__all__ = [
    "BACKUP_STORAGE",
    "GLOBAL_CONFIG",
    "IMAGE",
    "IMAGE_STORE_BACKUP_STORAGE",
    "MANAGEMENT_NODE",
    "SFTP_BACKUP_STORAGE",
    "SYSTEM_TAG",
    "USER_TAG",
    "WEB_HOOK",
    "ZONE",
    "Found",
    "Inventory",
    "Query",
    "QueryEngine",
    "QueryError",
    "QueryParameterError",
    "prepare",
]
