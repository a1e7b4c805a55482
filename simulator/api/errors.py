"""The ZStack error that each way of failing in the life cycle or in a query becomes (wire-protocol 7, domain 3)."""

from __future__ import annotations

from simulator.backup_storage.errors import (
    BackupStorageError,
    ConnectFailed,
    InvalidRequest,
    NoSuchStorage,
    OperationFailed,
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
    if isinstance(error, NullPointer):
        return ApiError(ErrorCode("SYS.1000", None, looked_up=False))
    if isinstance(error, StoreUnavailable):
        return internal_error(str(error))
    for kind, code in CODES:
        if isinstance(error, kind):
            return ApiError(ErrorCode(code, str(error)))
    return None


def connect_error(failure: ConnectFailed) -> ErrorCode:
    """BS.1500, with the probe's reason in one word as `opaque.reason`."""
    return ErrorCode("BS.1500", str(failure), opaque={"reason": failure.failure.reason})
