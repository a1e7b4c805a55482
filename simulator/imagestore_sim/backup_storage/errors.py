"""Errors of operations on backup storages; `api.error_translation` turns them into ZStack's errors."""

from __future__ import annotations

from imagestore_sim.probe import ProbeFailure

CONNECT_ERROR, OPERATION_ERROR = "BS.1500", "SYS.1006"
"""Error codes of a failed connect: for an ImageStore, whose source is closed, and for all others (observed 18)."""


class BackupStorageError(Exception):
    """An operation failed; the text is sent to the client."""


class InvalidRequest(BackupStorageError):
    """A request breaks a rule of backup storages."""


class OperationFailed(BackupStorageError):
    """A valid request cannot be carried out in the current state."""


class NotEnoughSpace(OperationFailed):
    """A storage has too little space for a size; the text is that of ZStack's allocation (domain 3.7)."""

    def __init__(self, size: int) -> None:
        super().__init__(f"after subtracting reserved capacity, no backup storage has required capacity[{size} bytes]")


class NotStored(BackupStorageError):
    """The database refused a row; the text is that of Hibernate's exception, which ZStack passes on."""

    def __init__(self, exception: str) -> None:
        super().__init__(f"org.hibernate.exception.{exception}: could not execute statement")


def constraint_violation() -> NotStored:
    """Return the error for a row whose uuid or hostname is already in use."""
    return NotStored("ConstraintViolationException")


def data_exception() -> NotStored:
    """Return the error for a value that a column cannot hold."""
    return NotStored("DataException")


class NoSuchStorage(BackupStorageError):
    """A backup storage does not exist, or was deleted in the meantime."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"backup storage[uuid:{uuid}] is not there, it may have been deleted")


class ConnectBroken(BackupStorageError):
    """A connect or ping raised an unexpected exception; the text names it."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__(f"unable to connect to {where}, because {type(error).__name__}: {error}")


class ConnectFailed(BackupStorageError):
    """A probe of the storage's host failed with `failure`."""

    def __init__(self, where: str, failure: ProbeFailure, code: str = CONNECT_ERROR, url: str = "") -> None:
        super().__init__(f"unable to connect to {where}, because {failure.reason}: {failure.message}")
        self.failure = failure
        self.code = code
        self.url = url
        """The path that was probed."""
