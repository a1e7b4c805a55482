"""Recording from a node's database gives what recording live gives, and writes nothing there."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from imagestore_sim.clock import START
from imagestore_sim.database import DatabaseError
from imagestore_sim.faults import read_fault
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.recording import from_database
from imagestore_sim.scenario.recording.from_database import read_database
from imagestore_sim.scenario.recording.from_node import follow_node
from imagestore_sim.scenario.recording.recording import Recording
from imagestore_sim.scenario.recording.scenario_text import scenario_text
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.units import parse_moment
from imagestore_sim.virtual_clock import run_virtually, virtual_clock
from processes import run, run_here
from rows import rows

TIB = 2**40


@dataclass(frozen=True, slots=True)
class Outage:
    """The recording that was made while it happened, and the file of the node's database."""

    followed: Recording
    database: Path


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Outage:
    """Record an outage: a host is away for half a minute and returns with another disk; storages come and go."""
    database = tmp_path_factory.mktemp("stored") / "node.db"
    return Outage(run_virtually(_outage(database)), database)


async def _outage(database: Path) -> Recording:
    clock = virtual_clock()
    settings = Settings(port=0, hosts=2, ping_interval=5, database=str(database), any_host=True)
    async with Lab(settings, clock=clock) as lab, Client(lab.url, clock=clock) as client:
        await client.log_in()
        stop = asyncio.Event()
        await clock.sleep(100)
        following = asyncio.create_task(follow_node(lab.url, stop, account="admin", password="password"))
        await clock.sleep(10)
        first = lab.network["imagestore-1"]
        await first.faults.apply(read_fault("refuse", {"for": "30s"}))
        await clock.sleep(20)
        await first.faults.apply(read_fault("fill", {"to": "90%"}))
        await clock.sleep(60)
        added = await client.add_image_store("new-1", name="gold")
        await clock.sleep(20)
        await lab.network["new-1"].faults.apply(read_fault("resize", {"size": "10 TiB"}))
        await clock.sleep(20)
        await client.call("DELETE", f"/backup-storage/{added['uuid']}")
        [second] = await client.query("/backup-storage", "name=imagestore-2")
        await client.call("DELETE", f"/backup-storage/{second['uuid']}")
        await client.add_image_store("new-1", name="silver")
        await clock.sleep(20)
        stop.set()
        return await following


def storages_and_events(recording: Recording) -> list[tuple[float, str, str, object]]:
    return [(one["time"], one["path"], one["resourceUuid"], one["content"]) for one in recording.events]


async def test_what_is_stored_is_what_was_followed(outage: Outage) -> None:
    followed = outage.followed
    found = await read_database(str(outage.database), followed.began, followed.ended)
    assert storages_and_events(found) == storages_and_events(followed)
    assert len(found.events) > 20
    kept = ("uuid", "name", "hostname", "url", "username", "sshPort", "status", "totalCapacity", "availableCapacity")
    assert sorted([{name: one[name] for name in kept} for one in found.storages], key=str) == sorted(
        [{name: one[name] for name in kept} for one in followed.storages], key=str
    )
    assert (found.ping_interval, found.began, found.ended) == (5, followed.began, followed.ended)


def test_it_replays_with_what_was_added_and_deleted_meanwhile(outage: Outage) -> None:
    text = scenario_text(outage.followed)
    result = play_virtually(parse_scenario(text))
    assert not result.wrong, text
    lived = {lane.name: [status for _, status in lane.statuses if status] for lane in result.lanes}
    assert lived["imagestore-1"][:2] == ["Connected", "Disconnected"]
    assert lived["imagestore-1"][-2:] == ["Connecting", "Connected"]
    assert lived["imagestore-2"] == ["Connected"]
    assert (lived["gold"][-1], lived["silver"][-1]) == ("Connected", "Connected")
    gone = {lane.name for lane in result.lanes if lane.statuses[-1][1] == ""}
    assert gone == {"imagestore-2", "gold"}
    capacities = {lane.name: [capacity for _, *capacity in lane.capacities] for lane in result.lanes}
    first = next(one for one in outage.followed.storages if one["name"] == "imagestore-1")
    assert capacities["imagestore-1"][0] == [first["totalCapacity"], first["availableCapacity"]]
    assert capacities["imagestore-1"][-1][1] < first["availableCapacity"]
    assert capacities["gold"][-1][0] == capacities["silver"][-1][0] == 10 * TIB


async def test_a_part_of_the_time_begins_as_it_was_then(outage: Outage) -> None:
    followed = outage.followed
    found = await read_database(str(outage.database), followed.began + 25, followed.began + 60)
    assert {one["name"]: one["status"] for one in found.storages} == {
        "imagestore-1": "Disconnected", "imagestore-2": "Connected"
    }  # fmt: skip
    assert all(followed.began + 25 <= one["time"] <= followed.began + 60 for one in found.events)
    whole = await read_database(str(outage.database), None, None)
    assert (whole.began, whole.ended) == (whole.events[0]["time"], whole.events[-1]["time"])
    assert whole.began <= START + 1


