"""The worked cases of query-semantics 13, and more that follow its rules, each sent over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

BS, IS, ZONES = "/backup-storage", "/backup-storage/image-store", "/zones"
UUIDS = {
    "B1": "b1000000000000000000000000000001",
    "B2": "b2000000000000000000000000000002",
    "B3": "b3000000000000000000000000000003",
    "B4": "b4000000000000000000000000000004",
    "A1": "a1000000000000000000000000000001",
    "A2": "a2000000000000000000000000000002",
    "A3": "a3000000000000000000000000000003",
}
NAMES = {uuid: name for name, uuid in UUIDS.items()}
Z1, Z2 = UUIDS["A1"], UUIDS["A2"]
ALL = "B1 B2 B3 B4"
RUNTIME = "org.zstack.header.exception.CloudRuntimeException: "
PARSE = "org.antlr.v4.runtime.misc.ParseCancellationException: error "
GENERIC = "org.zstack.header.storage.backup.BackupStorageInventory"
IMAGE_STORE = "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory"
OPERATORS = "[[!=, >=, <=, !?=, !~=, ~=, ?=, =, >, <, is null, not null]]"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(store_settings: dict[str, Any]) -> AsyncIterator[Client]:
    data = Path(__file__).with_name("records.yaml")
    node = ManagementNode(Settings(port=0, bootstrap=data, **store_settings))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def pairs(text: str) -> list[tuple[str, str]]:
    """`q=a & q=b & limit=1` as pairs; only ` & ` parts them, so that values may hold anything else."""
    return [(name, value) for name, _, value in (one.partition("=") for one in text.split(" & "))] if text else []


@rows(
    ("path", "query", "expected"),
    [
        (BS, "", ALL),
        (IS, "", "B1 B2 B3"),
        (f"{IS}/{UUIDS['B1']}", "", "B1"),
        (f"{IS}/{UUIDS['B4']}", "", ""),
        (f"{BS}/{UUIDS['B4']}", "", "B4"),
        (f"{BS}/nosuch", "limit=abc & q=junk", ""),
        # Text (3): case, accents, trailing spaces; values untrimmed
        (IS, "q=name=IMAGESTORE-1", "B1"),
        (IS, "q=name=imagestore-1  ", "B1"),
        (IS, "q=name= imagestore-1", ""),
        (IS, "q= name =imagestore-1", "B1"),
        (IS, "q=name==imagestore-1", "B1"),
        (IS, "q=name===imagestore-1", "B1"),
        (IS, "q=name=ïmàgéstore-1", "B1"),
        (IS, "q=name!=imagestore-1", "B2 B3"),
        (IS, "q=name!=IMAGESTORE-1 ", "B2 B3"),
        (IS, "q=name>a", "B1 B2 B3"),
        (IS, "q=name>imagestore-1", "B2"),
        (IS, "q=name>=imagestore-1", "B1 B2"),
        (IS, "q=name<imagestore-1", "B3"),
        (IS, "q=name<=IMAGESTORE-1", "B1 B3"),
        (IS, "q=name=", ""),
        # NULL and empty
        (IS, "q=description=", "B3"),
        (IS, "q=description=null", ""),
        (IS, "q=description!=null", "B1 B3"),
        (IS, "q=description is null", "B2"),
        (IS, "q=descriptionis null", "B2"),
        (IS, "q=description is nullable", "B2"),
        (IS, "q=description not null", "B1 B3"),
        (IS, "q=description!=x", "B1 B3"),
        # LIKE
        (IS, "q=name~=%store%", "B1 B2"),
        (IS, "q=name~=store", ""),
        (IS, "q=name~=IMAGE%", "B1 B2"),
        (IS, "q=name~=imagestore_2", "B2"),
        (IS, r"q=name~=imagestore\_2", "B2"),
        (IS, r"q=name~=imagestore\-1", "B1"),
        (IS, r"q=name~=%\%%", "B3"),
        (IS, "q=name~=imagestore-1 ", ""),
        (IS, "q=name~=%", "B1 B2 B3"),
        (IS, "q=name~=____________", "B1 B2"),
        (IS, "q=name!~=%store%", "B3"),
        (IS, "q=description!~=zzz", "B1 B3"),
        (IS, "q=name~=", ""),
        (IS, "q=description~=", "B3"),
        # IN
        (IS, f"q=uuid?={UUIDS['B1']}, {UUIDS['B2']}", "B1"),
        (IS, f"q=uuid?={UUIDS['B1']},{UUIDS['B2']}", "B1 B2"),
        (IS, f"q=uuid?={UUIDS['B1'].upper()}", "B1"),
        (IS, "q=uuid?=", ""),
        (IS, "q=uuid!?=", "B1 B2 B3"),
        (IS, "q=description?=,first", "B1 B3"),
        (IS, "q=description!?=first", "B3"),
        (BS, "q=description?=a,b", ""),
        # Numbers: what a text begins with
        (BS, "q=totalCapacity>2000", "B3 B4"),
        (BS, "q=totalCapacity>=2000", "B2 B3 B4"),
        (BS, "q=totalCapacity<2000", "B1"),
        (BS, "q=totalCapacity<=2000", "B1 B2"),
        (BS, "q=totalCapacity~=1%", "B1"),
        (BS, "q=totalCapacity!~=%0", ""),
        (BS, "q=totalCapacity?=1000,4000", "B1 B4"),
        (BS, "q=totalCapacity?=1e3, 4000.0 x", "B1 B4"),
        (BS, "q=totalCapacity=01000", "B1"),
        (BS, "q=totalCapacity=+1000", "B1"),
        (BS, "q=totalCapacity=1000.0", "B1"),
        (BS, "q=totalCapacity=1e3", "B1"),
        (BS, "q=totalCapacity= 1000 ", "B1"),
        (BS, "q=totalCapacity=1000abc", "B1"),
        (BS, "q=totalCapacity=1,000", ""),
        (BS, "q=totalCapacity=abc", ""),
        (BS, "q=totalCapacity>abc", ALL),
        (BS, "q=totalCapacity>0x16", ALL),
        (BS, "q=totalCapacity>1000.5", "B2 B3 B4"),
        (BS, "q=totalCapacity<1e400", ALL),
        (BS, "q=totalCapacity>-99999999999999999999", ALL),
        (BS, "q=totalCapacity!=null", ALL),
        (BS, "q=totalCapacity is null", ""),
        (IS, "q=sshPort=22", "B1 B2"),
        (IS, "q=sshPort!=22", "B3"),
        (IS, "q=sshPort>=", "B1 B2 B3"),
        (BS, "q=status?=Connected,Disconnected & q=state=Enabled", "B1 B2 B4"),
        (BS, "q=state=Bogus", ""),
        (BS, "q=name=a & q=name=b", ""),
        # Moments
        (BS, "q=createDate>2017-11-14 22:20:57", "B2 B3 B4"),
        (BS, "q=createDate>=2017-11-14 22:20:57", ALL),
        (BS, "q=createDate=2017-11-14 22:20:57.0", "B1"),
        (BS, "q=createDate=2017-11-14 22:20:57.5", ""),
        (BS, "q=createDate=2017-11-14T22:20:57", "B1"),
        (BS, "q=createDate=2017-11-14T22:20:57Z", "B1"),
        (BS, "q=createDate=2017-11-14 22:20:57+08:00", "B1"),
        (BS, "q=createDate=2017/11/14 22.20.57", "B1"),
        (BS, "q=createDate=20171114222057", "B1"),
        (BS, "q=createDate=17-11-14 22:20:57", "B1"),
        (BS, "q=createDate=2017-11-15", "B2"),
        (BS, "q=createDate=20180101", "B3"),
        (BS, "q=createDate=2018-06-01 12:00", "B4"),
        (BS, "q=createDate~=2017-11-%", "B1 B2"),
        (BS, "q=createDate?=2017-11-15,2018-01-01 00:00:00", "B2 B3"),
        (BS, "q=createDate=Nov 14, 2017 10:20:57 PM", ""),
        (BS, "q=createDate>Nov 14, 2017 10:20:57 PM", ALL),
        (BS, "q=createDate<yesterday", ""),
        (BS, "q=createDate<=1510698057", ""),
        (BS, "q=createDate!=", ALL),
        (BS, "q=createDate<2017-13-45", ""),
        # attachedZoneUuids: some zone, whatever the operator
        (BS, f"q=attachedZoneUuids={Z1}", "B1 B2"),
        (BS, f"q=attachedZoneUuids?={Z1},{Z2}", "B1 B2 B4"),
        (BS, f"q=attachedZoneUuids!?={Z1},{Z2}", ""),
        (BS, f"q=attachedZoneUuids!={Z1}", "B2 B4"),
        (BS, f"q=attachedZoneUuids={Z1} & q=attachedZoneUuids={Z2}", "B2"),
        (BS, "q=attachedZoneUuids~=a2%", "B2 B4"),
        (BS, "q=attachedZoneUuids is null", ""),
        (BS, "q=attachedZoneUuids not null", "B1 B2 B4"),
        # Nested paths
        (BS, "q=zone.name=zone1", "B1 B2"),
        (BS, "q=uuid like 'b%' or name=x", "B1 B2 B3 B4"),
        (BS, "q=zone.name!=Zone1", "B2 B4"),
        (BS, f"q=zone.uuid={Z2}", "B2 B4"),
        (BS, f"q=zoneRef.zoneUuid={Z2}", "B2 B4"),
        (BS, f"q=zoneRef.backupStorageUuid={UUIDS['B3']}", "B3"),
        (BS, "q=image.name=img1", "B1 B2"),
        (BS, "q=imageRef.status=Deleted", "B2"),
        (BS, "q=image.state!=Enabled", "B3"),
        (BS, f"q=zone.backupStorage.attachedZoneUuids={Z2}", "B1 B2 B4"),
        (BS, "q=zone.backupStorage.zone.name=zone2", "B1 B2 B4"),
        (BS, "q=zone.uuid is null", ""),
        (BS, "q=zone.description is null", "B1 B2"),
        (BS, "q=zone.isDefault=true", "B1 B2"),
        (BS, "q=volumeSnapshot.name=x", ""),
        (ZONES, "q=backupStorage.name=sftp-1", "A2"),
        (ZONES, "q=backupStorage.status!=Connected", "A1 A2"),
        (ZONES, "q=cluster.name=x", ""),
        # Tags: their negation excludes
        (BS, "q=__systemTag__=remote", "B1"),
        (BS, "q=__systemTag__!=remote", "B2 B3 B4"),
        (BS, "q=__systemTag__ is null", ""),
        (BS, "q=__systemTag__ not null", "B1 B2"),
        (BS, "q=__userTag__?=gold,silver", "B3"),
        (IS, "q=__userTag__!~=go%", "B1 B2"),
        (IS, "q=__userTag__!?=gold", "B1 B2"),
        (BS, "q=zone.__userTag__=prod", "B1 B2"),
        (ZONES, "q=backupStorage.__systemTag__!=remote", "A1 A2"),
        (BS, "q=__tagUuid__ not null", ""),
        # The switch of type
        (BS, "q=type=ImageStoreBackupStorage & q=hostname=10.0.0.2", "B2"),
        (BS, "q=type=SftpBackupStorage & q=sshPort=22", "B4"),
        (BS, "q=type=imagestorebackupstorage", "B1 B2 B3"),
        (BS, "q=type=NoSuchType", ""),
        (BS, "q=type?=ImageStoreBackupStorage", "B1 B2 B3"),
        (IS, "q=type=SftpBackupStorage", ""),
        # Truths
        (ZONES, "q=isDefault=true", "A1"),
        (ZONES, "q=isDefault=TRUE", "A1"),
        (ZONES, "q=isDefault=false", "A2 A3"),
        (ZONES, "q=isDefault=1", "A1"),
        (ZONES, "q=isDefault!=true", "A2 A3"),
        (ZONES, "q=isDefault?=true", "A2 A3"),
        (ZONES, "q=isDefault?=1", "A1"),
        (ZONES, "q=isDefault=null", ""),
        (ZONES, "q=isDefault!=null", "A1 A2 A3"),
        (ZONES, "q=isDefault>0", "A1"),
        # What is passed over
        (BS, "groupBy=type", ALL),
        (BS, "groupBy=nosuch & nosuchparam=1 & Q=junk & q1=junk", ALL),
        (BS, "filterName=", ALL),
        (BS, "count=yes", ALL),
        (BS, "limit= 2 ", "B1 B2"),
        (BS, "limit=2 & limit=abc", "B1 B2"),
        (BS, "limit=0", ""),
        (BS, "start=10", ""),
        # What the database would object to is no matter where it is not asked, and no row has to show a field
        (ZONES, "q=isDefault=maybe & limit=0", ""),
        (ZONES, "fields=isDefault & q=name=nosuch", ""),
        (IS, "sort=attachedZoneUuids & limit=0", ""),
    ],
)
async def test_a_query_finds_exactly_these(client: Client, path: str, query: str, expected: str) -> None:
    answer = await client.request("GET", path, query=pairs(query))
    assert answer.status == 200, answer.text
    assert sorted(NAMES[row["uuid"]] for row in answer.body["inventories"]) == expected.split()


@rows(
    ("path", "query", "expected"),
    [
        (IS, "sort=+name", "B3 B1 B2"),
        (IS, "sort=name", "B3 B1 B2"),
        (IS, "sort= name", "B3 B1 B2"),
        (IS, "sort=--name", "B2 B1 B3"),
        (IS, "sort=-createDate", "B3 B2 B1"),
        (IS, "sort=-hostname", "B3 B2 B1"),
        (IS, "sort=description", "B2 B3 B1"),
        (IS, "sort=-description", "B1 B3 B2"),
        (BS, "sort=-totalCapacity & limit=2", "B4 B3"),
        (BS, "sort=totalCapacity & start=1 & limit=2", "B2 B3"),
        (BS, "sort=totalCapacity & start=3", "B4"),
        (BS, "sort=state", "B3 B1 B2 B4"),
        (BS, "sort=status desc,name", "B2 B3 B1 B4"),
        (BS, "sort=availableCapacity/totalCapacity", "B1 B3 B2 B4"),
        (BS, "sort=-(totalCapacity - availableCapacity) * totalCapacity", "B3 B1 B2 B4"),
        (BS, "q=type=SftpBackupStorage & sort=hostname", "B4"),
        (ZONES, "sort=-isDefault & limit=1", "A1"),
        (ZONES, "q=description is null & sort=-name", "A3 A1"),
        (BS, "replyWithCount=true & limit=1 & sort=name", "B3"),
    ],
)
async def test_a_query_finds_these_in_this_order(client: Client, path: str, query: str, expected: str) -> None:
    answer = await client.request("GET", path, query=pairs(query))
    assert answer.status == 200, answer.text
    assert [NAMES[row["uuid"]] for row in answer.body["inventories"]] == expected.split()


@rows(
    ("query", "total"),
    [
        ("count=true", 4),
        ("count=TRUE & limit=0", 4),
        ("q=state=Enabled & count=true & start=5 & limit=1", 3),
        ("q=name=nosuch & count=true", 0),
        ("count=true & replyWithCount=true", 4),
        ("count=true & fields=description", 3),
        ("count=true & fields=uuid,description", 4),
    ],
)
async def test_a_count_is_of_all_that_match(client: Client, query: str, total: int) -> None:
    answer = await client.request("GET", BS, query=pairs(query))
    assert answer.body == {"total": total, "schema": {}}


async def test_a_total_comes_beside_the_rows_and_leaves_out_nulls_of_the_first_field(client: Client) -> None:
    answer = await client.request("GET", BS, query=pairs("limit=0 & replyWithCount=true"))
    assert (answer.body["inventories"], answer.body["total"]) == ([], 4)
    answer = await client.request("GET", IS, query=pairs("fields=description & sort=name & replyWithCount=true"))
    assert answer.body["inventories"] == [{"description": ""}, {"description": "first"}, {}]
    assert answer.body["total"] == 2
    several = "q=__systemTag__?=onlybackup,allowbackup & q=type?=ImageStoreBackupStorage & q=totalCapacity>1500"
    answer = await client.request("GET", BS, query=pairs(f"{several} & q=state=Enabled & replyWithCount=true"))
    assert [NAMES[row["uuid"]] for row in answer.body["inventories"]] == ["B2"]
    assert answer.body["total"] == 1


async def test_rows_are_of_their_own_type_unless_the_query_names_fields(client: Client) -> None:
    answer = await client.request("GET", BS, query=pairs("sort=uuid"))
    sftp = "org.zstack.storage.backup.sftp.SftpBackupStorageInventory"
    assert answer.body["schema"] == {
        "inventories[3]": sftp,
        "inventories[2]": IMAGE_STORE,
        "inventories[1]": IMAGE_STORE,
        "inventories[0]": IMAGE_STORE,
    }
    assert list(answer.body["schema"]) == [f"inventories[{index}]" for index in (3, 2, 1, 0)]
    assert [row["hostname"] for row in answer.body["inventories"]] == [f"10.0.0.{n}" for n in (1, 2, 3, 4)]
    answer = await client.request("GET", BS, query=pairs("fields=name & q=name=sftp-1"))
    assert answer.body == {"inventories": [{"name": "sftp-1"}], "schema": {"inventories[0]": GENERIC}}


async def test_the_primitive_of_a_zone_is_in_every_row(client: Client) -> None:
    answer = await client.request("GET", ZONES, query=pairs("fields=name & q=name=Zone1"))
    assert answer.body["inventories"] == [{"name": "Zone1", "isDefault": False}]


async def test_fields_may_repeat_and_end_in_commas(client: Client) -> None:
    for fields in ("uuid,", "uuid,uuid", " uuid ,"):
        answer = await client.request("GET", IS, query=[("fields", fields), ("q", "name=imagestore-1")])
        assert answer.body["inventories"] == [{"uuid": UUIDS["B1"]}]


@rows(
    ("query", "text"),
    [
        (
            "q=description IS NULL",
            f"The 'description IS NULL' in the parameter[q] doesn't contain any query operator. Valid query operators are {OPERATORS}",
        ),
        (
            "q=name",
            f"The 'name' in the parameter[q] doesn't contain any query operator. Valid query operators are {OPERATORS}",
        ),
        ("q=", f"The '' in the parameter[q] doesn't contain any query operator. Valid query operators are {OPERATORS}"),
        (
            " =junk",
            f"The 'junk' in the parameter[q] doesn't contain any query operator. Valid query operators are {OPERATORS}",
        ),
        ("q==x", "The '=x' in parameter[q] is not a key-value pair split by ="),
        ("q==", "The '=' in parameter[q] is not a key-value pair split by ="),
        ("q=?=x", "The '?=x' in parameter[q] is not a key-value pair split by in"),
        ("q=!~=x", "The '!~=x' in parameter[q] is not a key-value pair split by not like"),
        ("limit=abc", "'limit' must be an integer"),
        ("limit=", "'limit' must be an integer"),
        ("limit=1.5", "'limit' must be an integer"),
        ("limit=2147483648", "'limit' must be an integer"),
        ("start=x", "'start' must be an integer"),
        ("fields=,", "'fields' contains zero field"),
        ("fields=,,", "'fields' contains zero field"),
        ("start=x & limit=y", "'start' must be an integer"),
        (
            "q=junk & limit=y",
            f"The 'junk' in the parameter[q] doesn't contain any query operator. Valid query operators are {OPERATORS}",
        ),
    ],
)
async def test_a_parameter_that_cannot_be_read_is_a_400_in_plain_text(client: Client, query: str, text: str) -> None:
    answer = await client.request("GET", IS, query=pairs(query))
    assert (answer.status, answer.text) == (400, f"Invalid query parameter. {text}")


@rows(
    ("path", "query", "details"),
    [
        (BS, "q=hostname=10.0.0.2", f"{RUNTIME}inventory class[class {GENERIC}] not having field[hostname]"),
        (BS, "q=Name=x", f"{RUNTIME}inventory class[class {GENERIC}] not having field[Name]"),
        (IS, "q=password=x", f"{RUNTIME}inventory class[class {IMAGE_STORE}] not having field[password]"),
        (IS, "q=resourceName=x", f"{RUNTIME}inventory class[class {IMAGE_STORE}] not having field[resourceName]"),
        (BS, "q=zone.foo=x", f"{RUNTIME}inventory class[class org.zstack.header.zone.ZoneInventory] not having field[foo]"),
        (BS, "q=imageRef.id=1", f"{RUNTIME}inventory class[class org.zstack.header.image.ImageBackupStorageRefInventory] not having field[id]"),
        (BS, "q=foo.name=x", f"{RUNTIME}invalid nested query condition[] on class {GENERIC},the expanded target[class {GENERIC}] have no expanded query[foo]"),
        (BS, "q=foo.bar.name=x", f"{RUNTIME}invalid nested query condition[bar] on class {GENERIC},the expanded target[class {GENERIC}] have no expanded query[foo]"),
        (BS, "q=attachedZoneUuids.uuid=x", f"{RUNTIME}invalid nested query condition[] on class {GENERIC},the expanded target[class {GENERIC}] have no expanded query[attachedZoneUuids]"),
        (BS, "q=zone not null", f"{RUNTIME}inventory class[class {GENERIC}] not having field[zone]"),
        (IS, "q=name=a!=b", f"{RUNTIME}inventory class[class {IMAGE_STORE}] not having field[a]"),
        (IS, "q=name=it's", "java.lang.StringIndexOutOfBoundsException: offset 49, count 13, length 61"),
        (IS, "q=na-me=x", f"{PARSE}no viable alternative at input 'na-' at line 1:38,"),
        (IS, "q=na#me=x", f"{PARSE}token recognition error at: '#' at line 1:"),
        (IS, "q=näme=x", f"{PARSE}token recognition error at: 'ä' at line 1:"),
        (IS, "q=limit=x", f"{PARSE}mismatched input 'limit' expecting {{'(', ID}} at line 1:36,"),
        (IS, "q=name.=x", f"{PARSE}no viable alternative at input 'name.=' at line 1:42,"),
        (IS, "q=description is not null", f"{PARSE}no viable alternative at input 'descriptionis' at line 1:48,"),
        (f"{IS}/it's", "", "java.lang.StringIndexOutOfBoundsException: offset "),
        (IS, "sort=name,uuid", f"{PARSE}no viable alternative at input 'name,' at line 1:43, er by name,uuid asc"),
        (IS, "sort=", f"{PARSE}mismatched input 'asc' expecting {{'(', ID}} at line 1:40, order by  asc limit"),
        (IS, "sort=-", f"{PARSE}mismatched input 'desc' expecting {{'(', ID}} at line 1:"),
        (IS, "sort=attachedZoneUuids", "javax.persistence.PersistenceException: org.hibernate.exception.SQLGrammarException: could not extract ResultSet"),
        (IS, "sort=zone.name", "java.lang.IllegalArgumentException: org.hibernate.hql.internal.ast.QuerySyntaxException: Invalid path: 'ZoneInventory.name' [SELECT "),
        (BS, "sort=hostname", "org.zstack.zql.ast.visitors.ZQLError: invalid order by clause, inventory[BackupStorageInventory] doesnt have field[{1}]"),
        (BS, "count=true & sort=foo", "org.zstack.zql.ast.visitors.ZQLError: "),
        (BS, "limit=-1", "java.lang.IllegalArgumentException: max-results cannot be negative"),
        (BS, "start=-1", "java.lang.IllegalArgumentException: first-result value cannot be negative : -1"),
        (BS, "count=true & limit=-1", "java.lang.IllegalArgumentException: max-results cannot be negative"),
        (IS, "fields=foo", f"{RUNTIME}inventory[${{selfInventoryClass}}] has no field[foo]"),
        (IS, "fields=zone.name", f"{RUNTIME}inventory[${{selfInventoryClass}}] has no field[zone]"),
        (BS, "fields=hostname", f"{RUNTIME}inventory[${{selfInventoryClass}}] has no field[hostname]"),
        (IS, "fields=", PARSE),
        (IS, "fields=,name", PARSE),
        (IS, "fields=attachedZoneUuids", "java.lang.IllegalArgumentException: org.hibernate.QueryException: No data type for node: "),
        (ZONES, "fields=isDefault", RUNTIME),
        (ZONES, "q=isDefault=maybe", "javax.persistence.PersistenceException: "),
        (BS, "q=foo=1 & sort=bar & fields=baz", f"{RUNTIME}inventory[${{selfInventoryClass}}] has no field[baz]"),
        (BS, "q=foo=1 & sort=bar", f"{RUNTIME}inventory class[class {GENERIC}] not having field[foo]"),
        (BS, "q=foo=1 & sort=", PARSE),
        (BS, "q=type=ImageStoreBackupStorage & q=foo=1", f"{RUNTIME}inventory class[class {IMAGE_STORE}] not having field[foo]"),
        (BS, "q=type=ImageStoreBackupStorage & q=name=it's", "java.lang.StringIndexOutOfBoundsException: offset 86, count 13, length 98"),
        (BS, "q=__systemTag__~=%ssh%", "java.lang.NullPointerException"),
        (BS, "q=zone.__userTag__?=%s", "java.lang.NullPointerException"),
        (IS, "sort=limit", f"{PARSE}mismatched input 'limit' expecting {{'(', ID}} at line 1:"),
        (IS, "sort=totalCapacity*2", f"{PARSE}mismatched input '2' expecting {{'(', ID}} at line 1:53,"),
        (IS, "sort=foo.name", "java.lang.RuntimeException: cannot find inventory with name[foo]"),
        (BS, "sort=attachedZoneUuids & limit=-1", "java.lang.IllegalArgumentException: max-results cannot be negative"),
        (BS, "fields=attachedZoneUuids & limit=-1", "java.lang.IllegalArgumentException: org.hibernate.QueryException: "),
        (ZONES, "q=isDefault=maybe & sort=foo", "org.zstack.zql.ast.visitors.ZQLError: "),
        (ZONES, "q=isDefault=maybe & count=true & limit=0", "javax.persistence.PersistenceException: "),
        (BS, "filterName=abc:def & q=foo=1 & sort=", f"{RUNTIME}unable to find QueryBelongFilter with type[abc:def]"),
        (BS, "filterName=abc:def", f"{RUNTIME}unable to find QueryBelongFilter with type[abc:def]"),
    ],
)  # fmt: skip
async def test_a_query_that_fails_is_an_internal_error(client: Client, path: str, query: str, details: str) -> None:
    answer = await client.request("GET", path, query=pairs(query))
    assert answer.status == 503
    assert list(answer.body) == ["error"]
    error = answer.body["error"]
    assert (error["code"], error["description"]) == ("SYS.1000", "An internal error happened in system")
    assert error["details"].startswith(details), error["details"]


@rows("name", ["abc", "abc:", ":"])
async def test_a_filter_name_without_a_type_is_an_invalid_argument(client: Client, name: str) -> None:
    answer = await client.request("GET", BS, query=[("filterName", name)])
    assert (answer.status, answer.body["error"]["code"]) == (503, "SYS.1007")
    assert answer.body["error"]["details"] == "filterName must be formatted as [filterType:condition(s)]"


async def test_parameters_are_checked_before_the_session_and_the_session_before_names(client: Client) -> None:
    headers = {"Authorization": "OAuth nosuch"}
    answer = await client.request("GET", BS, query=[("limit", "abc")], headers=headers)
    assert (answer.status, answer.text) == (400, "Invalid query parameter. 'limit' must be an integer")
    answer = await client.request("GET", BS, query=[("q", "foo=1")], headers=headers)
    assert (answer.status, answer.body["error"]["code"]) == (503, "ID.1001")
