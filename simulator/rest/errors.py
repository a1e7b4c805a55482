"""Error codes and texts (wire-protocol 7), and the two ways a call can fail: in plain text, or as a JSON error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DESCRIPTIONS: Mapping[str, str] = {
    "SYS.1000": "An internal error happened in system",
    "SYS.1001": "A message or a operation timeout",
    "SYS.1002": "Unable to create a resource",
    "SYS.1003": "A resource can not be found",
    "SYS.1004": "Unable to delete a resource",
    "SYS.1005": "Unable to change resource state",
    "SYS.1006": "An operation failed",
    "SYS.1007": "One or more API argument is invalid",
    "SYS.1010": "Management server is not ready to serve",
    "SYS.1012": "The management node is unavailable",
    "SYS.1014": "The operation is not implemented or not supported yet",
    "ID.1000": "Unable to authenticate a user",
    "ID.1001": "The session is invalid, either wrong session id or the session has been expired",
    "ID.1002": "The user doesn't have permission to perform the operation",
    "ID.1006": "Max number of active sessions exceeded",
    "BS.1001": "Unable to attach backup storage to zone",
    "BS.1002": "Unable to detach backup storage from zone",
    "BS.1500": "Unable to connect a backup storage",
    "BS.SFTP.1000": "Unable to reconnect to sftp backup storage",
}
DETAILS_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error as clients read it: `code`, its `description`, `details`, and the error that caused it."""

    code: str
    details: str
    cause: ErrorCode | None = None
    opaque: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, object]:
        """The error's members in ZStack's order, without the absent ones; long details are cut (wire-protocol 7.1)."""
        details = self.details if len(self.details) <= DETAILS_LIMIT else self.details[: DETAILS_LIMIT - 3] + "..."
        members: dict[str, object] = {"code": self.code, "description": DESCRIPTIONS[self.code], "details": details}
        if self.cause is not None:
            members["cause"] = self.cause.to_json()
        if self.opaque is not None:
            members["opaque"] = dict(self.opaque)
        return members


class ApiError(Exception):
    """A call that failed, to be answered as `{"error": {…}}`."""

    def __init__(self, error: ErrorCode) -> None:
        super().__init__(f"{error.code} {error.details}")
        self.error = error


class PlainError(Exception):
    """A request that got no further than the protocol: an HTTP status and a plain text (wire-protocol 1.5)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


def invalid_argument(details: str) -> ApiError:
    """SYS.1007: an argument breaks a rule."""
    return ApiError(ErrorCode("SYS.1007", details))


def not_found(details: str) -> ApiError:
    """SYS.1003: an argument names a resource that does not exist."""
    return ApiError(ErrorCode("SYS.1003", details))


def operation_failed(details: str) -> ApiError:
    """SYS.1006: a well-formed operation that cannot be done as things are."""
    return ApiError(ErrorCode("SYS.1006", details))


def internal_error(details: str) -> ApiError:
    """SYS.1000: something nobody planned for."""
    return ApiError(ErrorCode("SYS.1000", details))