async def test_nothing_is_written(outage: Outage) -> None:
    def there() -> dict[str, str]:
        return {one.name: sha256(one.read_bytes()).hexdigest() for one in outage.database.parent.iterdir()}

    before = await asyncio.to_thread(there)
    await read_database(str(outage.database), None, None)
    assert await asyncio.to_thread(there) == before


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "0000",
            "has tables of version 0000, of an older imagestore-sim; start a node over it",
        ),
        ("9999", "has tables of version 9999, which a newer imagestore-sim made; use that one"),
    ],
)
async def test_tables_of_another_version_are_refused(
    outage: Outage, tmp_path: Path, version: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore_sim.database.read_only.VERSIONS", ("0000", "0001"))
    other = tmp_path / "other.db"
    with sqlite3.connect(outage.database) as source, sqlite3.connect(other) as copy:
        source.backup(copy)
        copy.execute("UPDATE alembic_version SET version_num = ?", (version,))
    with pytest.raises(DatabaseError, match=message):
        await read_database(str(other), None, None)


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to be one")
    (tmp_path / "empty").write_text("")
    for name, message in (
        ("missing", "there is no such file"),
        ("text", "cannot be read as a SQLite database"),
        ("empty", "has no tables, so nothing is stored in it"),
    ):
        with pytest.raises(DatabaseError, match=message):
            await read_database(str(tmp_path / name), None, None)
        assert sorted(one.name for one in tmp_path.iterdir()) == ["empty", "text"]


async def test_events_that_are_no_longer_stored_are_an_error(outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_database, "KEPT_EVENTS", 3)
    with pytest.raises(DatabaseError, match=r"s are no longer stored: of /backup-storage/.*, the latest 3 are kept"):
        await read_database(str(outage.database), START - 60, None)


@rows(
    ("text", "moment"),
    [
        ("2026-03-01 12:00:00", 1772366400.0),
        ("2026-03-01T12:00:00", 1772366400.0),
        ("2026-03-01T12:00:00+01:00", 1772362800.0),
        ("2026-03-01T12:00:00Z", 1772366400.0),
    ],
)
def test_moments_are_read(text: str, moment: float) -> None:
    assert parse_moment(text) == moment


def test_a_duration_is_how_long_ago() -> None:
    assert parse_moment("2h") == pytest.approx(time.time() - 7200, abs=5)
    with pytest.raises(ValueError, match="'yesterday' is no moment, such as 2026-03-01 12:00:00"):
        parse_moment("yesterday")


@pytest.mark.processes
async def test_the_command_writes_a_scenario_from_a_database(outage: Outage, tmp_path: Path) -> None:
    out = str(tmp_path / "out.yaml")
    done = await run("record", "--database", str(outage.database), "--since", "2024-01-01 00:01:40", "--out", out)
    assert (done.status, done.errors) == (0, "")
    assert "events of" in done.output
    assert parse_scenario(Path(out).read_text()).timeline
    for arguments, message in (
        (("http://127.0.0.1:9", "--database", "x"), "expected the URL of a node, or --database"),
        ((), "expected the URL of a node, or --database"),
        (("http://127.0.0.1:9", "--since", "2h"), "--since and --until: expected together with --database"),
        (("--database", "x", "--since", "soon"), "'soon' is no moment"),
        (("--database", "x", "--since", "1h", "--until", "2h"), "--since: expected a moment before --until"),
        (("--database", "x", "--for", "2h"), "--for: a database is read at once"),
        (("--database", "missing.db"), "missing.db: there is no such file"),
    ):
        refused = await asyncio.to_thread(run_here, "record", *arguments, "--out", out)
        assert (refused.status, refused.output) == (2, ""), message
        assert message in refused.errors


async def _images(database: Path) -> Recording:
    """Record images that were there before and are expunged, and one that comes."""
    clock = virtual_clock()
    settings = Settings(port=0, hosts=2, ping_interval=5, database=str(database))
    async with Lab(settings, clock=clock) as lab, Client(lab.url, clock=clock) as client:
        await client.log_in()
        stop = asyncio.Event()
        lab.node.foundation.image_sources.add([ImageSource("*", 40 * 2**30, 4 * 2**30, rate=2**30)])
        uuids = sorted(one["uuid"] for one in await client.query("/backup-storage"))
        old, kept = [await _add(client, name, uuids) for name in ("old", "kept")]
        await client.call("DELETE", f"/images/{old}")
        await clock.sleep(100)
        following = asyncio.create_task(follow_node(lab.url, stop, account="admin", password="password"))
        await clock.sleep(10)
        await client.call("PUT", f"/images/{old}/actions", {"expungeImage": {"backupStorageUuids": uuids[:1]}})
        await _add(client, "new", uuids[1:])
        await client.call("DELETE", f"/images/{kept}?backupStorageUuids={uuids[0]}")
        await client.call("PUT", f"/images/{old}/actions", {"expungeImage": {}})
        await clock.sleep(20)
        stop.set()
        return await following


async def _add(client: Client, name: str, storages: list[str]) -> str:
    params = {"name": name, "url": f"http://images/{name}", "format": "qcow2", "backupStorageUuids": storages}
    return str((await client.call("POST", "/images", {"params": params}))["inventory"]["uuid"])


@pytest.mark.usefixtures("few_steps")
@pytest.mark.thorough
def test_images_that_were_there_before_are_added_in_the_beginning(tmp_path: Path) -> None:
    database = tmp_path / "node.db"
    followed = run_virtually(_images(database))
    stored = asyncio.run(read_database(str(database), followed.began, followed.ended))
    texts = [scenario_text(one) for one in (followed, stored)]
    assert texts[0].partition("settings")[2] == texts[1].partition("settings")[2]
    result = play_virtually(parse_scenario(texts[0]))
    assert not result.problem
    assert [(one.text, one.seen) for one in result.wrong] == []
    added = {one["content"]["name"]: one["at"] for one in result.log if one.get("path") == "/image/added"}
    assert added["old"] == added["kept"] == 0 < 10 < added["new"]
    for lane in result.lanes:
        [name] = [one["uuid"] for one in followed.storages if one["name"] == lane.name]
        measured = [one["content"]["availableCapacity"] for one in followed.events
                    if one["path"] == "/backup-storage/capacity/change" and one["resourceUuid"] == name]  # fmt: skip
        assert abs(lane.capacities[-1][2] - measured[-1]) < 2**20, texts[0]
