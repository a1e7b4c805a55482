"""The declaration of an API: its paths, its reply, and its parameters with their rules (wire-protocol 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Literal

HttpMethod = Literal["GET", "POST", "PUT", "DELETE"]
DEFAULT_TIMEOUT_SECONDS = 1800
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1


class Kind(Enum):
    """The Java type of a field."""

    STRING = "String"
    INTEGER = "int"
    LONG = "long"
    BOOLEAN = "boolean"
    STRINGS = "List<String>"
    MAP = "Map"
    OBJECTS = "List<Map>"


@dataclass(frozen=True, slots=True)
class Rule:
    """What ZStack's @APIParam declares for a field (wire-protocol 5.2).

    `resource` is the type of the resource that must exist; with `missing_is_done`, the call succeeds with `{}` if it
    does not. `zero_is_unset` is for a number that the Go SDK sends as 0 when it is not set. `long` distinguishes Java's
    long from its int.
    """

    max_length: int | None = None
    min_length: int | None = None
    valid_values: tuple[str, ...] = ()
    valid_regex: str | None = None
    nonempty: bool = False
    null_elements: bool = False
    empty_string: bool = True
    number_range: tuple[int, int] | None = None
    trim: bool = True
    long: bool = False
    zero_is_unset: bool = False
    resource: str | None = None
    missing_is_done: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a message. `own`: declared by the message's own class, not inherited."""

    name: str
    kind: Kind
    rule: Rule
    required: bool
    own: bool = True


@dataclass(frozen=True, eq=False)
class Api:
    """What a message class declares; one object a class.

    `source` cites where its facts come from, `deviation` says how it differs from ZStack. `reply` has the members of
    the answer's body, each with its type, which `rest` does not look at; `reply_fields` maps those that have another
    name in ZStack's class to that name.
    """

    name: str
    java_class: str
    method: HttpMethod
    paths: tuple[str, ...]
    action: str
    body_key: str
    sync: bool
    authenticated: bool
    admin_only: bool
    batch: bool
    reply: Mapping[str, object]
    reply_fields: Mapping[str, str]
    with_success: bool
    """Whether the answer has a member `success`."""
    timeout_seconds: int
    response_class: str
    """The Java class of the reply or event, which answers of the legacy API name."""
    paid: bool
    """Whether the API belongs to ZStack's paid editions, and is not emulated."""
    source: str
    deviation: str
    read_parameters: Callable[[], tuple[Parameter, ...]]
    """Reads the annotations of the message's class."""

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, which are read at their first use: a process needs those of few APIs."""
        return self.read_parameters()
