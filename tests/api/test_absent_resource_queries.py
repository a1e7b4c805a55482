"""Query and deletion APIs of resources that a lab has none of (observed 4)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from imagestore_sim.api import all_handlers
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.query.declarations import declarations
from imagestore_sim.query.inventories import EMULATED, INVENTORIES, Inventory
from imagestore_sim.settings import Settings
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOWHERE = "0123456789abcdef0123456789abcdef"
EMPTY: Json = {"inventories": [], "schema": {}}
ABSENT = [one for one in declarations()["queries"] if INVENTORIES[one["inventory"]].is_absent]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    node = ManagementNode(Settings(port=0, database=str(tmp_path_factory.mktemp("open") / "node.db")))
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        yield client
    await node.stop()


async def test_each_path_answers_an_empty_list(client: Client) -> None:
    for query in ABSENT:
        key = INVENTORIES[query["inventory"]].fields[0].name
        has_uuid = INVENTORIES[query["inventory"]].field("uuid") is not None
        for path in (one for one in query["paths"] if has_uuid or "{" not in one):
            assert await client.call("GET", path.replace("{uuid}", NOWHERE)) == EMPTY, path
        path = query["paths"][0]
        assert await client.call("GET", path, query=[("q", f"{key}=x"), ("sort", f"-{key}"), ("fields", key)]) == EMPTY
        assert await client.call("GET", path, query=[("count", "true")]) == {"total": 0, "schema": {}}


@rows(
    ("path", "query", "answer"),
    [
        ("/volumes", [("replyWithCount", "true"), ("limit", "0")], {**EMPTY, "total": 0}),
        ("/vm-instances", [("q", "vmNics.l3Network.name~=x%"), ("q", "state!=Running"), ("sort", "name")], EMPTY),
        ("/clusters", [("q", "zone.name?=a,b"), ("fields", "uuid,name")], EMPTY),
        ("/hosts", [("q", "__systemTag__!=x"), ("q", "createDate>2020-01-01"), ("start", "4")], EMPTY),
        ("/backup-storage", [("q", "type=Ceph"), ("q", "fsid=x")], EMPTY),
    ],
)
async def test_a_query_is_read_like_any_other(
    client: Client, path: str, query: list[tuple[str, str]], answer: Json
) -> None:
    assert await client.call("GET", path, query=query) == answer


CLOUD = "org.zstack.header.exception.CloudRuntimeException: "


@rows(
    ("path", "query", "details"),
    [
        (
            "/volumes",
            ("q", "foo=1"),
            f"{CLOUD}inventory class[class org.zstack.header.volume.VolumeInventory] not having",
        ),
        ("/volumes", ("fields", "foo"), f"{CLOUD}inventory[${{selfInventoryClass}}] has no field[foo]"),
        (
            "/volumes",
            ("sort", "foo"),
            "org.zstack.zql.ast.visitors.ZQLError: invalid order by clause, inventory[Volume",
        ),
        (
            f"/security-groups/nics/{NOWHERE}/security-policy",
            ("limit", "x"),
            f"{CLOUD}inventory class[class org.zstack.network.securitygroup.VmNicSecurityPolicyInventory] not having field[uuid]",
        ),
        ("/clusters", ("q", "zone.foo=1"), f"{CLOUD}inventory class[class org.zstack.header.zone.ZoneInventory] not"),
        (
            "/clusters",
            ("q", "foo.name=1"),
            f"{CLOUD}invalid nested query condition[] on class org.zstack.header.cluster",
        ),
        (
            "/volumes",
            ("q", "isShareable=maybe"),
            "javax.persistence.PersistenceException: org.hibernate.exception.SQLG",
        ),
        ("/volumes", ("limit", "-1"), "java.lang.IllegalArgumentException: max-results cannot be negative"),
        (
            "/backup-storage?q=type=Ceph",
            ("q", "mon=1"),
            f"{CLOUD}inventory class[class org.zstack.storage.ceph.backup.",
        ),
    ],
)
async def test_a_mistake_is_reported_like_in_any_other_query(
    client: Client, path: str, query: tuple[str, str], details: str
) -> None:
    path, _, more = path.partition("?q=")
    pairs = [("q", more), query] if more else [query]
    with pytest.raises(CallFailed) as caught:
        await client.call("GET", path, query=pairs)
    assert (caught.value.status, caught.value.code) == (503, "SYS.1000")
    assert caught.value.error["details"].startswith(details)


async def test_accounts_can_be_queried(client: Client) -> None:
    found = (await client.call("GET", "/accounts", query=[("q", "name=ADMIN")]))["inventories"]
    assert [(one["name"], one["type"]) for one in found] == [("admin", "SystemAdmin")]
    assert "password" not in found[0]
    with pytest.raises(CallFailed, match=r"not having field\[password\]"):
        await client.call("GET", "/accounts", query=[("q", "password~=%")])


async def test_every_query_api_has_a_handler() -> None:
    known = {message.__name__ for message in all_handlers().by_message}
    assert known >= {one["message"].rpartition(".")[2] for one in declarations()["queries"]}


@rows("one", EMULATED, ids=lambda one: one.name)
async def test_emulated_apis_have_the_names_that_zstack_declares(one: Inventory) -> None:
    declared = declarations()["inventories"].get(one.name)
    if declared is None:
        assert one.name in {"ImageStoreBackupStorageInventory", "AccessKeyInventory"}  # whose modules are closed
        return
    fields = {field.name for field in one.fields if not field.shown}
    names = fields | {collection.name for collection in one.collections} | one.lists
    assert names == {field.partition(":")[0] for field in declared["fields"].split()}
    assert set(one.expansions) == set(declared.get("expansions", {}))
    assert {alias: ".".join(path) for alias, path in one.aliases.items()} == declared.get("aliases", {})
    steps = {step: f"{path.inventory} {path.own} {path.foreign}" for step, path in one.expansions.items()}
    assert steps == declared.get("expansions", {})


@rows("method", ["GET", "DELETE", "POST", "PUT"])
@rows(
    "path",
    [
        f"/primary-storage/{NOWHERE}?deleteMode=bad",
        "/nics/0123456789ab4def8123456789abcdef",
        "/l3-networks/reserved-ip-ranges/0123456789ab4def8123456789abcdef",
        "/volume-snapshots/ungroup/0123456789ab4def8123456789abcdef",
    ],
)
async def test_a_deletion_alone_on_its_path_serves_any_method(client: Client, method: str, path: str) -> None:
    assert await client.call(method, path) == {}


async def test_a_deletion_of_a_missing_resource_checks_the_uuid_where_zstack_does(client: Client) -> None:
    with pytest.raises(CallFailed, match="invalid value"):
        await client.call("GET", "/nics/x")
