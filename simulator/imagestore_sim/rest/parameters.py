"""What an API declares: its path, its reply, and its parameters with their rules (wire-protocol 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

HttpMethod = Literal["GET", "POST", "PUT", "DELETE"]
DEFAULT_TIMEOUT_SECONDS = 1800
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1


class Kind(Enum):
    """What Java type a field has."""

    STRING = "String"
    INTEGER = "int"
    LONG = "long"
    BOOLEAN = "boolean"
    STRINGS = "List<String>"
    MAP = "Map"


@dataclass(frozen=True, slots=True)
class Rule:
    """What ZStack's @APIParam says of a field (wire-protocol 5.2).

    `resource` names the type of the resource that must exist; with `missing_is_done`, one that does not exist makes
    the call succeed with `{}` at once. `zero_is_unset` is for a number that the Go SDK sends as 0 when nobody set it.
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
    """A field of a message: its name, kind, rules, and whether it must be given."""

    name: str
    kind: Kind
    rule: Rule
    required: bool
    own: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Api:
    """What a message class declares; there is one for each.

    `source` tells where its facts come from, `deviation` how it differs.
    `reply` are the members of the answer's body, `reply_fields` those that ZStack's own reply has under another name.
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
    reply: tuple[str, ...]
    reply_fields: Mapping[str, str]
    says_success: bool
    timeout_seconds: int
    response_class: str
    """The Java class of the reply or event, which the legacy API names."""
    paid: bool
    """Whether it is an API of ZStack's paid editions, and not emulated."""
    source: str
    deviation: str
    parameters: tuple[Parameter, ...]
