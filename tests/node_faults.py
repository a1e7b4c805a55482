"""Calls of the lab's API about faults of the management plane, for tests."""

from __future__ import annotations

from typing import Any

from imagestore_sim.testing import Client

Json = dict[str, Any]


async def set_fault(client: Client, kind: str, **parameters: object) -> str:
    """Set a fault on the node, and return its id."""
    answer = await client.request("POST", f"{client.url}/lab/v1/node/faults", {"kind": kind, **parameters})
    assert answer.status == 201, answer.text
    identity: str = answer.body["id"]
    return identity


async def shown(client: Client, identity: str) -> Json:
    """Return a fault as the lab's API shows it, also one that was healed."""
    return (await client.request("GET", f"{client.url}/lab/v1/node/faults/{identity}")).body


async def heal(client: Client, identity: str) -> Json:
    """Heal a fault, and return it as it is then."""
    return (await client.request("DELETE", f"{client.url}/lab/v1/node/faults/{identity}")).body


async def requests(client: Client, path: str) -> list[Json]:
    """Return the rows of the journal of requests for a path."""
    found = await client.request("GET", f"{client.url}/lab/v1/requests", query=[("path", path)])
    rows: list[Json] = found.body["requests"]
    return rows
