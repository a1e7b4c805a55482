"""The ZStack error that each way of failing in the life cycle or in a query becomes (wire-protocol 7, domain 3)."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from simulator.backup_storage.errors import (
    BackupStorageError,
    ConnectFailed,
    InvalidRequest,
    NoSuchStorage,
    OperationFailed,
    taken,
)
from simulator.backup_storage.images import DownloadFailed
from simulator.database import StoreUnavailable
from simulator.database.configuration import InvalidOption
from simulator.database.option_rules import NullPointer
from simulator.query import QueryError
from simulator.rest.errors import ApiError, ErrorCode, internal_error

CODES: tuple[tuple[type[Exception], str], ...] = (
    (InvalidRequest, "SYS.1007"),
    (InvalidOption, "SYS.1007"),
    (OperationFailed, "SYS.1006"),
    (NoSuchStorage, "SYS.1003"),
    (BackupStorageError, "SYS.1000"),
)


def translate(error: Exception) -> ApiError | None:
    """What clients are told of `error`; None if nobody planned for it."""
    if isinstance(error, QueryError):
        return ApiError(ErrorCode(error.code, error.details, looked_up=error.code != "SYS.1000"))
    if isinstance(error, ConnectFailed):
        return ApiError(connect_error(error))
    if isinstance(error, DownloadFailed):
        return ApiError(ErrorCode("SYS.1002", str(error), cause=ErrorCode("SYS.1006", error.cause)))
    if isinstance(error, IntegrityError):
        error = taken()
    if isinstance(error, NullPointer):
        return ApiError(ErrorCode("SYS.1000", None, looked_up=False))
    if isinstance(error, StoreUnavailable):
        return internal_error(str(error))
    for kind, code in CODES:
        if isinstance(error, kind):
            return ApiError(ErrorCode(code, str(error), looked_up=code != "SYS.1000"))
    return None


def connect_error(failure: ConnectFailed) -> ErrorCode:
    """BS.1500 of an ImageStore, SYS.1006 of an Sftp storage; the probe's reason is in one word as `opaque.reason`."""
    return ErrorCode(failure.code, str(failure), opaque={"reason": failure.failure.reason})
