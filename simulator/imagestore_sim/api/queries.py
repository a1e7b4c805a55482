"""The base of all query APIs: parameters in ZStack's query language, and a list as reply (wire-protocol 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from imagestore_sim.api.legacy_queries import legacy_query
from imagestore_sim.api.services import Services
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.query import Inventory, Query, QueryParameterError, QueryResult
from imagestore_sim.query.conditions import by_uuid, parse_query
from imagestore_sim.rest.binding import Body, Pairs, Values
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import PlainError
from imagestore_sim.rest.messages import Call, Reply, SyncMessage
from imagestore_sim.tasks import BYTES_OF_A_ROW, by_size


class QueryMessage(SyncMessage):
    """A query of one inventory. On a path with a uuid, the query string is ignored."""

    always_with_schema = True
    cacheable = True
    inventory: ClassVar[Inventory]

    query: Query

    def __init_subclass__(cls, **declared: Any) -> None:
        """Declare the reply of a query of the class's inventory; one without an inventory lists unknown objects."""
        rows = [cls.inventory] if hasattr(cls, "inventory") else list[dict[str, object]]
        super().__init_subclass__(**{"reply": {"inventories": rows, "total": int}, **declared})

    @classmethod
    def bind(cls, method: str, pairs: Pairs, body: Body, variables: Mapping[str, str]) -> Values:
        """Return the query in a request. Raise PlainError 400 for an invalid parameter."""
        if "uuid" in variables:
            return {"query": by_uuid(variables["uuid"])}
        try:
            return {"query": parse_query(pairs)}
        except QueryParameterError as error:
            raise PlainError(400, str(error)) from None

    @classmethod
    def bind_fields(cls, fields: Mapping[str, object]) -> Values:
        """Return the query in a message of the legacy API. Raise PlainError for a field of the wrong type."""
        return {"query": legacy_query(fields)}

    @classmethod
    @override
    def first_row(cls, values: Values) -> int:
        return _query_in(values).start or 0

    @classmethod
    @override
    def shift_page(cls, values: Values, rows: int) -> Values:
        query = _query_in(values)
        return {**values, "query": replace(query, start=max(0, (query.start or 0) + rows))}


def _query_in(values: Values) -> Query:
    query = values["query"]
    assert isinstance(query, Query), "bind and bind_fields make it"
    return query


def owner_of(call: Call) -> str | None:
    """Return the account whose resources alone the caller may see; None for admin, who may see all."""
    return None if call.account_uuid == ADMIN_UUID else call.account_uuid


async def answer(services: Services, message: QueryMessage, call: Call) -> Reply:
    """Return the rows that the query selects, their number, or both. An account sees only its own resources."""
    found = await services.queries.run(message.inventory, message.query, owner_of(call))
    body: dict[str, object] = {}
    if found.rows is not None:
        body["inventories"] = found.rows
    if found.total is not None:
        body["total"] = found.total
    return Reply(body, await by_size(len(found.java_classes) * BYTES_OF_A_ROW, _schema, found))


def _schema(found: QueryResult) -> dict[str, str]:
    if not found.nested:
        return list_schema("inventories", found.java_classes)
    schema: dict[str, str] = {}
    for index in reversed(range(len(found.rows or ()))):
        schema |= found.schema_of(f"inventories[{index}]", index)
    return schema
