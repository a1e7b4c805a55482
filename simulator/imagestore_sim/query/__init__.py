"""ZStack's query language: parse conditions, run them as SQL, and return rows as the fields of inventories."""

from imagestore_sim.query.collation import register_functions
from imagestore_sim.query.conditions import Query
from imagestore_sim.query.engine import QueryEngine, QueryResult
from imagestore_sim.query.errors import QueryError, QueryParameterError
from imagestore_sim.query.inventories import (
    ACCESS_KEY,
    ACCOUNT,
    BACKUP_STORAGE,
    GLOBAL_CONFIG,
    IMAGE,
    IMAGE_STORE_BACKUP_STORAGE,
    LONG_JOB,
    MANAGEMENT_NODE,
    POLICY,
    QUOTA,
    ROLE,
    SFTP_BACKUP_STORAGE,
    SHARED_RESOURCE,
    SYSTEM_TAG,
    USER,
    USER_GROUP,
    USER_TAG,
    WEB_HOOK,
    ZONE,
    Inventory,
)

__all__ = [
    "ACCESS_KEY",
    "ACCOUNT",
    "BACKUP_STORAGE",
    "GLOBAL_CONFIG",
    "IMAGE",
    "IMAGE_STORE_BACKUP_STORAGE",
    "LONG_JOB",
    "MANAGEMENT_NODE",
    "POLICY",
    "QUOTA",
    "ROLE",
    "SFTP_BACKUP_STORAGE",
    "SHARED_RESOURCE",
    "SYSTEM_TAG",
    "USER",
    "USER_GROUP",
    "USER_TAG",
    "WEB_HOOK",
    "ZONE",
    "Inventory",
    "Query",
    "QueryEngine",
    "QueryError",
    "QueryParameterError",
    "QueryResult",
    "register_functions",
]
