"""How an API is declared: a message class with its paths, its parameters with their rules, and its reply's members.

    class APIChangeBackupStorageStateMsg(
        AsyncMessage, path="/backup-storage/{uuid}/actions", method="PUT", package=PACKAGE, reply={"inventory": ZONE}
    ):
        uuid: Annotated[str, Rule(resource="BackupStorageVO")]
        stateEvent: Annotated[str, Rule(valid_values=("enable", "disable"))]

A function beside the class, decorated with `@handlers.handles`, is its handler. The modules in `api/` hold both.

The class has ZStack's name, from which the action's key in a body follows (wire-protocol 1.3). A field without a
default is required. `binding` reads the fields from a request, `validation` checks them, and only then is an instance
made: a handler never gets an invalid message.

`reply` has the members of the answer, each with what it is: an inventory, `[INVENTORY]` for a list, `{"": INVENTORY}`
for a map, or the type of any other value. A member that ZStack's class has under another name is declared with both,
as `"types=backupStorageTypes"`: the legacy API uses the second name. Only admin may call an API, unless it is a query,
needs no session, or is declared `for_everyone` (wire-protocol 7.3). `source` cites where the facts come from, by
default what the module's docstring cites; `deviation` is the note on the fidelity page. `with_success` adds a member
`success` to the answer, `batch` has a web hook report how much of the call succeeded, and `response_class` names the
Java class of the reply or event where that does not follow from the message's name.

What an API does is the docstring of its class, what a parameter means a docstring below its field: the OpenAPI document
and the explorer show them.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from types import MappingProxyType, UnionType, new_class
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from sqlalchemy import Executable

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
NO_REPLY: Mapping[str, object] = MappingProxyType({})
REQUIRED = object()
"""What stands for the default of a field that has none."""


def _defaults_of(message: type[Message]) -> Mapping[str, object]:
    """Return the fields of a message class with their defaults: those of its bases, and its own."""
    own, inherited = vars(message), [vars(base).get("defaults", {}) for base in reversed(message.__mro__[1:])]
    annotations = inspect.get_annotations(message)
    declared = {
        name: own.get(name, REQUIRED) for name, kind in annotations.items() if not str(kind).startswith("ClassVar")
    }
    if not declared and len(message.__bases__) == 1:
        return message.defaults
    return {name: default for fields in (*inherited, declared) for name, default in fields.items()}


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Message:
    """The base of every message, with the parameters that all have (wire-protocol 5.1).

    It works as a frozen dataclass with keyword parameters does. A dataclass makes code of its own for each class, which
    took hundreds of messages a tenth of a start.
    """

    api: ClassVar[Api]
    sync: ClassVar[bool] = False
    always_with_schema: ClassVar[bool] = False
    waits: ClassVar[bool] = False
    """Whether the handler waits for a host or for time to pass, and so writes in more than one transaction. Without it
    the changes of the handler are one transaction with the result of its job."""
    owned_by: ClassVar[str] = ""
    """The field with the uuid of the storage whose owner runs the handler, where several nodes share a store; without
    one, any node does. Of a list of uuids the first counts."""
    asks_all_nodes: ClassVar[bool] = False
    """Whether, where several nodes share a store, one answers that has something to say: the first reply counts with a
    member that is not empty."""
    begins_session: ClassVar[bool] = False
    """Whether it is a login."""
    cacheable: ClassVar[bool] = False
    """Whether the reply depends on nothing but the request and the store, so that it may come from the cache."""
    defaults: ClassVar[Mapping[str, object]] = {"systemTags": None, "userTags": None}
    """The fields in their order, the inherited ones first, each with its default or REQUIRED."""

    systemTags: list[str] | None = None
    userTags: list[str] | None = None

    def __init__(self, **values: object) -> None:
        """Set each field to the value given, else to its default. Raise TypeError for an unknown or a missing field."""
        fields = self.defaults | values  # type: ignore[operator]  # they are a dict
        if len(fields) > len(self.defaults):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(values.keys() - self.defaults.keys())}")
        if missing := [name for name, value in fields.items() if value is REQUIRED]:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")
        self.__dict__.update(fields)

    def but(self, **values: object) -> Self:
        """Return a message with other values in some fields."""
        return type(self)(**{**self.__dict__, **values})

    def __init_subclass__(
        cls,
        *,
        method: HttpMethod | None = None,
        path: str = "",
        optional_paths: tuple[str, ...] = (),
        package: str = "",
        reply: Mapping[str, object] = NO_REPLY,
        with_success: bool = False,
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
        cls.defaults = _defaults_of(cls)
        if method is None:
            return  # a base class, not a message
        java_class = f"{package}.{cls.__name__}".lstrip(".")
        cls.api = Api(
            name=cls.__name__,
            java_class=java_class,
            method=method,
            paths=tuple(filter(None, (path, *optional_paths))),
            action=action_name(cls.__name__),
            body_key="params" if method == "POST" else action_name(cls.__name__),
            sync=cls.sync,
            authenticated=authenticated,
            admin_only=authenticated and not (cls.always_with_schema if for_everyone is None else for_everyone),
            batch=batch,
            reply={name.partition("=")[0]: kind for name, kind in reply.items()},
            reply_fields=dict(one.split("=") for one in reply if "=" in one),
            with_success=with_success,
            timeout_seconds=timeout_seconds,
            response_class=_response_class(java_class, response_class, sync=cls.sync),
            paid=paid,
            source=source or _cited(sys.modules[cls.__module__].__doc__),
            deviation=deviation,
            read_parameters=partial(parameters_of, cls),
        )

    @classmethod
    def first_row(cls, values: Values) -> int:
        """Return the row that a query begins with, 0 for other messages."""
        return 0

    @classmethod
    def shift_page(cls, values: Values, rows: int) -> Values:
        """Return the values of a query that begins that many rows later, at least with the first row."""
        return values

    def owned(self) -> str | None:
        """Return the uuid of the resource whose owner runs the handler; None if any node may."""
        resource = getattr(self, self.owned_by) if self.owned_by else None
        return (resource[0] if resource else None) if isinstance(resource, list) else resource

    def given(self, *names: str) -> dict[str, object]:
        """Return those of the named fields that the client gave: absent and null ones are left out (clients 2.4)."""
        values = ((name, getattr(self, name)) for name in names)
        return {name: value for name, value in values if value is not None}

    @classmethod
    def bind(cls, method: str, pairs: Pairs, body: Body, variables: Mapping[str, str]) -> Values:
        """Return the fields' values in a request. Raise PlainError for a value of the wrong type.

        They come from the query string of a GET or DELETE, else from the body; those in the path take precedence.
        """
        if method in ("GET", "DELETE"):
            values = bind_query_string(cls.api, pairs)
        else:
            values = bind_body(cls.api, body, cls._body_key(method, body))
        return bind_path(cls.api, variables, values)

    @classmethod
    def timeout_in(cls, method: str, body: Body) -> int | None:
        """Return the time-out in milliseconds in a request's body, which was bound before; None if it has none."""
        return None if method in ("GET", "DELETE") else timeout_in(body, cls._body_key(method, body))

    @classmethod
    def _body_key(cls, method: str, body: Body) -> str:
        return cls.api.action if method == "PUT" and cls.api.action in (body or {}) else cls.api.body_key

    @classmethod
    def bind_fields(cls, fields: Mapping[str, object]) -> Values:
        """Return the fields' values in a message of the legacy API. Raise PlainError for one of the wrong type."""
        return bind_fields(cls.api, fields)


