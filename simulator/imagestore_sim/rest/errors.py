"""Error codes and their texts (wire-protocol 7), and the exceptions that become an answer.

ApiError is answered as JSON, PlainError as plain text, ContainerError as a page of the servlet container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

DESCRIPTIONS: Mapping[str, str] = {
    "SYS.1000": "An internal error happened in system",
    "SYS.1001": "A message or a operation timeout",
    "SYS.1002": "Unable to create a resource",
    "SYS.1003": "A resource can not be found",
    "SYS.1004": "Unable to delete a resource",
    "SYS.1005": "Unable to change resource state",
    "SYS.1006": "An operation failed",
    "SYS.1007": "One or more API argument is invalid",
    "SYS.1008": "Unknown message, no service can deal with the message",
    "SYS.1009": "No route for message",
    "SYS.1010": "Management server is not ready to serve",
    "SYS.1011": "The message can not be delivered by Rabbitmq",
    "SYS.1012": "The management node is unavailable",
    "SYS.1013": "The resource doesn't have capability to proceed an operation",
    "SYS.1014": "The operation is not implemented or not supported yet",
    "SYS.1015": "Cannot make a HTTP request",
    "SYS.1016": "Cannot do an IO operation(e.g. network IO error, file IO error)",
    "SYS.1017": "A message or a operation cancelled",
    "SEARCH.1000": "Search module disabled",
    "ID.1000": "Unable to authenticate a user",
    "ID.1001": "The session is invalid, either wrong session id or the session has been expired",
    "ID.1002": "The user doesn't have permission to perform the operation",
    "ID.1003": "The user exceeds a quota of a resource",
    "ID.1004": "Invalid quota operation",
    "ID.1005": "The user has to change initial password",
    "ID.1006": "Max number of active sessions exceeded",
    "BS.1000": "Unable to download an image to backup storage",
    "BS.1001": "Unable to attach backup storage to zone",
    "BS.1002": "Unable to detach backup storage from zone",
    "BS.1003": "Unable to allocate a backup storage",
    "BS.1004": "Unable to ping a backup storage that has been taken over",
    "BS.1500": "Unable to connect a backup storage",
    "BS.SFTP.1000": "Unable to reconnect to sftp backup storage",
    "IMG.1001": "upload image interrupted",
    "LONG_JOB.1002": "some error interrupt the job, fix error then resume the job or cancel the job if you dont want to"
    " continue.",
    "LONG_JOB.1003": "operation is not supported.",
    "TAG.1000": "Duplicated tag.",
    "PORTAL.1000": "No service defines this API message",
}
DETAILS_LIMIT = 4096
COST = "1ms"
"""How long ZStack looked for an explanation of the error; here always the same."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """ZStack's explanation of an error for people, in its two languages (wire-protocol 7.1)."""

    code: str
    message_cn: str
    message_en: str
    method: str = "distance"
    distance: float = 0.0
    """How much the details differ from the text that ZStack knows, from 0 to 1."""

    def about(self, names: Mapping[str, str]) -> Explanation:
        """Return the explanation with its placeholders, such as `{name}`, replaced."""
        message_cn, message_en = self.message_cn, self.message_en
        for placeholder, name in names.items():
            message_cn = message_cn.replace(f"{{{placeholder}}}", name)
            message_en = message_en.replace(f"{{{placeholder}}}", name)
        return replace(self, message_cn=message_cn, message_en=message_en)

    def to_json(self) -> dict[str, object]:
        """Return the members of `messages`."""
        return {
            "code": self.code,
            "message_cn": self.message_cn,
            "message_en": self.message_en,
            "source": "zstack",
            "distance": self.distance,
            "method": self.method,
        }


