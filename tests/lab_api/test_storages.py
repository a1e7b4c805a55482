"""`/lab/v1/probes` and `/lab/v1/storages/{uuid}`: what a backup storage has been through, and its host asked now."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import pytest

from imagestore_sim.faults import read_fault
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api import storage_history, storages
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures

TIB = 2**40
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=3600, clock="virtual"),
]
Json = dict[str, Any]


imagestore_lab, imagestore_client = reset_fixtures()


async def ask(client: Client, method: str, path: str, body: object = None, status: int = 200) -> Json:
    answer = await client.request(method, f"{client.url}/lab/v1{path}", body)
    assert answer.status == status, answer.text
    return answer.body


async def uuid_of(client: Client, name: str = "imagestore-1") -> str:
    [storage] = await client.query("/backup-storage", f"name={name}")
    uuid: str = storage["uuid"]
    return uuid


async def history(client: Client, query: str = "") -> Json:
    return await ask(client, "GET", f"/storages/{await uuid_of(client)}/history{query}")


async def put_fault(lab: Lab, kind: str, **parameters: object) -> None:
    await lab.network["imagestore-1"].apply(read_fault(kind, parameters))


async def test_a_storage_is_found_by_its_name_and_its_uuid(imagestore_client: Client, imagestore_lab: Lab) -> None:
    for name in ("imagestore-10", "imagestore-100"):
        await imagestore_client.add_image_store(name)
    uuid = await uuid_of(imagestore_client)
    found = await ask(imagestore_client, "GET", "/storages/imagestore-1")
    assert found == await ask(imagestore_client, "GET", f"/storages/{uuid}")
    kind = "ImageStoreBackupStorage"
    assert found == {"uuid": uuid, "name": "imagestore-1", "type": kind, "hostname": "imagestore-1",
                     "status": "Connected", "tracked": True}  # fmt: skip
    await imagestore_client.add_image_store("silver", name="Größe 50%/_")
    assert (await ask(imagestore_client, "GET", f"/storages/{quote('Größe 50%/_', safe='')}"))["hostname"] == "silver"
    for name in ("imagestore", "imagestore_1", "%25"):
        refusal = await ask(imagestore_client, "GET", f"/storages/{name}", status=404)
        assert refusal["error"] == f"there is no backup storage {unquote(name)}"


async def test_the_history_of_a_new_storage_has_its_connect(imagestore_client: Client, imagestore_lab: Lab) -> None:
    found = await history(imagestore_client)
    assert (found["name"], found["hostname"], found["status"]) == ("imagestore-1", "imagestore-1", "Connected")
    assert (found["tracked"], found["complete"], found["faults"], found["stops"]) == (True, True, [], [])
    assert found["at"] == found["until"] == pytest.approx(imagestore_lab.clock.time(), abs=1)
    [connected] = [one for one in found["statuses"] if one["until"] is None]
    assert connected["status"] == "Connected"
    [capacity] = found["capacities"]
    [storage] = await imagestore_client.query("/backup-storage")
    assert (capacity["total"], capacity["available"]) == (storage["totalCapacity"], storage["availableCapacity"])
    [probe] = found["probes"]
    assert (probe["succeeded"], probe["mode"], probe["method"], probe["reason"]) == (True, "capacity", "statvfs", None)
    assert (probe["total"], probe["available"]) == (capacity["total"], capacity["available"])
    assert {"kex", "auth", "command"} <= probe["phases"].keys()


async def test_statuses_probes_and_faults_of_an_outage_fit_together(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    uuid = await uuid_of(imagestore_client)
    begin = imagestore_lab.clock.time()
    await put_fault(imagestore_lab, "refuse", **{"for": "1m"})
    await imagestore_lab.clock.sleep(10)
    pinged = await ask(imagestore_client, "POST", f"/storages/{uuid}/ping")
    assert (pinged["status"], pinged["lastProbe"]["reason"]) == ("Disconnected", "refused")
    during = await history(imagestore_client)
    [fault] = during["faults"]
    assert (fault["id"], fault["kind"], fault["parameters"]) == ("refuse-1", "refuse", {"for": 60.0})
    assert (fault["since"], fault["until"]) == (pytest.approx(begin, abs=1), None)
    assert fault["healsAt"] == pytest.approx(fault["since"] + 60)
    lost = during["statuses"][-1]
    assert (lost["status"], lost["until"]) == ("Disconnected", None)
    assert lost["since"] == pytest.approx(begin + 10, abs=1)
    assert lost["correlation"]
    assert (during["probes"][-1]["advice"], during["probes"][-1]["succeeded"]) == (
        "Start sshd on the host, or correct the SSH port.",
        False,
    )
    await imagestore_lab.clock.sleep(60)
    after = await history(imagestore_client)
    [healed] = after["faults"]
    assert (healed["until"], healed["healsAt"]) == (pytest.approx(healed["since"] + 60, abs=0.1), None)
    ends = [one["until"] for one in after["statuses"][:-1]]
    assert ends == [one["since"] for one in after["statuses"][1:]]


async def test_a_time_of_ones_choice_begins_with_what_held_then(imagestore_client: Client, imagestore_lab: Lab) -> None:
    uuid = await uuid_of(imagestore_client)
    before = await history(imagestore_client)
    await imagestore_lab.clock.sleep(100)
    await put_fault(imagestore_lab, "fill", to="50%")
    await ask(imagestore_client, "POST", f"/storages/{uuid}/ping")
    await imagestore_lab.clock.sleep(100)
    now = imagestore_lab.clock.time()
    found = await history(imagestore_client, f"?since={now - 150}")
    assert [one["time"] for one in found["capacities"]] == [now - 150, pytest.approx(now - 100, abs=1)]
    assert found["capacities"][0]["available"] == before["capacities"][-1]["available"]
    assert found["capacities"][1]["available"] < found["capacities"][1]["total"] // 2 + 1
    early = await history(imagestore_client, f"?since={now - 150}&until={now - 120}")
    assert (len(early["capacities"]), early["faults"], early["statuses"][-1]["status"]) == (1, [], "Connected")
    everything = await history(imagestore_client, "?since=0")
    assert everything["since"] == pytest.approx(before["since"], abs=1)


async def test_a_spike_is_still_there_when_points_are_left_out(imagestore_client: Client, imagestore_lab: Lab) -> None:
    parts, uuid = imagestore_lab.node.storages, await uuid_of(imagestore_client)
    for number in range(60):
        await imagestore_lab.clock.sleep(10)
        available, now = 1 if number == 30 else TIB - number, parts.capacities.now()
        write = partial(parts.capacities.write, uuid=uuid, total=TIB, available=available, now=now)
        await imagestore_lab.node.parts.store.database.change(write)
    found = await history(imagestore_client, "?points=10")
    times = [one["time"] for one in found["capacities"]]
    assert len(times) <= 10
    assert times == sorted(times)
    assert 1 in [one["available"] for one in found["capacities"]]
    assert found["capacities"][-1]["available"] == TIB - 59


async def test_what_is_left_out_of_the_statuses_is_said(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_history, "MOST_SPELLS", 2)
    uuid = await uuid_of(imagestore_client)
    for _ in range(2):
        await imagestore_lab.clock.sleep(10)
        await imagestore_client.call("PUT", f"/backup-storage/{uuid}/actions", {"reconnectBackupStorage": {}})
    found = await history(imagestore_client)
    assert (found["statuses"][-1]["status"], found["complete"]) == ("Connected", False)


async def test_a_host_that_is_shut_down_leaves_a_window(imagestore_client: Client, imagestore_lab: Lab) -> None:
    begin = imagestore_lab.clock.time()
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/stop")
    await imagestore_lab.clock.sleep(30)
    [stop] = (await history(imagestore_client))["stops"]
    assert (stop["since"], stop["until"]) == (pytest.approx(begin, abs=1), None)
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/start")
    [stop] = (await history(imagestore_client))["stops"]
    assert stop["until"] == pytest.approx(begin + 30, abs=1)


async def test_a_probe_by_hand_changes_nothing_but_the_last_probe(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    uuid = await uuid_of(imagestore_client)
    logins = imagestore_lab.network["imagestore-1"].logins
    found = await ask(imagestore_client, "POST", f"/storages/{uuid}/probe")
    assert (found["succeeded"], list(found["phases"])) == (True, ["command"])
    fresh = await ask(imagestore_client, "POST", f"/storages/{uuid}/probe", {"fresh": True})
    assert {"kex", "auth"} <= fresh["phases"].keys()
    assert imagestore_lab.network["imagestore-1"].logins == logins + 1
    await put_fault(imagestore_lab, "path_gone", path="/Cloud_bs")
    failed = await ask(imagestore_client, "POST", f"/storages/{uuid}/probe")
    assert (failed["succeeded"], failed["reason"], failed["total"]) == (False, "no_such_path", None)
    now = await history(imagestore_client)
    assert (now["status"], now["probes"][-1]["reason"]) == ("Connected", "no_such_path")
    at = now["at"]
    [latest] = (await ask(imagestore_client, "GET", f"/probes?since={failed['time']}"))["probes"]
    assert latest == {"storageUuid": uuid, **failed}
    assert (await ask(imagestore_client, "GET", f"/probes?since={at + 10}"))["probes"] == []


async def test_what_cannot_be_asked_is_refused_with_the_reason(
    imagestore_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = await uuid_of(imagestore_client)
    added = await imagestore_client.call(
        "POST",
        "/backup-storage/simulators",
        {"params": {"name": "no-host", "url": "/s", "totalCapacity": 10, "availableCapacity": 5}},
    )
    no_host = added["inventory"]["uuid"]
    nobody = "0" * 32
    for method, path, status, error in (
        ("GET", f"/storages/{nobody}/history", 404, f"backup storage[uuid:{nobody}] is not there"),
        ("POST", f"/storages/{nobody}/probe", 404, "is not there"),
        ("POST", f"/storages/{nobody}/ping", 404, "is not there"),
        ("POST", f"/storages/{no_host}/probe", 409, "the backup storage has no host"),
        ("POST", f"/storages/{no_host}/ping", 409, "it is never pinged"),
        ("GET", f"/storages/{uuid}/history?points=1", 400, "points: "),
        ("GET", f"/storages/{uuid}/history?since=soon", 400, "since: "),
        (
            "GET",
            f"/storages/{uuid}/history?until=1e308",
            400,
            "until: expected 221845392000 or less",
        ),
        ("GET", f"/storages/{uuid}/history?until=nan", 400, "until: expected a number"),
        ("GET", f"/storages/{uuid}/history?since=5&until=1", 400, "since: expected a time before `until`"),
        ("GET", f"/storages/{uuid}/history?since=5&until=5", 400, "since: expected a time before `until`"),
        ("GET", f"/storages/{uuid}/history?since=200000000000", 400, "since: expected a time before `until`"),
        ("GET", "/probes?since=nan", 400, "since: expected a number"),
        ("GET", "/probes?since=1e308", 400, "since: "),
        ("GET", "/requests/count?after=nan", 400, "after: expected a number"),
        ("GET", "/requests/count?after=1e308", 400, "after: "),
        ("GET", "/events?lastEventId=1&lastEventId=x", 400, "lastEventId: is given twice"),
    ):
        assert error in (await ask(imagestore_client, method, path, status=status))["error"]
    long_ago = await ask(imagestore_client, "GET", f"/storages/{uuid}/history?until=10")
    assert (long_ago["since"], long_ago["until"], long_ago["statuses"]) == (10, 10, [])
    alone = await ask(imagestore_client, "GET", f"/storages/{no_host}/history")
    assert (alone["hostname"], alone["faults"], alone["statuses"][0]["status"]) == ("", None, "Connected")
    assert [one["available"] for one in alone["capacities"]] == [5]


async def test_a_host_that_never_answers_holds_no_call_for_ever(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "PATIENCE_SECONDS", 0.05)
    uuid = await uuid_of(imagestore_client)
    await put_fault(imagestore_lab, "blackhole")
    imagestore_lab.clock.pause()  # type: ignore[attr-defined]
    try:
        for what in ("probe", "ping"):
            late = await ask(imagestore_client, "POST", f"/storages/{uuid}/{what}", status=409)
            assert "is the clock paused?" in late["error"]
    finally:
        imagestore_lab.clock.resume()  # type: ignore[attr-defined]


async def test_a_reset_forgets_what_a_storage_has_been_through(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await put_fault(imagestore_lab, "read_only")
    await imagestore_lab.network["imagestore-1"].faults.heal_all()
    assert (await history(imagestore_client))["faults"] != []
    await ask(imagestore_client, "POST", "/reset?wait=true")
    await imagestore_client.log_in()
    found = await history(imagestore_client)
    assert (found["faults"], found["stops"], found["status"]) == ([], [], "Connected")
