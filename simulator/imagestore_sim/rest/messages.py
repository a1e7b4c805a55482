"""An API declared once: a class with its path, its parameters with their rules, sync or async, and its reply's keys.

    class APIChangeBackupStorageStateMsg(
        AsyncMessage, path="/backup-storage/{uuid}/actions", method="PUT", package=PACKAGE, reply=("inventory",)
    ):
        uuid: Annotated[str, Rule(resource="BackupStorageVO")]
        stateEvent: Annotated[str, Rule(valid_values=("enable", "disable"))]

The class has ZStack's own name, from which the action's key in a body follows (wire-protocol 1.3). A field without a
default is required. What a client sends is bound to the fields by `binding`, checked by `validation`, and only then is
an instance made: a handler never sees an invalid message.

A member of the reply that ZStack's own class has under another name is written as ZStack writes it,
`"types=backupStorageTypes"`: the legacy API uses that other name. Only admin may call an API, unless it is a query,
needs no session, or is declared to be `for_everyone` (wire-protocol 7.3).
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from sqlalchemy.sql.dml import UpdateBase

from imagestore_sim.rest.binding import (
    Body,
    Pairs,
    Values,
    bind_body,
    bind_fields,
    bind_path,
    bind_query_string,
    timeout_in,
)
from imagestore_sim.rest.errors import internal_error
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.parameters import DEFAULT_TIMEOUT_SECONDS, Api, HttpMethod, Kind, Parameter, Rule

DELETE_MODES = ("Permissive", "Enforcing")


@dataclass_transform(kw_only_default=True, frozen_default=True)
@dataclass(frozen=True, kw_only=True)
class Message:
    """The base of every message. Common parameters: wire-protocol 5.1."""

    api: ClassVar[Api]
    sync: ClassVar[bool] = False
    always_with_schema: ClassVar[bool] = False
    waits: ClassVar[bool] = False
    """Whether its handler waits for a host or for time to go by, and so writes in more than one transaction. The
    changes of any other are one transaction with the result of its job."""
    repeatable: ClassVar[bool] = False
    """Whether the reply follows from the request and the store alone, so that it may be given again."""

    systemTags: list[str] | None = None
    userTags: list[str] | None = None

    def __init_subclass__(
        cls,
        *,
        method: HttpMethod | None = None,
        path: str = "",
        optional_paths: tuple[str, ...] = (),
        package: str = "",
        reply: tuple[str, ...] = (),
        says_success: bool = False,
        authenticated: bool = True,
        for_everyone: bool | None = None,
        batch: bool = False,
        timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS,
        response_class: str = "",
        paid: bool = False,
        source: str = "",
        deviation: str = "",
        **others: object,
    ) -> None:
        super().__init_subclass__(**others)
        dataclass(frozen=True, kw_only=True)(cls)
        if method is None:
            return  # a base of messages, no message itself
        cls.api = Api(
            name=cls.__name__,
            java_class=f"{package}.{cls.__name__}",
            method=method,
            paths=(path, *optional_paths),
            action=action_name(cls.__name__),
            body_key="params" if method == "POST" else action_name(cls.__name__),
            sync=cls.sync,
            authenticated=authenticated,
            admin_only=authenticated and not (cls.always_with_schema if for_everyone is None else for_everyone),
            batch=batch,
            reply=tuple(one.partition("=")[0] for one in reply),
            reply_fields=dict(one.split("=") for one in reply if "=" in one),
            says_success=says_success,
            timeout_seconds=timeout_seconds,
            response_class=_response_class(f"{package}.{cls.__name__}", response_class, sync=cls.sync),
            paid=paid,
            source=source or _cited(sys.modules[cls.__module__].__doc__),
            deviation=deviation,
            parameters=parameters_of(cls),
        )

    @classmethod
    def bind(cls, method: str, pairs: Pairs, body: Body, variables: Mapping[str, str]) -> Values:
        """The fields' values in a request: from the query string of a GET or DELETE, else from the body; then from the
        path. Raises PlainError for a value of the wrong type."""
        if method in ("GET", "DELETE"):
            values = bind_query_string(cls.api, pairs)
        else:
            values = bind_body(cls.api, body, cls._body_key(method, body))
        return bind_path(cls.api, variables, values)

    @classmethod
    def timeout_in(cls, method: str, body: Body) -> int | None:
        """The milliseconds that a request's body, which has been bound, gives the call; None if it does not."""
        return None if method in ("GET", "DELETE") else timeout_in(body, cls._body_key(method, body))

    @classmethod
    def _body_key(cls, method: str, body: Body) -> str:
        return cls.api.action if method == "PUT" and cls.api.action in (body or {}) else cls.api.body_key

    @classmethod
    def bind_fields(cls, fields: Mapping[str, object]) -> Values:
        """The fields' values in a message of the legacy API. Raises PlainError for a value of the wrong type."""
        return bind_fields(cls.api, fields)


class SyncMessage(Message):
    """Answered on the same connection: 200 or 503 (wire-protocol 3.1)."""

    sync = True


class AsyncMessage(Message):
    """Answered 202, with a job to poll (wire-protocol 3.2)."""


class CreateMessage(AsyncMessage):
    """Makes a resource, whose uuid the client may choose."""

    resourceUuid: str | None = None
    tagUuids: Annotated[list[str] | None, Rule(resource="TagPatternVO")] = None


