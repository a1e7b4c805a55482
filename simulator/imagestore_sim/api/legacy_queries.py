"""Read the query in a message of the legacy API (wire-protocol 8, clients 1.5)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from imagestore_sim.query import Query
from imagestore_sim.query.conditions import DEFAULT_LIMIT, OPERATOR_TOKENS, WITHOUT_VALUE, Condition, Sort
from imagestore_sim.rest.binding import bind_fields
from imagestore_sim.rest.errors import PlainError, invalid_argument
from imagestore_sim.rest.messages import SyncMessage

OPERATORS = {operator.value: operator for _, operator in OPERATOR_TOKENS}


class APIQueryMessage(SyncMessage, method="GET", path="/", package="org.zstack.header.query"):
    """The scalar fields of ZStack's base class of queries."""

    limit: int | None = None
    start: int | None = None
    count: bool = False
    replyWithCount: bool = False
    sortBy: str | None = None
    sortDirection: str | None = None
    filterName: str | None = None
    fields: list[str] | None = None


def legacy_query(fields: Mapping[str, object]) -> Query:
    """Return the query. Raise PlainError for a field of the wrong type, ApiError for an invalid condition."""
    message = APIQueryMessage(**bind_fields(APIQueryMessage.api, fields))  # type: ignore[arg-type]  # of these types
    conditions = fields.get("conditions")
    return Query(
        tuple(map(_condition, conditions)) if isinstance(conditions, list) else (),
        DEFAULT_LIMIT if message.limit is None else message.limit,
        message.start,
        _sort(message),
        tuple(message.fields) if message.fields else None,
        message.count,
        message.replyWithCount,
        message.filterName,
    )


def _condition(given: object) -> Condition:
    if not isinstance(given, Mapping):
        raise PlainError(500, "java.lang.IllegalStateException: Expected BEGIN_OBJECT at path $.conditions")
    name, op, value = given.get("name"), given.get("op"), given.get("value")
    operator = OPERATORS.get(str(op))
    if operator is None:
        raise invalid_argument(f"unknown QueryOp type[{'null' if op is None else op}]")
    if operator in WITHOUT_VALUE:
        return Condition(str(name), operator)
    if value is None:
        raise invalid_argument(f"'value' of query condition {orjson.dumps(given).decode()} cannot be null")
    return Condition(str(name), operator, _text(value))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sort(message: APIQueryMessage) -> Sort | None:
    if not message.sortBy:
        return None
    return Sort(message.sortBy, descending=(message.sortDirection or "").lower() == "desc")