WRONG_PASSWORD = Explanation("1000", "错误的帐号或密码。", "Wrong account name or password.")
WRONG_USER = replace(WRONG_PASSWORD, distance=0.08754970415218455)
SESSION_EXPIRED = Explanation(
    "1001",
    "session 已过期，或者提供了不正确的 session id。",  # noqa: RUF001 - ZStack's own text
    "Session expired or wrong session ID.",
)
EXPLANATIONS: Mapping[str, Explanation] = {"ID.1001": SESSION_EXPIRED}
"""The explanations that go with a code, whatever the details."""
EXPLAINED: Sequence[tuple[re.Pattern[str], Explanation]] = (
    (
        re.compile(r"GlobalConfig.* is of type .*, the value.* cannot be converted to that type.*", re.DOTALL),
        Explanation(
            "1000",
            "输入值无法被转换为该全局变量所期望的类型。",
            "The input value cannot be converted to expected type for this GlobalConfig.",
            "regex",
        ),
    ),
    (
        re.compile(r"No service deals with message.*", re.DOTALL),
        Explanation(
            "1006",
            "内部错误：没有服务处理的消息。",  # noqa: RUF001 - ZStack's own text
            "Internal error: No service to deal with message.",
            "regex",
        ),
    ),
    (
        re.compile(r"unable to create an account\. An account already called (?P<name>.*)", re.DOTALL),
        Explanation(
            "1002",
            "无法创建帐户。一个名为：{name} 的帐户已存在。",  # noqa: RUF001 - ZStack's own text
            "Could not create account. An account named {name} already exists.",
            "regex",
        ),
    ),
    (
        re.compile(r"unable to update name\. An account already called (?P<name>.*)", re.DOTALL),
        Explanation(
            "1003",
            "无法修改帐户名称。一个名为：{name} 的帐户已存在。",  # noqa: RUF001 - ZStack's own text
            "Could not change account name. An account named {name} already exists.",
            "regex",
        ),
    ),
    (
        re.compile(r"field\[hostname\] cannot be an empty string"),
        Explanation("1018", "物理机名称不能为空。", "Hostname could not be null.", "regex"),
    ),
)
"""The explanations that go with details of a pattern (ZStack's conf/errorElaborations)."""


def explain(details: str) -> Explanation | None:
    """Return ZStack's explanation of an error with these details, or None."""
    for pattern, explanation in EXPLAINED:
        if (found := pattern.fullmatch(details)) is not None:
            return explanation.about(found.groupdict())
    return None


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error as clients read it: `code`, its `description`, `details`, and the error that caused it.

    `location` is the step of ZStack that failed. An unexpected exception is not `looked_up`: ZStack searches no
    explanation of it, so that it has no `cost`.
    """

    code: str
    details: str | None
    cause: ErrorCode | None = None
    opaque: Mapping[str, str] | None = None
    explanation: Explanation | None = None
    location: str | None = None
    looked_up: bool = True
    global_code: str | None = None
    """The `globalErrorCode` of newer versions (wire-protocol 9)."""
    description: str | None = None
    """In place of the description that ZStack has for the code."""

    def to_json(self) -> dict[str, object]:
        """Return the error's members in ZStack's order, without absent ones; cut long details (wire-protocol 7.1)."""
        members: dict[str, object] = {"code": self.code, "description": self.description or DESCRIPTIONS[self.code]}
        if self.details is not None:
            cut = len(self.details) > DETAILS_LIMIT
            members["details"] = f"{self.details[: DETAILS_LIMIT - 3]}..." if cut else self.details
        explanation = self.explanation or EXPLANATIONS.get(self.code) or explain(self.details or "")
        if explanation is not None:
            members["elaboration"] = f"Error message: {explanation.message_en}"
        if self.location is not None:
            members["location"] = self.location
        if explanation is not None:
            members["messages"] = explanation.to_json()
        if self.cause is not None:
            members["cause"] = self.cause.to_json()
        elif self.looked_up:
            members["cost"] = COST
        if self.opaque is not None:
            members["opaque"] = dict(self.opaque)
        if self.global_code is not None:
            members["globalErrorCode"] = self.global_code
        return members


class ApiError(Exception):
    """The call failed: it is answered with `{"error": {…}}`."""

    from_handler = False
    """Whether the API's handler raised it; otherwise ZStack answers before it calls the handler."""

    def __init__(self, error: ErrorCode) -> None:
        super().__init__(f"{error.code} {error.details}")
        self.error = error


class PlainError(Exception):
    """The request reached no API: it is answered with an HTTP status and a plain text (wire-protocol 1.5)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


class NothingToDo(Exception):
    """The call's goal is already reached, such as the deletion of a missing resource: it is answered with `{}`."""


class ContainerError(Exception):
    """The request is answered by ZStack's servlet container itself, with a page (wire-protocol 1.7)."""

    def __init__(self, status: int, text: str, *, allow: str = "") -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text
        self.allow = allow


def invalid_argument(details: str) -> ApiError:
    """Return SYS.1007: an argument breaks a rule."""
    return ApiError(ErrorCode("SYS.1007", details))


def not_found(details: str) -> ApiError:
    """Return SYS.1003: an argument names a resource that does not exist."""
    return ApiError(ErrorCode("SYS.1003", details))


def missing_resource(field: str, uuid: object, resource: str) -> ApiError:
    """Return SYS.1003: a field names a resource of a type (the name of a VO) that does not exist."""
    return not_found(f"invalid field[{field}], resource[uuid:{uuid}, type:{resource}] not found")


def operation_failed(details: str) -> ApiError:
    """Return SYS.1006: the call is valid, but could not be carried out."""
    return ApiError(ErrorCode("SYS.1006", details))


def internal_error(details: str | None) -> ApiError:
    """Return SYS.1000: an unexpected exception."""
    return ApiError(ErrorCode("SYS.1000", details, looked_up=False))
