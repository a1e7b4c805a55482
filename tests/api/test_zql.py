"""ZStack's query language as text, over the worked data set (query-semantics 13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from rows import rows

Z1, Z2 = "a1000000000000000000000000000001", "a2000000000000000000000000000002"
DATA = Path(__file__).parent.parent / "query" / "records.yaml"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("zql")
    node = ManagementNode(Settings(port=0, database=str(folder / "node.db"), bootstrap=DATA))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


async def ask(client: Client, zql: str) -> list[Json]:
    results: list[Json] = (await client.call("GET", "/zql", query=[("zql", zql)]))["results"]
    return results


@rows(
    ("zql", "names"),
    [
        ("query backupstorage", ["imagestore-1", "ImageStore_2", "backup%3", "sftp-1"]),
        ("query BackupStorage where name = 'IMAGESTORE-1'", ["imagestore-1"]),
        ("query imagestorebackupstorage where status = 'Connected' and sshPort > 22", ["backup%3"]),
        ("query backupstorage where name='backup%3' or name='sftp-1' and totalCapacity>3000", ["backup%3", "sftp-1"]),
        ("query backupstorage where (name='backup%3' or name='sftp-1') and totalCapacity>3000", ["sftp-1"]),
        (
            "query backupstorage where uuid in (query backupstoragezoneref.backupStorageUuid where zone.name='zone2')",
            ["ImageStore_2", "sftp-1"],
        ),
        (
            "query backupstorage where attachedZoneUuids in (query zone.uuid where name='Zone1')",
            ["imagestore-1", "ImageStore_2"],
        ),
        ("query backupstorage where uuid=(query systemtag.resourceUuid where tag='remote')", ["imagestore-1"]),
        ("query backupstorage where uuid not in (query systemtag.resourceUuid)", ["backup%3", "sftp-1"]),
        (f"query backupstorage where attachedZoneUuids has ('{Z1}','{Z2}')", ["ImageStore_2"]),
        (f"query backupstorage where zoneRef.zoneUuid has ('{Z1}','{Z2}')", ["ImageStore_2"]),
        (f"query backupstorage where attachedZoneUuids not has ('{Z1}')", ["sftp-1"]),
        ("query backupstorage where __systemTag__ has ('remote','allowbackup')", ["imagestore-1"]),
        ("query backupstorage where __systemTag__ not has ('remote')", ["ImageStore_2", "backup%3", "sftp-1"]),
        ("query backupstorage restrict by (zone.name='zone2')", ["ImageStore_2", "sftp-1"]),
        ("query zone restrict by (backupstorage.name='sftp-1')", ["zone2"]),
        ("query backupstorage restrict by (cluster.name='x')", []),
        ("query backupstorage where name=0 and totalCapacity='1e3'", ["imagestore-1"]),
        ("query backupstorage where totalCapacity in (1000,'2000')", ["imagestore-1", "ImageStore_2"]),
        ("query zone where isDefault=false and zone.createDate=zone.lastOpDate", ["zone2", "zone3"]),
        ("query zone where name='it''s'", []),
        ("query zone where name='Zo\\ne1'", []),
        ("query zone where name='Zone\\1'", ["Zone1"]),
        ("query vminstance where zone.name='x'", []),
        ("query backupstorage where type in ('SftpBackupStorage', 'Ceph')", ["sftp-1"]),
        ("query backupstorage where zone.name != 'Zone1' order by name desc", ["sftp-1", "ImageStore_2"]),
        ("query backupstorage where description is null", ["ImageStore_2"]),
        ("query backupstorage where description is not null limit 1 offset 1", ["backup%3"]),
        ("query backupstorage where __systemTag__ not in ('remote', 'allowbackup')", ["backup%3", "sftp-1"]),
        ("query backupstorage where name not like '%store%' order by status asc,name desc", ["sftp-1", "backup%3"]),
        ("query zone where isDefault = true", ["Zone1"]),
        ("query backupstorage limit 0", []),
    ],
)
async def test_a_query_selects_these_rows(client: Client, zql: str, names: list[str]) -> None:
    [result] = await ask(client, zql)
    assert list(result) == ["inventories"]
    assert [one["name"] for one in result["inventories"]] == names


async def test_several_queries_are_answered_in_order(client: Client) -> None:
    results = await ask(
        client,
        "query zone.name,state where state='Enabled' return with (total) order by name asc limit 1 named as 'zones';"
        " count backupstorage where state = 'Enabled';",
    )
    assert results == [
        {"inventories": [{"name": "Zone1", "state": "Enabled", "isDefault": False}], "total": 2, "name": "zones"},
        {"total": 3},
    ]


@rows(
    ("zql", "result"),
    [
        ("sum backupstorage.totalCapacity by state", {"inventories": [["Disabled", 3000], ["Enabled", 7000]]}),
        (
            "sum backupstorage.totalCapacity,name by state order by state desc named as 's'",
            {"inventories": [["Enabled", 7000, "0.0"], ["Disabled", 3000, "0.0"]], "name": "s"},
        ),
        (
            "count backupstorage group by state",
            {"inventoryCounts": [[{"state": "Disabled"}, 1], [{"state": "Enabled"}, 3]], "total": 4},
        ),
        (
            "count backupstorage group by state order by groupCount desc limit 1",
            {"inventoryCounts": [[{"state": "Enabled"}, 3]], "total": 4},
        ),
        ("count backupstorage where name='x' group by state", {"total": 0}),
        ("count distinct(backupstorage.state)", {"total": 2}),
        ("query backupstorage.state group by state", {"inventories": [{"state": "Disabled"}, {"state": "Enabled"}]}),
        (
            "query backupstorage group by type,state",
            {
                "inventories": [
                    {"type": "ImageStoreBackupStorage", "state": "Disabled"},
                    {"type": "ImageStoreBackupStorage", "state": "Enabled"},
                    {"type": "SftpBackupStorage", "state": "Enabled"},
                ]
            },
        ),
        (
            "query max(backupstorage.totalCapacity)",
            {"inventoryAggregateFunctions": [[{"totalCapacity": 4000}, 4000]]},
        ),
        (
            "query distinct(zone.state)",
            {"inventories": [{"state": "Enabled", "isDefault": False}, {"state": "Disabled", "isDefault": False}]},
        ),
        ("query host", {"inventories": []}),
        ("count volume where size>1", {"total": 0}),
        ("query vminstance.name return with (total) order by name asc", {"inventories": [], "total": 0}),
    ],
)
async def test_rows_are_grouped_counted_and_summed(client: Client, zql: str, result: Json) -> None:
    [found] = await ask(client, zql)
    assert found == result


WRAPPED = (
    "unhandled exception happened when calling private void org.zstack.query.QueryFacadeImpl.1.doCall("
    "org.zstack.header.core.ReturnValueCompletion), "
)


@rows(
    ("zql", "details"),
    [
        ("", "begin 0, end -1, length 0"),
        (
            "select * from zone",
            "error mismatched input 'select' expecting {'query', 'count', 'sum', 'search'} at line 1:0,",
        ),
        ("query zone where name", "error no viable alternative at input 'name' at line 1:21, where nam"),
        ("query zone limit many", "error mismatched input 'many' expecting INT at line 1:17, one limit man"),
        ("query dragon", "cannot find inventory with name[dragon]"),
        (
            "query zone where foo = 1",
            "inventory class[class org.zstack.header.zone.ZoneInventory] not having field[foo]",
        ),
        ("query zone where cluster.foo = 1", "inventory class[class org.zstack.header.cluster.ClusterInventory] not"),
        (
            "query vminstance where foo = 1",
            "inventory class[class org.zstack.header.vm.VmInstanceInventory] not having",
        ),
        ("query zone where uuid in (query zone.foo)", "inventory[${selfInventoryClass}] has no field[foo]"),
        ("query zone.uuid group by foo", "inventory[${selfInventoryClass}] has no field[foo]"),
        ("query zone limit -1", "max-results cannot be negative"),
        ("query zone where name='\\'", "org.hibernate.exception.SQLGrammarException: could not extract ResultSet"),
        ("query zone where name='😀'", "org.hibernate.exception.GenericJDBCException: could not extract ResultSet"),
        ("query zone.name zone.uuid", "null"),
        (
            'query zone where name="a"',
            "org.hibernate.QueryException: unexpected char: '\"' [SELECT ZoneInventory FROM"
            ' org.zstack.header.zone.ZoneVO ZoneInventory WHERE ZoneInventory.name = "a"]',
        ),
        (
            "query zone.name where name=",
            "org.hibernate.hql.internal.ast.QuerySyntaxException: unexpected token: null near line 1, column 89"
            " [SELECT name FROM org.zstack.header.zone.ZoneVO ZoneInventory WHERE ZoneInventory.name = ]",
        ),
        (
            "query zone where name= and state='x'",
            "org.hibernate.hql.internal.ast.QuerySyntaxException: unexpected token: AND near line 1, column ",
        ),
        (
            "query zone.name where name has ('a')",
            "org.hibernate.hql.internal.ast.QuerySyntaxException: unexpected token: has near line 1, column 87 [",
        ),
        (
            "query zone.name order by backupstorage.name asc",
            "org.hibernate.hql.internal.ast.QuerySyntaxException: Invalid path: 'BackupStorageInventory.name' [SELECT",
        ),
        (
            "query backupstorage.attachedZoneUuids where zone.cluster.name='a' and zone.name='b'",
            "org.hibernate.QueryException: No data type for node: org.hibernate.hql.internal.ast.tree.IdentNode \n"
            " \\-[IDENT] IdentNode: 'attachedZoneUuids' {originalText=attachedZoneUuids}\n"
            " [SELECT attachedZoneUuids FROM org.zstack.header.storage.backup.BackupStorageVO BackupStorageInventory"
            " WHERE (BackupStorageInventory.uuid IN (SELECT BackupStorageZoneRefInventory.backupStorageUuid FROM"
            " org.zstack.header.storage.backup.BackupStorageZoneRefVO BackupStorageZoneRefInventory WHERE"
            " BackupStorageZoneRefInventory.zoneUuid IN (SELECT ZoneInventory.uuid FROM"
            " org.zstack.header.zone.ZoneVO ZoneInventory WHERE ZoneInventory.uuid IN (SELECT"
            " ClusterInventory.zoneUuid FROM org.zstack.header.cluster.ClusterVO ClusterInventory WHERE"
            " ClusterInventory.name = 'a'))) AND BackupStorageInventory.uuid IN (SELECT",
        ),
    ],
)
async def test_a_text_that_is_no_query_is_an_internal_error(client: Client, zql: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await ask(client, zql)
    assert (caught.value.status, caught.value.code) == (503, "SYS.1000")
    assert caught.value.error["details"].startswith(WRAPPED + details)


@rows(
    ("zql", "code", "details"),
    [
        ("query zone where state=Enabled", "SYS.1006", "fieldList is empty, cannot get columnName"),
        ("query zone where name=null", "SYS.1006", "fieldList is empty, cannot get columnName"),
        ("search 'x' from zone", "SEARCH.1000", "search module disabled"),
    ],
)
async def test_an_error_of_zstack_s_own_has_a_code(client: Client, zql: str, code: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await ask(client, zql)
    assert (caught.value.code, caught.value.error["details"]) == (code, details)


async def test_a_missing_text_is_a_null_pointer(client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await client.call("GET", "/zql")
    assert caught.value.error["details"] == f"{WRAPPED}null"
