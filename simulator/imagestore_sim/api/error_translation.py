"""Translate exceptions of the life cycle, queries and the store to ZStack's errors (wire-protocol 7, domain 3)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError

from imagestore_sim.backup_storage.errors import (
    BackupStorageError,
    ConnectFailed,
    InvalidRequest,
    NoSuchStorage,
    OperationFailed,
    constraint_violation,
)
from imagestore_sim.cluster import CallBroken, NodeGone, PastOwner, TooManyCalls
from imagestore_sim.database import StoreUnavailable, UuidTaken
from imagestore_sim.database.global_config import InvalidOption
from imagestore_sim.database.global_config_rules import NullPointer
from imagestore_sim.identity.owners import AccountGone
from imagestore_sim.identity.quotas import QuotaExceeded
from imagestore_sim.images.errors import DownloadFailed
from imagestore_sim.probe import Reason
from imagestore_sim.query import QueryError
from imagestore_sim.rest.errors import ApiError, ErrorCode, internal_error

CODES: tuple[tuple[type[Exception], str], ...] = (
    (InvalidRequest, "SYS.1007"),
    (InvalidOption, "SYS.1007"),
    (OperationFailed, "SYS.1006"),
    (NoSuchStorage, "SYS.1003"),
    (AccountGone, "SYS.1003"),
    (BackupStorageError, "SYS.1000"),
)

_SSH = "The problem may be caused by an incorrect user name or password or SSH port"
_MOUNTED = "Please check whether ImageStore directory is correctly mounted"
ZSTACK_TEXTS: Mapping[Reason, str] = {
    Reason.AUTH_FAILED: "User name or password or port number may be problematic",
    Reason.REFUSED: _SSH,
    Reason.NOT_SSH: _SSH,
    Reason.TIMEOUT: _SSH,
    Reason.RESET: _SSH,
    Reason.NOT_A_DIRECTORY: "storage path: {url} is a file",
    Reason.NOT_MOUNTED: (
        "ERROR: registry directory is missing, imagestore metadata may have been lost. Check it immediately!"
    ),
    Reason.STALE_MOUNT: _MOUNTED,
    Reason.IO_ERROR: _MOUNTED,
    Reason.HUNG: _MOUNTED,
}
"""ZStack's own text for a reason, where its sources have one (domain 3.3, 6.3, 7.1): clients may search for these."""


def translate(error: Exception) -> ApiError | None:
    """Return the ApiError for an exception, or None if the exception is unexpected."""
    if isinstance(error, QueryError):
        return ApiError(ErrorCode(error.code, error.details, looked_up=error.code != "SYS.1000"))
    if isinstance(error, PastOwner):
        return ApiError(ErrorCode("SYS.1012", f"management node[uuid:{error.node}] is unavailable"))
    if isinstance(error, QuotaExceeded):
        return ApiError(ErrorCode("ID.1003", str(error)))
    if isinstance(error, ConnectFailed):
        return ApiError(connect_error(error))
    if isinstance(error, DownloadFailed):
        return ApiError(ErrorCode("SYS.1002", str(error), cause=ErrorCode("SYS.1006", error.cause)))
    if isinstance(error, IntegrityError | UuidTaken):
        error = constraint_violation()
    if isinstance(error, NullPointer):
        return ApiError(ErrorCode("SYS.1000", None, looked_up=False))
    if isinstance(error, NodeGone):
        return ApiError(ErrorCode("SYS.1012", str(error)))
    if isinstance(error, StoreUnavailable | CallBroken | TooManyCalls):
        return internal_error(str(error))
    for kind, code in CODES:
        if isinstance(error, kind):
            return ApiError(ErrorCode(code, str(error), looked_up=code != "SYS.1000"))
    return None


def connect_error(failure: ConnectFailed) -> ErrorCode:
    """Return BS.1500 for an ImageStore, SYS.1006 for an Sftp storage, with the probe's reason as `opaque.reason`.

    The details end with ZStack's own text for that reason, where its sources have one.
    """
    reason = failure.failure.reason
    text = ZSTACK_TEXTS.get(reason)
    details = f"{failure}; {text.format(url=failure.url)}" if text else str(failure)
    return ErrorCode(failure.code, details, opaque={"reason": reason})
