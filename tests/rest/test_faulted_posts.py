"""Faults of web hooks: what receivers get of the results of jobs and of events, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hook_receiver import Receiver, open_receiver
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from node_faults import heal, set_fault, shown

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=0, ping_interval=3600, clock="virtual"),
]


imagestore_lab, imagestore_client = reset_fixtures()


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(imagestore_lab: Lab) -> AsyncIterator[Receiver]:
    async with open_receiver(imagestore_lab) as receiver:
        yield receiver


async def add_zones(client: Client, receiver: Receiver, *names: str) -> None:
    """Add zones one after the other, each with a hook for its job."""
    for name in names:
        hook = {"X-Web-Hook": receiver.url}
        answer = await client.request("POST", "/zones", {"params": {"name": name}}, headers=hook)
        await client.follow(answer.body["location"])


def names(receiver: Receiver) -> list[str]:
    return [body["inventory"]["name"] for body in receiver.bodies]


async def test_a_lost_post_never_arrives(imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver) -> None:
    fault = await set_fault(imagestore_client, "hook_lost", when={"api": "CreateZone", "nth": 2})
    await add_zones(imagestore_client, receiver, "a", "b", "c")
    await imagestore_lab.clock.sleep(120)
    assert sorted(names(receiver)) == ["a", "c"]
    assert (await shown(imagestore_client, fault))["hits"] == 1


async def test_a_delayed_post_arrives_late_or_when_the_fault_heals(
    imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver
) -> None:
    fault = await set_fault(imagestore_client, "hook_delayed", by="1m", when={"path": receiver.url})
    began = imagestore_lab.clock.monotonic()
    await add_zones(imagestore_client, receiver, "a")
    await imagestore_lab.clock.sleep(61)
    assert [moment - began for moment in receiver.tried] == [pytest.approx(60, abs=0.5)]
    await add_zones(imagestore_client, receiver, "b")
    await imagestore_lab.clock.sleep(5)
    await heal(imagestore_client, fault)
    await imagestore_lab.clock.sleep(1)
    assert names(receiver) == ["a", "b"]


async def test_a_duplicated_post_arrives_again(
    imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver
) -> None:
    await set_fault(imagestore_client, "hook_duplicated", copies=2, when={"first": 1})
    await add_zones(imagestore_client, receiver, "a", "b")
    await imagestore_lab.clock.sleep(1)
    assert sorted(names(receiver)) == ["a", "a", "a", "b"]


async def test_a_reordered_post_arrives_after_the_next_one(
    imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver
) -> None:
    await set_fault(imagestore_client, "hook_reordered", when={"nth": 1})
    await add_zones(imagestore_client, receiver, "a", "b")
    await imagestore_lab.clock.sleep(1)
    assert names(receiver) == ["b", "a"]


async def test_a_reordered_post_waits_no_longer_than_its_bound(
    imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver
) -> None:
    await set_fault(imagestore_client, "hook_reordered", within="10s")
    began = imagestore_lab.clock.monotonic()
    await add_zones(imagestore_client, receiver, "a")
    await imagestore_lab.clock.sleep(11)
    assert [moment - began for moment in receiver.tried] == [pytest.approx(10, abs=0.5)]


async def test_hooks_of_events_meet_them_too_and_get_no_event_of_a_fault(
    imagestore_client: Client, imagestore_lab: Lab, receiver: Receiver
) -> None:
    params = {"name": "hook", "url": receiver.url, "type": "CanonicalEvent", "opaque": "*"}
    await imagestore_client.call("POST", "/web-hooks", {"params": params})
    await set_fault(imagestore_client, "hook_duplicated", when={"api": "/backup-storage/added"})
    await imagestore_client.add_image_store("s")
    await imagestore_lab.clock.sleep(5)
    paths = [body["path"] for body in receiver.bodies]
    assert paths.count("/backup-storage/added") == 2
    assert [path for path in paths if "fault" in path] == []
