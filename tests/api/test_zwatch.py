"""GetMetricData and GetAllMetricMetadata: ZWatch's capacity over time (domain 10)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixed_data import B1, B2, B3, B4
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from rows import rows
from stalls import measuring_stalls

PATH = "/zwatch/metrics"
NAMESPACE = "ZStack/BackupStorage"
IMAGE_STORE = "ImageStoreBackupStorage"
Json = dict[str, Any]
Pairs = list[tuple[str, str]]


async def ask(client: Client, metric: str, *labels: str, **parameters: int) -> list[Json]:
    query: Pairs = [("namespace", NAMESPACE), ("metricName", metric), *(("labels", label) for label in labels)]
    answer = await client.call("GET", PATH, query=[*query, *((name, str(one)) for name, one in parameters.items())])
    assert list(answer) == ["data"]
    data: list[Json] = answer["data"]
    return data


def values(data: list[Json]) -> list[float]:
    return [point["value"] for point in data]


@rows(
    ("metric", "expected"),
    [
        ("AvailableCapacityInBytes", [100.0, 200.0, 400.0, 800.0]),
        ("AvailableCapacityInPercent", [10.0, 10.0, 10.0, 10.0]),
        ("UsedCapacityInBytes", [900.0, 1800.0, 3600.0, 7200.0]),
        ("UsedCapacityInPercent", [90.0, 90.0, 90.0, 90.0]),
        ("TotalAvailableCapacityInBytes", [1500.0]),
        ("TotalAvailableCapacityInPercent", [10.0]),
        ("TotalUsedCapacityInBytes", [13500.0]),
        ("TotalUsedCapacityInPercent", [90.0]),
    ],
)
async def test_each_metric_follows_from_the_capacity(fixed: Client, metric: str, expected: list[float]) -> None:
    data = await ask(fixed, metric, offsetAheadOfCurrentTime=1)
    assert values(data) == expected
    assert all(isinstance(value, float) for value in values(data))


async def test_points_have_the_labels_of_their_storage_and_totals_have_none(fixed: Client) -> None:
    data = await ask(fixed, "UsedCapacityInBytes", offsetAheadOfCurrentTime=1)
    types = [IMAGE_STORE] * 3 + ["SftpBackupStorage"]
    expected = [
        {"BackupStorageUuid": uuid, "BackupStorageType": kind}
        for uuid, kind in zip((B1, B2, B3, B4), types, strict=True)
    ]
    assert [point["labels"] for point in data] == expected
    [total] = await ask(fixed, "TotalUsedCapacityInBytes", offsetAheadOfCurrentTime=1)
    assert total["labels"] == {}
    assert list(total) == ["value", "time", "labels"]


@rows(
    ("labels", "expected"),
    [
        ([f"BackupStorageUuid={B2}"], [200.0]),
        ([f"BackupStorageUuid= {B2}"], [200.0]),
        ([f"BackupStorageUuid=~{B1}|{B3}"], [100.0, 400.0]),
        ([f"BackupStorageUuid=~{B3[:2]}.*"], [400.0]),
        (["BackupStorageType=SftpBackupStorage"], [800.0]),
        (["BackupStorageType=~.*BackupStorage"], [100.0, 200.0, 400.0, 800.0]),
        ([f"BackupStorageUuid=~{B1}|{B4}", f"BackupStorageType={IMAGE_STORE}"], [100.0]),
        (["BackupStorageUuid=nothing"], []),
        (["BackupStorageUuid="], []),
    ],
)
async def test_labels_choose_the_storages(fixed: Client, labels: list[str], expected: list[float]) -> None:
    data = await ask(fixed, "AvailableCapacityInBytes", *labels, offsetAheadOfCurrentTime=1)
    assert values(data) == expected


@pytest.mark.imagestore_lab(hosts=2, ping_interval=10, clock="virtual")
async def test_the_capacity_of_a_disk_that_fills_up_changes_at_each_measurement(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    clock, disk = imagestore_lab.clock, imagestore_hosts["imagestore-1"].disk
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    other = await imagestore_lab.wait_for("imagestore-2", "Connected")
    begin = int(clock.time())
    steps: list[tuple[float, int]] = [(0, storage.available)]
    with imagestore_lab.node.events.subscribe() as events:
        for _ in range(4):
            disk.used += 2**30
            event = await events.get()
            assert event.path == CAPACITY_CHANGED
            assert event.content["availableCapacity"] == disk.available
            steps.append((event.time, disk.available))
            await clock.sleep(23)
    end = int(clock.time())
    label = f"BackupStorageUuid={storage.uuid}"
    for period in (1, 7, 60):
        times = range(begin + 1, end + 1, period)
        expected = [next(value for since, value in reversed(steps) if since <= time) for time in times]
        span = {"startTime": begin + 1, "endTime": end, "period": period}
        data = await ask(imagestore_client, "AvailableCapacityInBytes", label, **span)
        assert [(point["time"], point["value"]) for point in data] == list(zip(times, expected, strict=True))
        whole = await ask(imagestore_client, "TotalAvailableCapacityInBytes", **span)
        assert values(whole) == [value + other.available for value in expected]
    percent = await ask(imagestore_client, "UsedCapacityInPercent", label, offsetAheadOfCurrentTime=1)
    assert values(percent) == [pytest.approx(100 * (storage.total - disk.available) / storage.total)]


@pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual")
async def test_there_are_no_points_before_the_first_measurement_or_in_the_future(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    await imagestore_lab.clock.sleep(30.5)
    now = int(imagestore_lab.clock.time())
    begin = now - 30
    span = {"startTime": begin - 50, "endTime": now + 1000, "period": 10}
    data = await ask(imagestore_client, "UsedCapacityInBytes", **span)
    assert [point["time"] - begin for point in data] in ([0, 10, 20, 30], [10, 20, 30])
    assert await ask(imagestore_client, "UsedCapacityInBytes", startTime=now + 5) == []


async def test_the_default_time_is_the_last_minute(fixed: Client) -> None:
    label = f"BackupStorageUuid={B1}"
    data = await ask(fixed, "UsedCapacityInBytes", label)
    times = [point["time"] for point in data]
    assert [time - times[0] for time in times] == [0, 10, 20, 30, 40, 50, 60]
    hour = await ask(fixed, "UsedCapacityInBytes", label, offsetAheadOfCurrentTime=36000, startTime=1, endTime=2)
    assert len(hour) == 361
    at = await ask(fixed, "UsedCapacityInBytes", label, startTime=1000, endTime=1600, period=300)
    assert [point["time"] for point in at] == [1000, 1300, 1600]


@rows(
    ("query", "code", "details"),
    [
        ([("metricName", "UsedCapacityInBytes")], "SYS.1007", "field[namespace]"),
        ([("namespace", NAMESPACE)], "SYS.1007", "field[metricName]"),
        (
            [("namespace", "ZStack/VM"), ("metricName", "CPUIdleUtilization")],
            "SYS.1007",
            "namespace[ZStack/VM] has no metrics here, only ZStack/BackupStorage has",
        ),
        (
            [("namespace", NAMESPACE), ("metricName", "CPUIdleUtilization")],
            "SYS.1007",
            "metric[CPUIdleUtilization] is not measured in namespace[ZStack/BackupStorage], which has Available",
        ),
        ([("labels", "BackupStorageUuid")], "SYS.1007", "label[BackupStorageUuid] must be NAME=VALUE"),
        ([("labels", "Uuid=1")], "SYS.1007", "metric[UsedCapacityInBytes] has no label[Uuid], it has BackupStorage"),
        ([("labels", "BackupStorageUuid=~(a+)+$")], "SYS.1007", "label[BackupStorageUuid=~(a+)+$]: a pattern may have"),
        ([("functions", "top(num=5)")], "SYS.1014", "not emulated: functions of APIGetMetricDataMsg"),
        ([("valueConditions", "value>5")], "SYS.1014", "not emulated: valueConditions of APIGetMetricDataMsg"),
        ([("startTime", "9"), ("endTime", "8")], "SYS.1007", "startTime[9] is later than endTime[8]"),
        ([("startTime", "-1")], "SYS.1007", "field[startTime] must be in range of [0, "),
        ([("startTime", "0"), ("period", "1")], "SYS.1007", "points are more than the 11000 of a series"),
        (
            [("offsetAheadOfCurrentTime", "10999"), ("period", "1"), ("labels", f"BackupStorageUuid=~{B1}.*")],
            "",
            "",
        ),
    ],
)
async def test_an_invalid_request_is_refused(fixed: Client, query: Pairs, code: str, details: str) -> None:
    named = {name for name, _ in query}
    if not named & {"namespace", "metricName"}:
        query = [("namespace", NAMESPACE), ("metricName", "UsedCapacityInBytes"), *query]
    answer = await fixed.request("GET", PATH, query=query)
    if not code:
        assert answer.status == 200, answer.text
        return
    assert (answer.status, answer.body["error"]["code"]) == (503, code)
    assert details in answer.body["error"]["details"]


async def test_a_request_for_too_many_points_is_refused(fixed: Client) -> None:
    for number in range(6):
        values = {"name": "sim", "url": "/s", "totalCapacity": 10, "availableCapacity": number}
        await fixed.call("POST", "/backup-storage/simulators", {"params": values})
    with pytest.raises(CallFailed) as caught:
        await ask(fixed, "UsedCapacityInBytes", offsetAheadOfCurrentTime=10_999, period=1)
    assert "points of each of 10 backup storages are more than 100000" in caught.value.error["details"]


async def test_the_metrics_are_listed_with_their_labels(fixed: Client) -> None:
    metrics = (await fixed.call("GET", f"{PATH}/meta-data"))["metrics"]
    assert [one["name"] for one in metrics] == [
        f"{total}{what}CapacityIn{unit}"
        for what in ("Available", "Used")
        for unit in ("Bytes", "Percent")
        for total in ("", "Total")
    ]
    assert metrics[0] == {
        "namespace": NAMESPACE,
        "name": "AvailableCapacityInBytes",
        "description": "AvailableCapacityInBytes",
        "driver": "PrometheusDatabaseDriver",
        "labelNames": ["BackupStorageUuid", "BackupStorageType"],
    }
    assert metrics[1]["labelNames"] == []
    query = [("namespace", NAMESPACE), ("name", "UsedCapacityInBytes")]
    assert len((await fixed.call("GET", f"{PATH}/meta-data", query=query))["metrics"]) == 1
    query = [("namespace", "ZStack/VM")]
    assert (await fixed.call("GET", f"{PATH}/meta-data", query=query))["metrics"] == []


async def test_the_legacy_messages_answer_the_same(fixed: Client) -> None:
    fields = {
        "namespace": NAMESPACE,
        "metricName": "AvailableCapacityInBytes",
        "startTime": 1000,
        "endTime": "1060",
        "period": 60,
        "labels": [f"BackupStorageUuid={B1}"],
        "session": {"uuid": fixed.session_uuid},
    }
    found = await legacy(fixed, "GetMetricData", fields)
    labels = {"BackupStorageUuid": B1, "BackupStorageType": IMAGE_STORE}
    assert found == {
        "data": [{"value": 100.0, "time": time, "labels": labels} for time in (1000, 1060)],
        "success": True,
    }
    found = await legacy(fixed, "GetMetricData", {**fields, "namespace": "ZStack/VM"})
    assert (found["success"], found["error"]["code"]) == (False, "SYS.1007")
    found = await legacy(fixed, "GetAllMetricMetadata", {"session": fields["session"]})
    assert len(found["metrics"]) == 8


async def legacy(client: Client, api: str, fields: Json) -> Json:
    body = {f"org.zstack.zwatch.api.API{api}Msg": fields}
    answer = (await client.request("POST", f"{client.url}/zstack/api", body)).body
    reply: Json = json.loads(answer["result"])[f"org.zstack.zwatch.api.API{api}Reply"]
    return reply


async def test_zql_returns_metrics_with_the_storages_that_it_selects(fixed: Client) -> None:
    block = "zwatch{{resultName='{}', metricName='{}', offsetAheadOfCurrentTime=1, period=10}}".format
    used, total = block("used", "UsedCapacityInBytes"), block("all", "TotalUsedCapacityInBytes")
    for what, returned, expected in (
        (f"backupstorage.name where uuid='{B1}'", used, {"used": [900.0]}),
        (f"backupstorage where uuid in ('{B1}','{B3}')", f"total, {used}", {"used": [900.0, 3600.0]}),
        ("backupstorage where name='none'", used, {"used": []}),
        ("zone", used, {"used": []}),
        ("backupstorage", f"{total}, foo{{x}}", {"all": [13500.0]}),
    ):
        zql = f"query {what} return with ({returned})"
        [result] = (await fixed.call("GET", "/zql", query=[("zql", zql)]))["results"]
        assert {name: values(points) for name, points in result["returnWith"].items()} == expected
        assert ("total" in result) == ("total," in returned)
    for wrong, text in (("metricName='x'", "is not measured"), ("functions='top(num=5)'", "not emulated: functions")):
        zql = f"query backupstorage return with (zwatch{{metricName='UsedCapacityInBytes',{wrong}}})"
        with pytest.raises(CallFailed, match=text):
            await fixed.call("GET", "/zql", query=[("zql", zql)])


@rows(
    ("members", "error"),
    [
        ("period=" + "9" * 19, "period[9999999999999999999] of zwatch is more than 2147483647"),
        ("period=2147483648", "period[2147483648] of zwatch is more than 2147483647"),
        ("startTime=" + "9" * 5000, f"startTime[{'9' * 80}] of zwatch is more than 9223372036854775807"),
        ("labels='BackupStorageType=~" + "|".join(f"{number}.*" for number in range(101)) + "'", "101 alternatives"),
        ("labels='BackupStorageType=~" + "|".join(map(str, range(10_000))) + "'", ""),
        ("labels='BackupStorageType=~" + ".*x" * 20_000 + "'", ""),
        ("a" * 60_000, ""),
        ("a," * 30_000, ""),
    ],
)
async def test_a_block_of_any_length_and_numbers_of_any_size_take_no_time(
    fixed: Client, members: str, error: str
) -> None:
    zql = f"query backupstorage return with (zwatch{{metricName='UsedCapacityInBytes',{members}}})"
    message = {"zql": zql, "session": {"uuid": fixed.session_uuid}}
    async with measuring_stalls() as stalls:
        body = {"org.zstack.query.APIZQLQueryMsg": message}
        answer = (await fixed.request("POST", f"{fixed.url}/zstack/api", body)).body
    [reply] = json.loads(answer["result"]).values()
    assert stalls.longest < 0.3
    assert reply["success"] is not bool(error)
    assert error in reply.get("error", {}).get("details", "")
