"""Query APIs of resources that a lab has none of: they answer an empty list (observed 4).

Names, fields and paths are checked as in every query, so that a mistake gets ZStack's error. The declarations are
ZStack's own (`query.declarations`).
"""

from __future__ import annotations

from collections.abc import Iterator

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.query.declarations import declarations
from imagestore_sim.query.inventories import INVENTORIES
from imagestore_sim.rest.messages import Call, Handlers, Reply, declare

SOURCE = "observed 4; ZStack's own declarations"
NONE = "a lab has none of these resources"
handlers = Handlers[Services]()


async def answer_query(services: Services, message: QueryMessage, call: Call) -> Reply:
    """Return the rows that the query selects: none."""
    return await answer(services, message, call)


def _messages() -> Iterator[type[QueryMessage]]:
    for query in declarations()["queries"]:
        inventory = INVENTORIES[query["inventory"]]
        if not inventory.is_absent:
            continue  # declared in the module of its resource
        path, *others = query["paths"]
        members = {
            "__module__": __name__,
            "__doc__": f"Query {inventory.name.removesuffix('Inventory')} records.",
            "inventory": inventory,
        }
        yield declare(
            QueryMessage,
            query["message"],
            members,
            method="GET",
            path=path,
            optional_paths=tuple(others),
            for_everyone=True,
            source=SOURCE,
            deviation=NONE,
        )


for _message in _messages():
    handlers.register(_message, answer_query)
