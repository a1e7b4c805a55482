"""How an operation on a backup storage fails, in the life cycle's terms; the API turns these into ZStack's errors."""

from __future__ import annotations

from imagestore_sim.probe import ProbeFailure

CONNECT_ERROR, OPERATION_ERROR = "BS.1500", "SYS.1006"
"""The codes of a failed connect: of an ImageStore, whose source is closed, and of any other storage (observed 18)."""


class BackupStorageError(Exception):
    """An operation failed; the text is what the client is told."""


class InvalidRequest(BackupStorageError):
    """What was asked for breaks a rule of backup storages."""


class OperationFailed(BackupStorageError):
    """What was asked for is well-formed, but cannot be done as things are."""


class NotStored(BackupStorageError):
    """The database refused a row; the text is that of Hibernate's exception, as ZStack hands it on."""

    def __init__(self, exception: str) -> None:
        super().__init__(f"org.hibernate.exception.{exception}: could not execute statement")


def constraint_violation() -> NotStored:
    """Return the error of a row whose uuid or hostname another row has."""
    return NotStored("ConstraintViolationException")


def data_exception() -> NotStored:
    """Return the error of a value that a column cannot hold."""
    return NotStored("DataException")


class NoSuchStorage(BackupStorageError):
    """The backup storage is not there, or was deleted in the meantime."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"backup storage[uuid:{uuid}] is not there, it may have been deleted")


class ConnectBroken(BackupStorageError):
    """A connect or a ping came to an end that nobody planned for; the text names what was raised."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__(f"unable to connect to {where}, because {type(error).__name__}: {error}")


class ConnectFailed(BackupStorageError):
    """The host did not answer a probe as a connected backup storage must; `failure` tells why."""

    def __init__(self, where: str, failure: ProbeFailure, code: str = CONNECT_ERROR, url: str = "") -> None:
        super().__init__(f"unable to connect to {where}, because {failure.reason}: {failure.message}")
        self.failure = failure
        self.code = code
        self.url = url
        """The path that was probed."""
