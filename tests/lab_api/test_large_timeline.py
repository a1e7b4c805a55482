"""The timeline of very many events: the event loop goes on while it is made."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert

from imagestore_sim.backup_storage.events import DELETED, STATUS_CHANGED
from imagestore_sim.database.models import Event
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.timeline import MOST_EVENTS
from imagestore_sim.rest.node_faults import FAULT_SET
from imagestore_sim.testing import Client
from stalls import measuring_stalls

pytestmark = [pytest.mark.thorough, pytest.mark.imagestore_lab(hosts=0)]
MOST_SECONDS = 0.07
"""On the event loop it takes twice as long; in a thread the loop is busy for a seventh of this."""


async def test_very_many_events_do_not_stop_the_event_loop(imagestore_client: Client, imagestore_lab: Lab) -> None:
    database = imagestore_lab.node.parts.store.database
    changed = json.dumps({"oldStatus": "Connected", "newStatus": "Disconnected"})
    was_set = json.dumps({"kind": "status", "parameters": {"code": 418}})
    rows: list[dict[str, object]] = [
        {"path": STATUS_CHANGED, "resourceUuid": "e" * 32, "content": changed} for _ in range(MOST_EVENTS)
    ]
    rows += [{"path": FAULT_SET, "resourceUuid": f"status-{n}", "content": was_set} for n in range(MOST_EVENTS)]
    rows += [{"path": DELETED, "resourceUuid": "e" * 32, "content": json.dumps({"name": "gone"})}]
    for number, row in enumerate(rows):
        row["time"] = 1_700_000_000_000 + number
    async with database.transaction() as connection:
        await connection.execute(insert(Event), rows)
    async with measuring_stalls() as stalls:
        url = f"{imagestore_client.url}/lab/v1/timeline?from=1700000000&to=1700000100&limit=200"
        answer = await imagestore_client.request("GET", url)
    assert stalls.longest < MOST_SECONDS
    [lane] = answer.body["lanes"]
    assert (lane["name"], answer.body["eventsLeftOff"]) == ("gone", True)
    assert len(answer.body["faults"]) + answer.body["faultsLeftOff"] == MOST_EVENTS