class DeleteMessage(AsyncMessage):
    """Deletes a resource; `deleteMode` is not checked up front (wire-protocol 5.1)."""

    deleteMode: str = "Permissive"

    def check_delete_mode(self, leniency: Leniency = LENIENT) -> None:
        """Raises ApiError SYS.1000, as ZStack's handlers do when they come to read it."""
        forgiven = leniency.empty_delete_mode and not self.deleteMode
        if self.deleteMode not in DELETE_MODES and not forgiven:
            enum = "org.zstack.header.message.APIDeleteMessage.DeletionMode"
            raise internal_error(f"No enum constant {enum}.{self.deleteMode}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: the body's members, the Java class of each object in it by path, and what has to be
    written together with the job's result, so that a crash leaves both or neither.

    `batch` is, for an API that does many things at once, how many of how many went well. `secret` says that the body
    lets its reader in, so that a job's result is stored encrypted.
    """

    body: Mapping[str, object] = field(default_factory=dict)
    schema: Mapping[str, str] = field(default_factory=dict)
    commit: tuple[UpdateBase, ...] = ()
    batch: tuple[int, int] | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """The circumstances of a call: whose session it came with, and the uuid of its job (or of the message)."""

    uuid: str
    account_uuid: str | None


S = TypeVar("S")
M = TypeVar("M", bound=Message)
Handler = Callable[[S, M, Call], Awaitable[Reply]]
Check = Callable[[S, M, Call], Awaitable[None]]


class Handlers(Generic[S]):
    """The handlers of some messages; `S` is what they need to do their work."""

    def __init__(self) -> None:
        self.by_message: dict[type[Message], Handler[S, Any]] = {}
        self.checks_by_message: dict[type[Message], Check[S, Any]] = {}
        self.first_checks_by_message: dict[type[Message], Check[S, Any]] = {}

    def handles(self, handler: Handler[S, M]) -> Handler[S, M]:
        """Register the handler of the message that its second parameter is declared to take."""
        message = _message_of(handler)
        if message in self.by_message:
            raise TypeError(f"{message.__name__} has two handlers")
        self.by_message[message] = handler
        return handler

    def checks(self, check: Check[S, M]) -> Check[S, M]:
        """Register what must hold, beyond the rules of the parameters, before a message is handled.

        It runs even where a client asks for validation only. Raises ApiError, or what the life cycle raises.
        """
        message = _message_of(check)
        if message in self.checks_by_message:
            raise TypeError(f"{message.__name__} is checked twice")
        self.checks_by_message[message] = check
        return check

    def checks_first(self, check: Check[S, M]) -> Check[S, M]:
        """Register what must hold even before the session and the rights of who calls are looked at."""
        self.first_checks_by_message[_message_of(check)] = check
        return check

    def include(self, others: Handlers[S]) -> None:
        """Take in the handlers of another module."""
        for message in others.by_message.keys() & self.by_message.keys():
            raise TypeError(f"{message.__name__} has two handlers")
        self.by_message.update(others.by_message)
        self.checks_by_message.update(others.checks_by_message)
        self.first_checks_by_message.update(others.first_checks_by_message)


def _message_of(handler: Callable[..., object]) -> type[Message]:
    """The message that the second parameter of a handler is declared to take."""
    second = list(inspect.signature(handler).parameters)[1]
    message: type[Message] = get_type_hints(handler)[second]
    return message


def _response_class(java_class: str, given: str, *, sync: bool) -> str:
    """What answers a message: the class that ZStack's annotation of it names, mostly called like the message."""
    if "." in given:
        return given
    package, _, name = java_class.rpartition(".")
    return f"{package}.{given or name.removesuffix('Msg') + ('Reply' if sync else 'Event')}"


def _cited(text: str | None) -> str:
    """What a docstring refers to: the parentheses that end its first sentence."""
    found = re.search(r"\(([^()]+)\)\.", text or "")
    return found[1] if found else ""


def action_name(class_name: str) -> str:
    """`APILogInByAccountMsg` -> `logInByAccount` (wire-protocol 1.3)."""
    name = class_name.removeprefix("API").removesuffix("Msg")
    return name[0].lower() + name[1:]


def parameters_of(message: type[Message]) -> tuple[Parameter, ...]:
    """The parameters of a message class, its own before the inherited ones, as Java collects them.

    A field of a type that no JSON value has is no parameter: its message binds it itself.
    """
    hints = get_type_hints(message, include_extras=True)
    own = [name for name in message.__annotations__ if name in hints]
    declared = sorted(fields(message), key=lambda one: own.index(one.name) if one.name in own else len(own))
    found = (_parameter(one.name, hints[one.name], one.default is MISSING, one.name in own) for one in declared)
    return tuple(parameter for parameter in found if parameter is not None)


def _parameter(name: str, hint: object, required: bool, own: bool) -> Parameter | None:
    rule = Rule()
    if get_origin(hint) is Annotated:
        hint, rule = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    kind = _kind(get_origin(hint) or hint, rule)
    return None if kind is None else Parameter(name, kind, rule, required, own)


def _kind(python_type: object, rule: Rule) -> Kind | None:
    if python_type is int:
        return Kind.LONG if rule.long else Kind.INTEGER
    kinds: dict[object, Kind] = {str: Kind.STRING, bool: Kind.BOOLEAN, list: Kind.STRINGS, dict: Kind.MAP}
    return kinds.get(python_type)
