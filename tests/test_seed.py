"""`--seed` seeds everything random, uuids included, on a real clock too; without it, uuids are random."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.ids import new_uuid
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client

PARAMS = {"name": "z", "description": "d"}


async def test_random_uuids_are_of_version_4_and_unlike() -> None:
    found = {new_uuid() for _ in range(1000)}
    assert len(found) == 1000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in found} == {(4, uuid.RFC_4122)}
    assert all(uuid.UUID(one).hex == one for one in found)


async def drawn(settings: Settings, *, pings: int = 0, polls: int = 0) -> list[str]:
    """Return the uuids of sessions, jobs, resources and tags that a client gets in a lab of its own."""
    async with Lab(settings) as lab, Client(lab.url) as client:
        assert isinstance(lab.clock, RealClock)
        found = [await client.log_in()]
        await lab.clock.step(pings * 5.0)
        for _ in range(polls):
            await client.query("/zones")
        for name in ("a", "b"):
            accepted = await client.request("POST", "/zones", {"params": {"name": name}})
            zone = (await client.follow(accepted.body["location"])).body["inventory"]["uuid"]
            tag = {"resourceType": "ZoneVO", "resourceUuid": zone, "tag": "gold"}
            made = await client.call("POST", "/user-tags", {"params": tag})
            found += [accepted.body["location"].rpartition("/")[2], zone, made["inventory"]["uuid"]]
        storage = await client.add_image_store("172.24.189.211")
        return [*found, storage["uuid"], await client.log_in()]


async def test_the_same_calls_with_the_same_seed_get_the_same_uuids() -> None:
    seeded = Settings(port=0, hosts=1, ping_interval=5, seed=11)
    first = await drawn(seeded)
    assert len(set(first)) == len(first) == 9
    assert all(len(one) == 32 and one[12] == "4" for one in first)
    assert await drawn(seeded, pings=4, polls=3) == first, "pings and polls draw from streams of their own"
    assert not set(first) & set(await drawn(Settings(port=0, hosts=1, ping_interval=5, seed=12)))


@pytest.mark.thorough
async def test_without_a_seed_no_two_labs_have_a_uuid_in_common() -> None:
    plain = Settings(port=0, hosts=1, ping_interval=5)
    first, second = await drawn(plain), await drawn(plain)
    assert not set(first) & set(second)


async def test_a_seeded_lab_over_a_database_that_was_kept_draws_new_uuids(tmp_path: Path) -> None:
    seeded = Settings(port=0, hosts=1, seed=11, database=str(tmp_path / "lab.db"))
    first = await drawn(seeded)
    async with Lab(seeded) as lab, Client(lab.url) as client:
        assert await client.log_in() not in first
        made = await client.call("POST", "/zones", {"params": PARAMS})
        assert made["inventory"]["uuid"] not in first


@pytest.mark.imagestore_lab(hosts=1, seed=3)
async def test_a_reset_draws_the_uuids_of_the_start_again(imagestore_lab: Lab) -> None:
    sessions = []
    for _ in range(2):
        await imagestore_lab.node.changes.reset(wait=True)
        async with Client(imagestore_lab.url) as client:
            sessions.append((await client.log_in(), (await client.call("POST", "/zones", {"params": PARAMS}))))
    (one, zone), (other, again) = sessions
    assert one == other
    assert zone["inventory"]["uuid"] == again["inventory"]["uuid"]
