"""Sums and other results that are too large for a number of the database's, or of Java's, on either kind of store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
LARGEST = 2**63 - 1
STORAGE = "b" * 31 + "a"
SIZES = {"a": (LARGEST, LARGEST), "b": (1, 0), "c": (2**62, 2**62 - 5)}
BROKEN = "org.hibernate.exception.DataException: could not {}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(store_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    common = {"tracked": False, "status": "Connected"}
    storages = [
        {"uuid": STORAGE[:-1] + name, "name": name, "hostname": name, "url": f"/{name}", "state": state,
         "totalCapacity": total, "availableCapacity": available, **common}
        for (name, (total, available)), state in zip(SIZES.items(), ("Enabled", "Enabled", "Disabled"), strict=True)
    ]  # fmt: skip
    refs = [{"backupStorageUuid": STORAGE, "installPath": "/i"}]
    images = [{"name": name, "actualSize": LARGEST, "backupStorageRefs": refs} for name in "ij"]
    data: Path = tmp_path_factory.mktemp("large") / "records.yaml"
    data.write_text(json.dumps({"backupStorages": storages, "images": images}))
    node = ManagementNode(Settings(port=0, bootstrap=data, **store_settings))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


async def ask(client: Client, zql: str) -> Any:
    return (await client.call("GET", "/zql", query=[("zql", zql)]))["results"][0]


@rows(
    ("zql", "expected"),
    [
        (
            "sum backupstorage.totalCapacity by name where name!='a'",
            [["b", 1], ["c", 2**62]],
        ),
        ("sum backupstorage.totalCapacity,availableCapacity by name", [[name, *two] for name, two in SIZES.items()]),
        ("sum backupstorage.totalCapacity by state where name='c' or name='b'", [["Disabled", 2**62], ["Enabled", 1]]),
        ("sum backupstorage.totalCapacity by type where name!='a'", [["ImageStoreBackupStorage", 2**62 + 1]]),
        ("sum backupstorage.totalCapacity by type where name='x'", []),
        ("sum backupstorage.totalCapacity by state order by state asc limit 1", [["Disabled", 2**62]]),
    ],
)
async def test_a_sum_that_fits_a_long_is_exact(client: Client, zql: str, expected: list[Any]) -> None:
    assert (await ask(client, zql))["inventories"] == expected


@rows("field", ["totalCapacity", "availableCapacity", "totalCapacity,sshPort"])
async def test_a_larger_sum_is_an_error_of_the_row(client: Client, field: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await ask(client, f"sum imagestorebackupstorage.{field} by type")
    error = failed.value.error
    assert (error["code"], str(error["details"]).partition("), ")[2]) == ("SYS.1000", BROKEN.format("execute query"))


async def test_the_average_of_large_numbers_is_a_double(client: Client) -> None:
    found = await ask(client, "query avg(backupstorage.totalCapacity)")
    [[_, average]] = found["inventoryAggregateFunctions"]
    assert average == pytest.approx((LARGEST + 1 + 2**62) / 3)


@rows(
    ("sort", "names"),
    [
        ("totalCapacity-availableCapacity", ["a", "b", "c"]),
        ("-totalCapacity%sshPort", ["a", "c", "b"]),
        ("availableCapacity/totalCapacity", ["b", "a", "c"]),
        ("sshPort*sshPort+sshPort asc,name", ["a", "b", "c"]),
        ("sshPort%availableCapacity asc,name", ["b", "a", "c"]),  # b has 0, and so NULL
    ],
)
async def test_arithmetic_that_fits_sorts(client: Client, sort: str, names: list[str]) -> None:
    found = await client.call("GET", "/backup-storage/image-store", query=[("sort", sort)])
    assert [one["name"] for one in found["inventories"]] == names


@rows("sort", ["totalCapacity*availableCapacity", "totalCapacity+totalCapacity", "-totalCapacity*sshPort"])
async def test_arithmetic_that_does_not_fit_is_an_error_of_the_database(client: Client, sort: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.call("GET", "/backup-storage/image-store", query=[("sort", sort)])
    expected = f"javax.persistence.PersistenceException: {BROKEN.format('extract ResultSet')}"
    assert failed.value.error["details"] == expected


async def test_it_holds_for_a_query_of_any_work(client: Client) -> None:
    many = "|".join("x" * 20 for _ in range(20))  # too much to be read on the event loop
    sums = f"sum backupstorage.totalCapacity by type where name!='{many}'"
    with pytest.raises(CallFailed, match="DataException: could not execute query"):
        await ask(client, sums)
    query = [("q", f"name!={many}"), ("sort", "totalCapacity*totalCapacity")]
    with pytest.raises(CallFailed, match="DataException: could not extract ResultSet"):
        await client.call("GET", "/backup-storage/image-store", query=query)


async def test_the_sizes_of_images_may_be_as_large(client: Client) -> None:
    usages = (await client.call("GET", "/accounts/quota/36c27e8ff05c4780bf6d2fa65700f22e/usages"))["usages"]
    assert next(one["used"] for one in usages if one["name"] == "image.size") == LARGEST  # as much as a long holds
    answer = await client.request("GET", f"{client.url}/metrics")
    [line] = [one for one in answer.text.splitlines() if one.startswith("imagestore_sim_backup_storage_image_bytes{")]
    assert float(line.rpartition(" ")[2]) == 2.0 * LARGEST
