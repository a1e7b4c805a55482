"""Web hooks for events (domain 1.6), over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from hook_receiver import Receiver, open_receiver
from imagestore_sim.api.url_validator import is_url
from imagestore_sim.backup_storage import event_web_hooks
from imagestore_sim.backup_storage.events import Event
from imagestore_sim.backup_storage.hook_addresses import HookRow
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures
from loop_turns import Turns, counting
from rows import rows
from stalls import measuring_stalls

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]


imagestore_lab, imagestore_client = reset_fixtures()


Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(imagestore_lab: Lab) -> AsyncIterator[Receiver]:
    async with open_receiver(imagestore_lab) as receiver:
        yield receiver


async def create(client: Client, url: str, opaque: str | None = "/backup-storage/*", **values: object) -> Json:
    params = {"name": "hook", "url": url, "type": "CanonicalEvent"} | values
    if opaque is not None:
        params["opaque"] = opaque
    inventory: Json = (await client.call("POST", "/web-hooks", {"params": params}))["inventory"]
    return inventory


async def settled(lab: Lab) -> None:
    """Wait until every event is delivered, or its attempts are used up."""
    await lab.clock.sleep(10)


async def test_a_hook_gets_a_change_of_status_with_the_inventory(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, receiver: Receiver
) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    hook = await create(imagestore_client, receiver.url, "/backup-storage/status/change")
    assert set(hook) == {"uuid", "name", "url", "type", "opaque", "createDate", "lastOpDate"}
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await settled(imagestore_lab)
    [body] = receiver.bodies
    assert body["path"] == "/backup-storage/status/change"
    content = body["content"]
    assert (content["oldStatus"], content["newStatus"]) == ("Connected", "Disconnected")
    assert content["backupStorageUuid"] == content["inventory"]["uuid"] == storage.uuid
    assert content["inventory"]["status"] == "Disconnected"
    assert set(content["inventory"]) == {
        "uuid", "name", "url", "description", "totalCapacity", "availableCapacity", "type", "state", "status",
        "createDate", "lastOpDate", "attachedZoneUuids",
    }  # fmt: skip
    assert list(body) == ["path", "content", "managementNodeId", "headers", "id", "createdTime"]
    [node] = await imagestore_client.query("/management-nodes")
    assert (body["managementNodeId"], body["headers"], body["createdTime"]) == (node["uuid"], {}, 0)
    assert len(body["id"]) == 32


async def test_a_glob_selects_every_path_that_matches(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, receiver: Receiver
) -> None:
    await create(imagestore_client, receiver.url)
    await create(imagestore_client, receiver.url, "/host/*", name="another")
    await create(imagestore_client, receiver.url, name="of another type", type="Other")
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await settled(imagestore_lab)
    assert [one["path"] for one in receiver.bodies] == [
        "/backup-storage/status/change",
        "/backup-storage/probe/failure",
        "/backup-storage/disconnected",
    ]
    reason = receiver.bodies[2]["content"]["reason"]
    assert list(reason) == ["code", "description", "details", "opaque"]
    assert (reason["code"], reason["description"]) == ("BS.1500", "Unable to connect a backup storage")
    assert reason["opaque"] == {"reason": "unreachable"}


@pytest.mark.parametrize(
    ("opaque", "delivered"),
    [
        ("/backup-storage/{what}/change", True),
        ("/backup-storage/{a}/{b}", True),
        ("/{}", True),
        ("/backup-storage/status/change{}", False),
        ("/backup.storage/status/chang?", True),
        ("/backup-storage/status/[c]hange", False),
        ("/backup-storage/status/changed", False),
        ("/BACKUP-STORAGE/*", False),
        ("", False),
    ],
)
async def test_braces_and_marks_of_an_opaque_path_have_zstack_s_meaning(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver, opaque: str, delivered: bool
) -> None:
    await create(imagestore_client, receiver.url, opaque)
    await imagestore_lab.node.storages.lifecycle.reconnect(
        (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    )
    await settled(imagestore_lab)
    assert ("/backup-storage/status/change" in {one["path"] for one in receiver.bodies}) == delivered


URLS = [
    ("http://127.0.0.1:1/h", True, True),
    ("https://example.com/a/b;c?d=e f", False, False),
    ("https://example.com/a/b;c?d=e#f", True, True),
    ("http://user:word@zstack.io:8080", True, True),
    ("HTTP://[::1]:80/", True, True),
    ("http://localhost:8080/h", False, True),
    ("http://receiver:8080/h", False, True),
    ("http://host.docker.internal/h", False, True),
    ("not a url", False, False),
    ("", False, False),
    ("ftp://x", False, True),
    ("gopher://example.com/", False, False),
    ("http://", False, False),
    ("http:///path", False, False),
    ("http://example.com:99999/", False, False),
    ("http://example.com:port/", False, False),
    ("http://exa mple.com/", False, False),
    ("http://-x.com/", False, False),
    ("http://example.com/a//b", False, False),
    ("http://example.com/../b", False, False),
    ("http://example.com/<b>", False, False),
    ("/relative", False, False),
    ("http://[::zz]/", False, False),
]


@rows(("url", "strict", "lenient"), URLS)
async def test_a_url_is_valid_if_zstack_accepts_it_or_names_a_test_network(
    url: str, strict: bool, lenient: bool
) -> None:
    assert is_url(url, any_host=False) is strict
    assert is_url(url, any_host=True) is lenient


async def test_a_hook_needs_a_valid_url_when_it_is_created_or_changed(imagestore_client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await create(imagestore_client, "no address at all")
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", "Invalid url[no address at all]")
    hook = await create(imagestore_client, "http://127.0.0.1:1/")
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", f"/web-hooks/{hook['uuid']}", {"updateWebhook": {"url": "bad"}})
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", "Invalid url[bad]")
    answer = await imagestore_client.request("PUT", f"/web-hooks/{hook['uuid']}/actions", {"updateWebhook": {}})
    assert answer.status == 404
    with pytest.raises(CallFailed) as caught:
        await create(imagestore_client, "http://127.0.0.1:1/", "o" * 65536)
    assert caught.value.error["details"] == "org.hibernate.exception.DataException: could not execute statement"
    assert await imagestore_client.query("/web-hooks") == [hook]


@pytest.mark.parametrize(("refusals", "delivered"), [(0, True), (2, True), (5, True), (6, False), (60, False)])
async def test_a_hook_that_refuses_is_tried_five_times_more_a_second_apart(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver, refusals: int, delivered: bool
) -> None:
    await create(imagestore_client, receiver.url, "/backup-storage/capacity/change")
    receiver.refusals = refusals
    imagestore_lab.network["imagestore-1"].disk.used += 2**30
    await imagestore_lab.node.storages.lifecycle.reconnect(
        (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    )
    await settled(imagestore_lab)
    assert len(receiver.bodies) == delivered
    assert [one - receiver.tried[0] for one in receiver.tried] == list(range(min(refusals, 5) + 1))


async def test_a_hook_can_be_found_changed_and_deleted(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver
) -> None:
    client = imagestore_client
    hook = await create(client, "http://127.0.0.1:1/", "/nothing", description="nobody there")
    assert await client.query("/web-hooks", "name=hook") == [hook]
    path = f"/web-hooks/{hook['uuid']}"
    changed = await client.call(
        "PUT", path, {"updateWebhook": {"url": receiver.url, "opaque": "/backup-storage/status/change"}}
    )
    assert (changed["inventory"]["url"], changed["inventory"]["description"]) == (receiver.url, "nobody there")
    uuid = (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    await imagestore_lab.node.storages.lifecycle.reconnect(uuid)
    await settled(imagestore_lab)
    assert [one["content"]["newStatus"] for one in receiver.bodies] == ["Connecting", "Connected"]
    await client.call("DELETE", f"/web-hooks/{hook['uuid']}")
    await imagestore_lab.node.storages.lifecycle.reconnect(uuid)
    await settled(imagestore_lab)
    assert len(receiver.bodies) == 2
    assert await client.query("/web-hooks") == []


async def test_a_change_of_a_hook_reads_no_other(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(uuid: str, url: str, opaque: str) -> HookRow:
        read.append(url)
        return HookRow(uuid, url, opaque)

    read: list[str] = []
    monkeypatch.setattr(event_web_hooks, "HookRow", counted)
    urls = [f"http://127.0.0.1:1/{number}" for number in range(3)]
    first, second, third = [await create(imagestore_client, url, f"/none/{url}") for url in urls]
    assert read == urls
    await imagestore_client.call("PUT", f"/web-hooks/{second['uuid']}", {"updateWebhook": {"url": receiver.url}})
    assert read == [*urls, receiver.url]
    await imagestore_client.call("DELETE", f"/web-hooks/{first['uuid']}")
    await imagestore_client.call("PUT", f"/web-hooks/{third['uuid']}", {"updateWebhook": {"type": "Other"}})
    assert len(read) == 4


async def test_a_hook_whose_row_cannot_be_read_at_first_gets_events_all_the_same(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored by then, and an only node reads its hooks for nothing else."""
    hooks = imagestore_lab.node.parts.services.web_hooks
    fetch, failures = hooks._database.fetch_few, [StoreUnavailable("the store is away")]
    read_one = sql_of(event_web_hooks._HOOK, hooks._database.dialect)

    async def fetch_later(sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        if sql == read_one and failures:
            raise failures.pop()
        return await fetch(sql, parameters)

    monkeypatch.setattr(hooks._database, "fetch_few", fetch_later)
    await create(imagestore_client, receiver.url)
    assert not failures
    uuid = (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    await imagestore_lab.node.storages.lifecycle.reconnect(uuid)
    await settled(imagestore_lab)
    assert [one["content"]["newStatus"] for one in receiver.bodies] == ["Connecting", "Connected"]


async def test_events_that_come_faster_than_they_are_posted_are_dropped_and_logged(
    imagestore_lab: Lab,
    imagestore_client: Client,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await create(imagestore_client, receiver.url, "/some/path")
    hooks, events = imagestore_lab.node.parts.services.web_hooks, imagestore_lab.node.events
    await hooks.close()
    monkeypatch.setattr(event_web_hooks, "MOST_UNREAD", 3)
    await hooks.open()
    for first in (1, 11):
        events.publish(*(Event(number, 0, "/some/path", "f" * 32, {}) for number in range(first, first + 5)))
        await settled(imagestore_lab)
    assert len(receiver.bodies) == 6, "three of each five"
    dropped = [one.getMessage() for one in caplog.records if "were dropped" in one.getMessage()]
    assert dropped == [f"web hooks: events after {last} were dropped: 3 waited already" for last in (3, 13)]
    monkeypatch.undo()
    await hooks.close()
    await hooks.open()


@pytest.mark.parametrize(("hooks", "events"), [(1000, 1), (1, 1000), (20, 50)])
async def test_others_have_their_turn_while_very_many_posts_begin(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch, hooks: int, events: int
) -> None:
    kept, posted = imagestore_lab.node.parts.services.web_hooks, list[str]()
    monkeypatch.setattr(kept._outbox, "post", lambda delivery: posted.append(delivery.url))
    urls = [f"http://{number}/" for number in range(hooks)]
    for number, url in enumerate(urls):
        kept._addresses.put(HookRow(f"{number:04}", url, "/some/path"))
    turns = Turns()
    async with counting(turns):
        imagestore_lab.node.events.publish(*(Event(number, 0, "/some/path", "f" * 32, {}) for number in range(events)))
        while len(posted) < 1000:
            await asyncio.sleep(0)
    assert posted == urls * events
    assert turns.count >= 10
    for number in range(hooks):
        kept._addresses.remove(f"{number:04}")


async def test_a_hook_for_events_needs_their_path(imagestore_client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await create(imagestore_client, "http://127.0.0.1:1/", None)
    assert caught.value.code == "SYS.1007"
    assert caught.value.error["details"] == "for webhooks with type[CanonicalEvent], the field opaque cannot be null"


@rows("opaque", ["{" * 65_535, "*x" * 32_767, "?" * 65_535, "[" * 65_535, "}{" * 32_767])
async def test_a_path_of_any_form_takes_no_time(imagestore_client: Client, opaque: str) -> None:
    async with measuring_stalls() as stalls:
        hook = await create(imagestore_client, "http://127.0.0.1:1/", opaque)
    assert stalls.longest < 0.3
    await imagestore_client.call("DELETE", f"/web-hooks/{hook['uuid']}")


async def test_an_unreachable_receiver_delays_nothing(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    await create(imagestore_client, "http://127.0.0.1:1/")
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await settled(imagestore_lab)
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=180)


@pytest.mark.imagestore_lab(hosts=1, ping_interval=3600, clock="virtual")
async def test_a_hook_gets_the_end_of_an_upload_with_the_image_or_the_error(
    imagestore_lab: Lab, imagestore_client: Client, receiver: Receiver
) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    await create(imagestore_client, receiver.url, "/image/track/*")
    uuids: list[str] = []
    for name in ("sent", "lost"):
        params = {"name": name, "url": "upload://a.qcow2", "format": "qcow2", "backupStorageUuids": [storage.uuid]}
        image = (await imagestore_client.call("POST", "/images", {"params": params}))["inventory"]
        uuids.append(image["uuid"])
        if name == "sent":
            headers = {"X-IMAGE-UUID": image["uuid"], "X-IMAGE-SIZE": "1000"}
            url = image["backupStorageRefs"][0]["installPath"]
            async with ClientSession() as http, http.put(url, data=bytes(1000), headers=headers) as answer:
                assert answer.status == 200
    await imagestore_lab.clock.sleep(2 * 3600)
    await settled(imagestore_lab)
    sent, lost = [body["content"] for body in receiver.bodies]
    assert [body["path"] for body in receiver.bodies] == ["/image/track/result"] * 2
    assert (sent["uuid"], sent["success"], sent["inventory"]["actualSize"]) == (uuids[0], True, 1000)
    assert (lost["uuid"], lost["success"], "inventory" in lost) == (uuids[1], False, False)
    assert (lost["error"]["code"], lost["error"]["description"]) == ("SYS.1006", "An operation failed")
