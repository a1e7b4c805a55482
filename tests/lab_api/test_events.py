"""GET /lab/v1/events over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert

from imagestore_sim.backup_storage.events import (
    CAPACITY_CHANGED,
    DISCONNECTED,
    PROBE_FAILED,
    STATUS_CHANGED,
    Event,
    Events,
)
from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api import events as stream
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from rows import rows

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]


imagestore_lab, imagestore_client = reset_fixtures()


Json = dict[str, Any]


class Reader:
    """Reads messages like a browser's EventSource."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def message(self) -> dict[str, str]:
        """Return the next message that is not a comment; `{}` at the end."""
        fields: dict[str, str] = {}
        while line := (await self.response.content.readline()).decode():
            if line == "\n" and fields:
                break
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
        return fields

    async def event(self) -> Json:
        """Return the JSON of the next message."""
        message = await self.message()
        event: Json = json.loads(message["data"])
        assert message["id"] == str(event["id"])
        return event


@asynccontextmanager
async def listening(lab: Lab, *, last: int | None = None, **query: str) -> AsyncIterator[Reader]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{lab.url}/lab/v1/events", params=query, headers=headers) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        reader = Reader(response)
        assert await response.content.readline() == b": events\n"
        yield reader


async def test_events_are_streamed_as_they_happen(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    lab = imagestore_lab
    storage = await lab.wait_for("imagestore-1", "Connected")
    async with listening(lab) as reader:
        await imagestore_hosts["imagestore-1"].stop()
        events = [await reader.event() for _ in range(3)]
    assert [one["path"] for one in events] == [STATUS_CHANGED, PROBE_FAILED, DISCONNECTED]
    assert {one["resourceUuid"] for one in events} == {storage.uuid}
    assert events[0]["content"] == {
        "backupStorageUuid": storage.uuid,
        "oldStatus": "Connected",
        "newStatus": "Disconnected",
    }
    assert events[1]["content"]["reason"] == events[2]["content"]["reason"]["reason"] == "unreachable"
    # All of one ping, at the time of the lab's clock.
    assert len({one["correlation"] for one in events}) == 1
    assert len(events[0]["correlation"]) == 32
    assert {one["time"] for one in events} == {round(int(lab.clock.time() * 1000) / 1000, 3)}
    assert events[1]["id"] == events[0]["id"] + 1


async def test_events_of_a_probe_carry_the_uuid_of_its_job(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    await imagestore_hosts["imagestore-1"].stop()
    job = "0123456789ab4def8123456789abcdef"
    async with listening(imagestore_lab) as reader:
        path = f"/backup-storage/image-store/{storage.uuid}/actions"
        answer = await imagestore_client.request(
            "PUT", path, {"reconnectImageStoreBackupStorage": {}}, headers={"X-Job-UUID": job}
        )
        assert answer.status == 202
        events = [await reader.event() for _ in range(4)]
    assert [one["path"] for one in events] == [STATUS_CHANGED, STATUS_CHANGED, PROBE_FAILED, DISCONNECTED]
    assert {one["correlation"] for one in events} == {job}


async def test_a_client_that_reconnects_gets_what_it_has_missed(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    lab = imagestore_lab
    uuid = (await lab.wait_for("imagestore-1", "Connected")).uuid
    async with listening(lab) as reader:
        await lab.node.storages.lifecycle.reconnect(uuid)
        first = await reader.event()
    await lab.node.storages.lifecycle.reconnect(uuid)
    async with listening(lab, last=first["id"]) as reader:
        missed = [await reader.event() for _ in range(3)]
        await lab.node.storages.lifecycle.reconnect(uuid)
        then = [await reader.event() for _ in range(2)]
    numbers = [one["id"] for one in (first, *missed, *then)]
    assert numbers == list(range(first["id"], first["id"] + 6))
    async with listening(lab, lastEventId="0") as reader:
        assert (await reader.event())["id"] == 1


async def test_a_client_filters_by_path_and_resource(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_lab.node.storages.lifecycle.reconnect(
        (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    )
    async with listening(imagestore_lab, path="*/disconnected") as reader:
        await imagestore_hosts["imagestore-1"].stop()
        assert (await reader.event())["path"] == DISCONNECTED
    async with listening(imagestore_lab, resourceUuid="0" * 32, last=0) as reader:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.event(), 0.05)


@rows("given", ["x", "-1", "1.5", "9" * 19, "\u0661"])
async def test_an_invalid_last_event_id_is_refused(imagestore_lab: Lab, given: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{imagestore_lab.url}/lab/v1/events", params={"lastEventId": given}) as response,
    ):
        assert response.status == 400
        assert (await response.json())["error"].startswith("Last-Event-ID must be the number of an event")


@pytest.mark.spoils
async def test_streams_end_when_the_node_stops(imagestore_lab: Lab) -> None:
    loop = asyncio.get_running_loop()
    async with listening(imagestore_lab) as reader:
        began = loop.time()
        await imagestore_lab.node.stop()
        assert await reader.message() == {}
        assert loop.time() - began < 30


@pytest.mark.imagestore_lab(hosts=1, ping_interval=60)
async def test_a_comment_is_sent_when_nothing_happens(imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE_SECONDS", 0.02)
    async with listening(imagestore_lab) as reader:
        assert await reader.response.content.readline() == b"\n"
        assert await reader.response.content.readline() == b": still here\n"


async def test_a_client_that_is_too_slow_is_dropped_with_a_message(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = imagestore_lab
    monkeypatch.setattr(lab.node.parts.event_stream, "limit", 5)
    uuid = (await lab.wait_for("imagestore-1", "Connected")).uuid
    async with listening(lab) as reader:
        async with lab.node.parts.store.database.transaction() as connection:
            events = [await lab.node.events.record(connection, "/x", uuid, {"number": n}) for n in range(20)]
        lab.node.events.publish(*events)
        heard = [await reader.event() for _ in range(5)]
        last = await reader.message()
        assert await reader.message() == {}
    assert [one["content"]["number"] for one in heard] == [0, 1, 2, 3, 4]
    assert last["event"] == "dropped"
    assert json.loads(last["data"])["lastEventId"] == heard[-1]["id"]
    assert 5 not in {one.maxsize for one in lab.node.events._subscriptions}
    async with listening(lab, last=heard[-1]["id"]) as reader:
        assert (await reader.event())["content"] == {"number": 5}


async def test_a_client_that_reconnects_gets_what_was_being_stored_meanwhile(imagestore_lab: Lab) -> None:
    """Another node of the store has recorded number 1002, and its transaction ends last."""
    lab, row = imagestore_lab, {"time": 0, "path": "/x", "resourceUuid": "u", "content": "{}"}
    await lab.wait_for("imagestore-1", "Connected")
    async with lab.node.parts.store.database.transaction() as connection:
        await connection.execute(insert(StoredEvent), [{"id": number, **row} for number in (1000, 1001, 1003)])
    async with asyncio.timeout(60), listening(lab, last=1000) as reader:
        assert [(await reader.event())["id"] for _ in range(2)] == [1001, 1003]
        lab.node.events.publish(*(Event(number, 0, "/x", "u", {}) for number in (1001, 1002, 1003, 1004)))
        assert [(await reader.event())["id"] for _ in range(2)] == [1002, 1004]


async def test_all_streams_send_the_same_messages_which_are_made_once(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def to_json(event: Event) -> dict[str, object]:
        made.append(event.id)
        return plain(event)

    plain = Event.to_json
    monkeypatch.setattr(Event, "to_json", to_json)
    lab = imagestore_lab
    await lab.wait_for("imagestore-1", "Connected")
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(listening(lab, path="/x")) for _ in range(3)]
        made.clear()
        lab.node.events.publish(*(Event(number, 0, "/x", "u", {"number": number}) for number in range(1000, 1007)))
        for reader in readers:
            heard = [await reader.event() for _ in range(7)]
            assert [one["content"]["number"] for one in heard] == list(range(1000, 1007))
    assert made == list(range(1000, 1007))


async def test_a_client_gets_very_many_events_in_pieces(imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BATCH", 3)
    sent: list[int] = []
    plain = stream._Stream._write

    async def write(self: stream._Stream, data: bytes) -> None:
        sent.append(data.count(b"id: "))
        await plain(self, data)

    monkeypatch.setattr(stream._Stream, "_write", write)
    lab = imagestore_lab
    await lab.wait_for("imagestore-1", "Connected")
    async with listening(lab, path="/pieces") as reader:
        sent.clear()
        lab.node.events.publish(*(Event(number, 0, "/pieces", "u", {}) for number in range(1000, 1010)))
        assert [(await reader.event())["id"] for _ in range(10)] == list(range(1000, 1010))
    assert [one for one in sent if one] == [3, 3, 3, 1]


async def test_a_client_that_was_away_too_long_gets_the_message_missed(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore_sim.backup_storage.events.KEPT_EVENTS", 10)
    monkeypatch.setattr("imagestore_sim.backup_storage.events.TRIM_EVERY", 5)
    lab = imagestore_lab
    uuid = (await lab.wait_for("imagestore-1", "Connected")).uuid
    for _ in range(20):
        await lab.node.storages.lifecycle.reconnect(uuid)
    async with listening(lab, path=STATUS_CHANGED, last=1) as reader:
        message = await reader.message()
        first = await reader.event()
    async with listening(lab, last=first["id"]) as reader:
        assert "event" not in await reader.message()
    stored = await lab.node.parts.store.event_log.of(uuid, STATUS_CHANGED)
    assert 10 <= len(stored) < 15
    assert (message["event"], first["id"]) == ("missed", stored[0].id)
    # Other paths have room of their own: the first connect's capacity is still there.
    assert len(await lab.node.parts.store.event_log.of(uuid, CAPACITY_CHANGED)) == 1


async def test_a_full_queue_holds_no_more_than_its_limit(tmp_path_factory: pytest.TempPathFactory) -> None:
    events = Events(RealClock())
    database = await Database.open(str(tmp_path_factory.mktemp("events") / "test.db"))
    with events.subscribe(3) as slow, events.subscribe() as patient:
        for number in range(10):
            async with database.transaction() as connection:
                events.publish(await events.record(connection, "/x", "u", {"number": number}))
        assert (slow.qsize(), slow.dropped) == (3, True)
        assert (patient.qsize(), patient.dropped) == (10, False)
        slow.get_nowait()
        async with database.transaction() as connection:
            events.publish(await events.record(connection, "/x", "u", {}))
        assert slow.qsize() == 2  # what comes after a gap would hide that gap
    await database.close()


async def test_an_unknown_parameter_of_the_stream_is_refused(imagestore_lab: Lab) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{imagestore_lab.url}/lab/v1/events", params={"resourceUuids": "0" * 32}) as response,
    ):
        assert response.status == 400
        assert (await response.json())["error"] == (
            "resourceUuids: is unknown; there are path, resourceUuid, lastEventId (did you mean resourceUuid?)"
        )


async def test_more_globs_than_a_stream_compares_are_refused(imagestore_lab: Lab) -> None:
    params = [("path", f"/{number}/*") for number in range(101)]
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{imagestore_lab.url}/lab/v1/events", params=params) as response,
    ):
        assert response.status == 400
        assert (await response.json())["error"] == "path: 101 globs are given, and 100 at most are compared"
