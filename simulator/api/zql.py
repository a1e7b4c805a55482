"""ZStack's query language as text (clients 5, tier 4; ZStack's search module)."""

from __future__ import annotations

from simulator.api.services import Services
from simulator.query.zql import Statement, parse_zql
from simulator.rest.errors import invalid_argument
from simulator.rest.messages import Call, Handlers, Reply, SyncMessage

handlers = Handlers[Services]()


class APIZQLQueryMsg(
    SyncMessage,
    method="GET",
    path="/zql",
    package="org.zstack.query",
    for_everyone=True,
    reply=("results",),
    deviation="what REST's parameters can say, too: no or, no parentheses, no sub-query, no group by, no sum",
):
    """Ask some questions in one text."""

    zql: str | None = None


@handlers.handles
async def zql_query(services: Services, message: APIZQLQueryMsg, call: Call) -> Reply:
    """The answer to each question: its rows, their number, or both."""
    if message.zql is None:
        raise invalid_argument("zql cannot be null")
    return Reply({"results": [await _answer(services, one) for one in parse_zql(message.zql)]})


async def _answer(services: Services, statement: Statement) -> dict[str, object]:
    found = await services.queries.run(statement.inventory, statement.query)
    answer: dict[str, object] = {}
    if found.rows is not None:
        answer["inventories"] = found.rows
    if found.total is not None:
        answer["total"] = found.total
    if statement.name is not None:
        answer["name"] = statement.name
    return answer