class SyncMessage(Message):
    """A call that is answered with its result: 200 or 503 (wire-protocol 3.1)."""

    sync = True


class AsyncMessage(Message):
    """A call that is answered 202, with a job to poll (wire-protocol 3.2)."""


class CreateMessage(AsyncMessage):
    """A call that creates a resource. The client may choose its uuid."""

    tagged_as: ClassVar[str] = ""
    """The type of the resource, where a system tag of another type is refused."""

    resourceUuid: str | None = None
    """The uuid that the new resource gets: 32 hex digits of a version 1 to 5. Drawn at random by default."""
    tagUuids: Annotated[list[str] | None, Rule(resource="TagPatternVO")] = None


class DeleteMessage(AsyncMessage):
    """A call that deletes a resource. Its `deleteMode` has no rule (wire-protocol 5.1)."""

    deleteMode: str = "Permissive"
    """`Permissive`, or `Enforcing`, which ignores vetoes."""

    def check_delete_mode(self, leniency: Leniency = LENIENT) -> None:
        """Raise ApiError SYS.1000 for an unknown mode, as ZStack's handlers do when they read it."""
        forgiven = leniency.empty_delete_mode and not self.deleteMode
        if self.deleteMode not in DELETE_MODES and not forgiven:
            enum = "org.zstack.header.message.APIDeleteMessage.DeletionMode"
            raise internal_error(f"No enum constant {enum}.{self.deleteMode}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler returns.

    `body` has the answer's members, and `schema` the Java class of each object in it, by path. `commit` is written in
    one transaction with the job's result, so that a crash leaves both or neither. `batch` is, for an API that does many
    things in one call, how many succeeded out of how many. With `secret` the body grants access, so that the job's
    result is stored encrypted.
    """

    body: Mapping[str, object] = field(default_factory=dict)
    schema: Mapping[str, str] = field(default_factory=dict)
    commit: tuple[Executable, ...] = ()
    batch: tuple[int, int] | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """The call that a handler works for: the uuid of its job (or of a synchronous message), and of its account."""

    uuid: str
    account_uuid: str | None


S = TypeVar("S")
M = TypeVar("M", bound=Message)
T = TypeVar("T")
Handler = Callable[[S, M, Call], Awaitable[Reply]]
Check = Callable[[S, M, Call], Awaitable[None]]


class LateMessage(Generic[S]):
    """A message whose class is made when it is first used: of most APIs no process ever gets a call."""

    def __init__(
        self,
        java_class: str,
        paths: tuple[str, ...],
        *,
        paid: bool,
        make: Callable[[], type[Message]],
        handler: Handler[S, Any],
    ) -> None:
        self.java_class = java_class
        self.name = java_class.rpartition(".")[2]
        self.paths = paths
        self.paid = paid
        self.handler = handler
        self._make = make

    @cached_property
    def message(self) -> type[Message]:
        """The class."""
        return self._make()


Declared = type[Message] | LateMessage[Any]
"""A message: its class, or what makes it."""


def made(message: Declared) -> type[Message]:
    """Return the class of a message."""
    return message.message if isinstance(message, LateMessage) else message


class Handlers(Generic[S]):
    """The handlers of some messages. `S` is the type of the services that they get."""

    def __init__(self) -> None:
        self._made: dict[type[Message], Handler[S, Any]] = {}
        self._late: dict[str, LateMessage[S]] = {}
        """By name."""
        self.checks_by_message: dict[type[Message], Check[S, Any]] = {}
        self.first_checks_by_message: dict[type[Message], Check[S, Any]] = {}

    @property
    def by_message(self) -> Mapping[type[Message], Handler[S, Any]]:
        """Every message with its handler. It makes the class of each late message."""
        return self._made | {one.message: one.handler for one in self._late.values()}

    def handler_of(self, message: type[Message]) -> Handler[S, Any]:
        """Return the handler of a message. Raise KeyError."""
        found = self._made.get(message)
        return self._late[message.__name__].handler if found is None else found

    def declared(self) -> tuple[Declared, ...]:
        """Return every message; late ones as they are."""
        return (*self._made, *self._late.values())

    def names(self) -> Iterator[str]:
        """Yield the name of every message."""
        yield from (message.__name__ for message in self._made)
        yield from self._late

    def by_name(self) -> dict[str, Declared]:
        """Return every message by its name; late ones as they are."""
        return {**{message.__name__: message for message in self._made}, **self._late}

    def handles(self, handler: Handler[S, M]) -> Handler[S, M]:
        """Register the handler of the message class that annotates its second parameter."""
        self.register(_message_of(handler), handler)
        return handler

    def register(self, message: type[Message], handler: Handler[S, Any]) -> None:
        """Register the handler of a message. Raise TypeError for a second one."""
        if message in self._made:
            raise TypeError(f"{message.__name__} has two handlers")
        self._made[message] = handler

    def register_late(self, message: LateMessage[S]) -> None:
        """Register a late message. Raise TypeError for a second one of its name."""
        if message.name in self._late:
            raise TypeError(f"{message.name} has two handlers")
        self._late[message.name] = message

    def checks(self, check: Check[S, M]) -> Check[S, M]:
        """Register a check of a message that goes beyond the rules of its parameters, and runs before its handler.

        It also runs where a client asks for validation only. It raises ApiError, or an exception of another package
        that is translated to one.
        """
        message = _message_of(check)
        if message in self.checks_by_message:
            raise TypeError(f"{message.__name__} is checked twice")
        self.checks_by_message[message] = check
        return check

    def checks_first(self, check: Check[S, M]) -> Check[S, M]:
        """Register a check that runs even before the session and the rights of the caller are checked."""
        self.first_checks_by_message[_message_of(check)] = check
        return check

    def include(self, others: Handlers[S]) -> None:
        """Add the handlers of another module. Raise TypeError for a second handler of a message."""
        twice = [one.__name__ for one in others._made.keys() & self._made.keys()]
        if twice := [*twice, *(others._late.keys() & self._late.keys())]:
            raise TypeError(f"{', '.join(twice)} has two handlers")
        self._made.update(others._made)
        self._late.update(others._late)
        self.checks_by_message.update(others.checks_by_message)
        self.first_checks_by_message.update(others.first_checks_by_message)

    def but(self, names: Iterable[str]) -> Handlers[S]:
        """Return the handlers of all messages but those of these names."""
        left_out = frozenset(names)
        handlers = Handlers[S]()
        handlers._made = _without(left_out, self._made)
        handlers._late = {name: one for name, one in self._late.items() if name not in left_out}
        handlers.checks_by_message = _without(left_out, self.checks_by_message)
        handlers.first_checks_by_message = _without(left_out, self.first_checks_by_message)
        return handlers


class LateHandlers(Handlers[S]):
    """Handlers that are put together when one of their messages is first looked up: a start needs none of them."""

    def __init__(self, make: Callable[[], Handlers[S]]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        """Put them together, since there is no attribute of this name yet. Raise AttributeError."""
        if "_make" not in vars(self):
            raise AttributeError(name)
        make = vars(self).pop("_make")
        vars(self).update(vars(make()))
        return getattr(self, name)


def _without(names: Container[str], kept: Mapping[type[Message], T]) -> dict[type[Message], T]:
    return {message: one for message, one in kept.items() if message.__name__ not in names}


def declare(base: type[M], java_class: str, members: Mapping[str, object], **declared: object) -> type[M]:
    """Return a message class made from data, as a class statement with these members and keywords makes it.

    `members` needs the `__module__` of the caller.
    """
    package, _, name = java_class.rpartition(".")
    return new_class(name, (base,), {**declared, "package": package}, lambda namespace: namespace.update(members))


def _message_of(handler: Callable[..., object]) -> type[Message]:
    """Return the message class that annotates the second parameter of a handler."""
    second = [*handler.__annotations__.values()][1]
    message: type[Message] = handler.__globals__[second] if isinstance(second, str) else second
    return message


def _response_class(java_class: str, given: str, *, sync: bool) -> str:
    """Return the Java class of the reply or event: `given`, or by default the message's name with another ending."""
    if "." in given:
        return given
    package, _, name = java_class.rpartition(".")
    return f"{package}.{given or name.removesuffix('Msg') + ('Reply' if sync else 'Event')}".lstrip(".")


def _cited(text: str | None) -> str:
    """Return what a docstring cites: the parentheses at the end of a sentence."""
    found = re.search(r"\(([^()]+)\)\.", text or "")
    return found[1] if found else ""


def action_name(class_name: str) -> str:
    """Return the action of a message: `logInByAccount` for `APILogInByAccountMsg` (wire-protocol 1.3)."""
    name = class_name.removeprefix("API").removesuffix("Msg")
    return name[0].lower() + name[1:]


def parameters_of(message: type[Message]) -> tuple[Parameter, ...]:
    """Return the parameters of a message class, its own before the inherited ones, as Java collects them.

    A field whose type no JSON value has is no parameter: the message binds it itself.
    """
    own = tuple(inspect.get_annotations(message))
    if own or len(message.__bases__) > 1:
        return _parameters(message, own)
    return _inherited_parameters(message.__mro__[1])


@cache  # for the many messages that declare no parameters
def _inherited_parameters(base: type[Message]) -> tuple[Parameter, ...]:
    return _parameters(base, ())


def _parameters(message: type[Message], own_fields: tuple[str, ...]) -> tuple[Parameter, ...]:
    hints = get_type_hints(message, include_extras=True)
    own = [name for name in own_fields if name in hints]
    names = sorted(message.defaults, key=lambda name: own.index(name) if name in own else len(own))
    found = (_parameter(one, hints[one], message.defaults[one] is REQUIRED, one in own) for one in names)
    return tuple(parameter for parameter in found if parameter is not None)


def _parameter(name: str, hint: object, required: bool, own: bool) -> Parameter | None:
    rule = Rule()
    if get_origin(hint) is Annotated:
        hint, rule = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    of_objects = get_origin(hint) is list and get_args(hint) != (str,)
    kind = Kind.OBJECTS if of_objects else _kind(get_origin(hint) or hint, rule)
    return None if kind is None else Parameter(name, kind, rule, required, own)


def _kind(python_type: object, rule: Rule) -> Kind | None:
    if python_type is int:
        return Kind.LONG if rule.long else Kind.INTEGER
    kinds: dict[object, Kind] = {str: Kind.STRING, bool: Kind.BOOLEAN, list: Kind.STRINGS, dict: Kind.MAP}
    return kinds.get(python_type)
