"""Answer the query APIs of resources that the lab has none of, with an empty list (observed 4).

Names, fields and paths are looked at as in every query, so that a mistake has ZStack's error. The declarations
are ZStack's own (`query.absent`); accounts, which there are some of, are asked about in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import new_class

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.query.absent import declarations
from imagestore_sim.query.inventories import ACCOUNT, INVENTORIES
from imagestore_sim.rest.messages import Call, Handlers, Reply

SOURCE = "observed 4; ZStack's own declarations"
NONE = "there are none of them in a lab"
handlers = Handlers[Services]()


async def answer_query(services: Services, message: QueryMessage, call: Call) -> Reply:
    """The rows asked for, or none."""
    return await answer(services, message, call)


def _messages() -> Iterator[type[QueryMessage]]:
    for query in declarations()["queries"]:
        inventory = INVENTORIES[query["inventory"]]
        if not inventory.is_absent and inventory is not ACCOUNT:
            continue  # declared in the module of its resource
        package, _, name = query["message"].rpartition(".")
        path, *others = query["paths"]
        declared = {"method": "GET", "path": path, "optional_paths": tuple(others), "package": package}
        members = {
            "__module__": __name__,
            "__doc__": f"Ask about {inventory.name.removesuffix('Inventory')} records.",
            "inventory": inventory,
        }
        deviation = NONE if inventory.is_absent else ""
        described = {"source": SOURCE, "for_everyone": True, "deviation": deviation, "reply": ("inventories", "total")}
        yield new_class(name, (QueryMessage,), declared | described, partial(_fill, members))


def _fill(members: dict[str, object], space: dict[str, object]) -> None:
    space |= members


for _message in _messages():
    handlers.by_message[_message] = answer_query
