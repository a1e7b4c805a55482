"""Parse the parameters of a request into a Query (query-semantics 1, 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from imagestore_sim.query.errors import QueryParameterError

DEFAULT_LIMIT = 1000
INT_MAX = 2**31 - 1
INTEGER = re.compile(r"([+-]?)0*([0-9]{1,10})")
JAVA_BLANKS = "".join(map(chr, range(ord(" ") + 1)))


class Operator(StrEnum):
    """The operators, by their names in ZStack's query language; REST has no token for the last two."""

    NOT_EQUAL = "!="
    AT_LEAST = ">="
    AT_MOST = "<="
    NOT_IN = "not in"
    NOT_LIKE = "not like"
    LIKE = "like"
    IN = "in"
    EQUAL = "="
    GREATER = ">"
    LESS = "<"
    IS_NULL = "is null"
    NOT_NULL = "is not null"
    HAS = "has"
    NOT_HAS = "not has"


# In ZStack's order of search: the first token found anywhere in a condition is its operator.
OPERATOR_TOKENS: tuple[tuple[str, Operator], ...] = (
    ("!=", Operator.NOT_EQUAL),
    (">=", Operator.AT_LEAST),
    ("<=", Operator.AT_MOST),
    ("!?=", Operator.NOT_IN),
    ("!~=", Operator.NOT_LIKE),
    ("~=", Operator.LIKE),
    ("?=", Operator.IN),
    ("=", Operator.EQUAL),
    (">", Operator.GREATER),
    ("<", Operator.LESS),
    ("is null", Operator.IS_NULL),
    ("not null", Operator.NOT_NULL),
)
WITHOUT_VALUE = (Operator.IS_NULL, Operator.NOT_NULL)


@dataclass(frozen=True, slots=True)
class Condition:
    """`name operator value`; the value is the text as sent, empty for `is null` and `not null`."""

    name: str
    operator: Operator
    value: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    """What to sort by: a field's name, or a text that `sorting` parses (query-semantics 5)."""

    text: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query of an inventory; a row must meet all of its conditions."""

    conditions: tuple[Condition, ...] = ()
    limit: int = DEFAULT_LIMIT
    start: int | None = None
    sort: Sort | None = None
    fields: tuple[str, ...] | None = None
    count: bool = False
    reply_with_count: bool = False
    filter_name: str | None = None


def by_uuid(uuid: str) -> Query:
    """Return the query for the resource with that uuid."""
    return Query((Condition("uuid", Operator.EQUAL, uuid),))


def parse_query(pairs: Iterable[tuple[str, str]]) -> Query:
    """Return the query in the pairs of a query string. Raise QueryParameterError for the first invalid parameter."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name:  # the servlet container drops a nameless parameter
            values.setdefault(name, []).append(value)
    found = _Parameters()
    for name, given in values.items():
        found.read(name.strip(JAVA_BLANKS), given)
    return found.query()


class _Parameters:
    """The parameters of one query, read in the order of the URL."""

    def __init__(self) -> None:
        self._conditions: dict[Condition, None] = {}  # conditions of the same text count once
        self._limit = DEFAULT_LIMIT
        self._start: int | None = None
        self._sort: Sort | None = None
        self._fields: tuple[str, ...] | None = None
        self._flags = {"count": False, "replyWithCount": False}
        self._filter_name: str | None = None

    def read(self, name: str, values: Sequence[str]) -> None:
        value = values[0].strip(JAVA_BLANKS)
        match name:
            case "q" | "":
                self._conditions.update(dict.fromkeys(map(parse_condition, values)))
            case "limit":
                self._limit = _integer(name, value)
            case "start":
                self._start = _integer(name, value)
            case "count" | "replyWithCount":
                self._flags[name] = value.lower() == "true"
            case "sort":
                self._sort = parse_sort(value)
            case "fields":
                self._fields = _fields(value)
            case "filterName":
                self._filter_name = value or None

    def query(self) -> Query:
        return Query(
            tuple(self._conditions),
            self._limit,
            self._start,
            self._sort,
            self._fields,
            self._flags["count"],
            self._flags["replyWithCount"],
            self._filter_name,
        )


def parse_condition(text: str) -> Condition:
    """Parse the condition of a `q`. Raise QueryParameterError."""
    for token, operator in OPERATOR_TOKENS:
        if token not in text:
            continue
        if operator in WITHOUT_VALUE:
            return Condition(text.partition(token)[0].strip(JAVA_BLANKS), operator)
        parts = _split(text, token)
        if len(parts) != 2:
            raise QueryParameterError(f"The '{text}' in parameter[q] is not a key-value pair split by {operator}")
        # The value keeps its blanks.
        return Condition(parts[0].strip(JAVA_BLANKS), operator, parts[1])
    known = ", ".join(token for token, _ in OPERATOR_TOKENS)
    raise QueryParameterError(
        f"The '{text}' in the parameter[q] doesn't contain any query operator. Valid query operators are [[{known}]]"
    )


def parse_sort(text: str) -> Sort:
    """Parse `+name`, `name` or `-name`; repeated signs of the same kind count as one."""
    if text.startswith("-"):
        return Sort(text.lstrip("-"), descending=True)
    return Sort(text.lstrip("+"))


def _split(text: str, separator: str) -> list[str]:
    """Split text into at most two parts; ignore leading separators, and take adjacent ones as one."""
    while text.startswith(separator):
        text = text.removeprefix(separator)
    name, found, value = text.partition(separator)
    if not found:
        return [name]
    while value.startswith(separator):
        value = value.removeprefix(separator)
    return [name, value]


def _integer(name: str, value: str) -> int:
    found = INTEGER.fullmatch(value)
    number = int(found[1] + found[2]) if found else INT_MAX + 1
    if -INT_MAX - 1 <= number <= INT_MAX:
        return number
    raise QueryParameterError(f"'{name}' must be an integer")


def _fields(value: str) -> tuple[str, ...]:
    names = value.split(",")
    while len(names) > 1 and not names[-1]:
        names.pop()
    if "," in value and names == [""]:
        raise QueryParameterError("'fields' contains zero field")
    return tuple(name.strip(JAVA_BLANKS) for name in names)
