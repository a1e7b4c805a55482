"""The APIs of ZStack that no other module declares, so that none of them answers like a mistyped path.

A query has an empty list: a lab has none of what it asks for. Any other API answers SYS.1014 and names the manual's
page. Neither reads its parameters. The facts are those of the `catalogue`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, partial

from imagestore_sim.api.catalogue import CataloguedApi, catalogue, java_class, message_name
from imagestore_sim.api.queries import QueryMessage
from imagestore_sim.api.services import Services
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.messages import (
    AsyncMessage,
    Call,
    Handlers,
    LateMessage,
    Message,
    Reply,
    SyncMessage,
    declare,
)

SDK = "ZStack's public Java SDK"
MCP = "the catalogue of zstack-mcp-server"
NONE = "a lab has none of these resources; names of fields are not checked"
HELD_BY_A_LAB = frozenset(("QueryAccessKey",))
"""Queries of what a lab may have: without an emulation of their own, an empty list would be wrong."""


class EmptyQuery(QueryMessage):
    """A query of a resource that a lab has none of, and whose fields are not known."""


async def refuse(services: Services, message: Message, call: Call) -> Reply:
    """Raise ApiError SYS.1014."""
    details = f"not emulated: {type(message).__name__}, see docs/fidelity.md"
    raise ApiError(ErrorCode("SYS.1014", details))


async def answer_none(services: Services, message: EmptyQuery, call: Call) -> Reply:
    """Return an empty list, the number 0, or both, as the query asks."""
    query = message.query
    body: dict[str, object] = {} if query.count else {"inventories": []}
    if query.count or query.reply_with_count:
        body["total"] = 0
    return Reply(body)


@cache
def handlers_but(declared: frozenset[str]) -> Handlers[Services]:
    """Return the handlers of all catalogued APIs but those whose messages are `declared` elsewhere."""
    apis = catalogue()["apis"]
    queried = _queried_shapes(apis)
    handlers = Handlers[Services]()
    for api in apis:
        if message_name(api) not in declared:
            handlers.register_late(_late(api, _paths(api, queried)))
    return handlers


def _late(api: CataloguedApi, paths: tuple[str, ...]) -> LateMessage[Services]:
    handler = answer_none if _is_empty(api) else refuse
    paid = not api.get("open", False)
    return LateMessage(java_class(api), paths, paid=paid, make=partial(_message, api, paths), handler=handler)


def _is_empty(api: CataloguedApi) -> bool:
    return api["name"].startswith("Query") and api.get("sync", False) and api["name"] not in HELD_BY_A_LAB


def _message(api: CataloguedApi, paths: tuple[str, ...]) -> type[Message]:
    sync, empty = api.get("sync", False), _is_empty(api)
    base: type[Message] = EmptyQuery if empty else SyncMessage if sync else AsyncMessage
    path, *others = paths or ("",)
    return declare(
        base,
        java_class(api),
        {"__module__": __name__, "__doc__": "Not emulated."},
        method=api.get("method") or ("GET" if sync else "POST"),
        path=path,
        optional_paths=tuple(others),
        response_class=api.get("response", ""),
        paid=not api.get("open", False),
        authenticated=api.get("session", True),
        for_everyone=True,
        source=SDK if paths else MCP,
        deviation=NONE if empty else "",
    )


def _queried_shapes(apis: Iterable[CataloguedApi]) -> frozenset[str]:
    paths = (path for api in apis if api.get("method") == "GET" for path in api.get("paths", ()))
    return frozenset(_shape("\n".join(paths)).split("\n"))  # at once, since there are hundreds


def _paths(api: CataloguedApi, queried: frozenset[str]) -> tuple[str, ...]:
    """Return the paths of an API. A query of the paid editions has one for a single resource, as open ones have."""
    paths = tuple(api.get("paths", ()))
    if len(paths) == 1 and _is_empty(api) and not api.get("open", False):
        single = f"{paths[0].rstrip('/')}/{{uuid}}"
        return paths if _shape(single) in queried else (*paths, single)
    return paths


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)
