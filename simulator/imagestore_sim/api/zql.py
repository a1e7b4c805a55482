"""ZQL, ZStack's query language as text (clients 5, tier 4; ZStack's search module)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from imagestore_sim.api.queries import owner_of
from imagestore_sim.api.services import Services
from imagestore_sim.api.zwatch import return_metrics
from imagestore_sim.query import QueryError
from imagestore_sim.query.errors import INTERNAL
from imagestore_sim.rest.binding import Body, Pairs, Values
from imagestore_sim.rest.messages import Call, Handlers, Reply, SyncMessage

handlers = Handlers[Services]()
CALLED = "org.zstack.query.QueryFacadeImpl.1.doCall(org.zstack.header.core.ReturnValueCompletion)"


class APIZQLQueryMsg(
    SyncMessage,
    method="GET",
    path="/zql",
    package="org.zstack.query",
    for_everyone=True,
    reply={"results": list[dict[str, object]]},
    deviation="joined inventories, values from another API and search are not emulated; of `zwatch{…}`, which belongs"
    " to the paid editions, only capacities of backup storages are",
):
    """Run the queries in a text."""

    zql: str | None = None
    """The queries, such as `query zone where name='zone-1'`; semicolons separate them."""

    @classmethod
    def bind(cls, method: str, pairs: Pairs, body: Body, variables: Mapping[str, str]) -> Values:
        """Return the text in the query string, whatever the method. Ignore the body."""
        return {"zql": next((value for name, value in pairs if name == "zql"), None)}


@handlers.handles
async def zql_query(services: Services, message: APIZQLQueryMsg, call: Call) -> Reply:
    """Return the result of each query: its rows, their number, or both."""
    try:
        if message.zql is None:
            raise QueryError(None, thrown="java.lang.NullPointerException")
        return_with = partial(return_metrics, services) if services.leniency.paid_apis else None
        return Reply({"results": await services.queries.results(message.zql, owner_of(call), return_with)})
    except QueryError as error:
        if error.code != INTERNAL:
            raise
        # ZStack's wrapper replaces the class of the exception by the method that it called.
        text = f"unhandled exception happened when calling private void {CALLED}, {error.message or 'null'}"
        raise QueryError(text) from None
