"""Snapshot, replacement and reset: all records at once over `/lab/v1`."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from sqlalchemy import update

from hook_receiver import open_receiver
from imagestore_sim.database.models import Image
from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Answer, CallFailed, Client
from processes import run, run_here
from sqlite_store import connections_of

pytestmark = pytest.mark.thorough

DATA = Path(__file__).parent.parent / "query" / "records.yaml"
STORAGES = "/backup-storage"
SECRETS = """\
accounts: [{name: test, password: secret-of-test, users: [{name: reader, password: secret-of-reader}]}]
accessKeys: [{accessKeyId: key-1, accessKeySecret: secret-of-the-key, account: test}]
backupStorages: [{name: a, hostname: 10.0.0.1, url: /zs, password: secret-of-a, tracked: false}]
globalConfig: {backupStorage: {ping.interval: 7}}
"""


async def snapshot(client: Client) -> str:
    answer = await client.request("GET", f"{client.url}/lab/v1/snapshot")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    return answer.text


async def put(client: Client, text: str, *, wait: bool = False) -> Answer:
    query = [("wait", "true")] if wait else []
    return await client.request("PUT", f"{client.url}/lab/v1/snapshot", data=text.encode(), query=query)


async def post(client: Client, text: str) -> Answer:
    return await client.request("POST", f"{client.url}/lab/v1/snapshot", data=text.encode())


async def reset(client: Client) -> None:
    answer = await client.request("POST", f"{client.url}/lab/v1/reset", query=[("wait", "true")])
    assert (answer.status, answer.body) == (200, {"replaced": True})
    await client.log_in()  # sessions are gone, too


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_snapshot_holds_fixed_records_unchanged(imagestore_client: Client) -> None:
    assert (await put(imagestore_client, DATA.read_text())).body == {"replaced": True}
    before = [await imagestore_client.query(path) for path in (STORAGES, "/zones", "/images", "/user-tags")]
    taken = await snapshot(imagestore_client)
    assert [one["name"] for one in yaml.safe_load(taken)["backupStorages"]] == [
        "imagestore-1", "ImageStore_2", "backup%3", "sftp-1",
    ]  # fmt: skip
    await reset(imagestore_client)
    assert (await put(imagestore_client, taken)).status == 200
    after = [await imagestore_client.query(path) for path in (STORAGES, "/zones", "/images", "/user-tags")]
    assert after[:3] == before[:3]
    assert {one["tag"] for one in after[3]} == {one["tag"] for one in before[3]} == {"prod", "gold"}
    # What is sealed looks another way each time.
    again = await snapshot(imagestore_client)
    assert re.sub("sealed: .*", "", again) == re.sub("sealed: .*", "", taken)


@pytest.mark.imagestore_lab(hosts=1)
async def test_whatever_calls_can_store_a_snapshot_holds_and_puts_back(imagestore_client: Client) -> None:
    """ZStack lets names be empty or stand twice, and a simulator storage have more left than it has."""
    await put(imagestore_client, "backupStorages: [{name: a, hostname: 10.0.0.1, url: /zs, tracked: false}]")
    await imagestore_client.log_in()
    call = imagestore_client.call
    [storage] = await imagestore_client.query(STORAGES)
    empty = {"name": "", "username": " "}
    await call("PUT", f"{STORAGES}/image-store/{storage['uuid']}/actions", {"updateImageStoreBackupStorage": empty})
    simulator = {"url": "/x", "totalCapacity": 5, "availableCapacity": 10}
    hook = {"url": "http://127.0.0.1:1/", "type": "", "opaque": "x"}
    await call("POST", "/zones", {"params": {"name": ""}})
    await call("POST", f"{STORAGES}/simulators", {"params": {"name": "", **simulator}})
    await call("POST", "/web-hooks", {"params": {"name": "", **hook}})
    user = (await call("POST", "/accounts/users", {"params": {"name": "u", "password": "p"}}))["inventory"]["uuid"]
    statements = [{"effect": "Allow", "actions": ["*:read"]}]
    for _ in range(2):
        policy = await call("POST", "/accounts/policies", {"params": {"name": "same", "statements": statements}})
        await call("POST", f"/accounts/users/{user}/policies", {"params": {"policyUuid": policy["inventory"]["uuid"]}})
    taken = await snapshot(imagestore_client)
    for _ in range(2):  # over what is the same, and over nothing
        assert (await put(imagestore_client, taken)).body == {"replaced": True}
        assert re.sub("sealed: .*", "", await snapshot(imagestore_client)) == re.sub("sealed: .*", "", taken)
        await reset(imagestore_client)


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_reset_of_a_locked_store_is_a_503(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_of(imagestore_lab.node.parts.store.database), "busy_seconds", 0.2)
    before = await imagestore_client.query(STORAGES)
    _, _, file = (await imagestore_lab.node.parts.store.database.fetch("PRAGMA database_list", ()))[0]
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/reset")
    assert answer.status == 503
    assert "the database is locked by another process" in answer.body["error"]
    assert await imagestore_client.query(STORAGES) == before


@pytest.mark.imagestore_lab(hosts=2)
async def test_a_reset_restores_the_first_records_and_connects_them(
    imagestore_client: Client, imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    before = await imagestore_client.query(STORAGES)
    await imagestore_hosts.add(SimulatedHost("mine"))
    await imagestore_client.add_image_store("172.24.189.211")
    await imagestore_client.call("DELETE", f"{STORAGES}/{before[0]['uuid']}")
    await imagestore_hosts["imagestore-2"].stop()
    disk = imagestore_hosts["imagestore-1"].disk
    disk.used = disk.size
    await reset(imagestore_client)
    assert set(imagestore_hosts) == {"imagestore-1", "imagestore-2"}
    after = await imagestore_client.query(STORAGES)
    assert [one["status"] for one in after] == ["Connected", "Connected"]
    dates = {"createDate", "lastOpDate"}
    same = [{name: one[name] for name in one if name not in dates} for one in before]
    assert [{name: one[name] for name in one if name not in dates} for one in after] == same
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=60)


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_session_survives_a_replacement_that_keeps_its_account(imagestore_client: Client) -> None:
    assert (await put(imagestore_client, SECRETS)).status == 200
    async with Client(imagestore_client.url) as other:
        await other.log_in("test", "secret-of-test")
        bare = "backupStorages: [{name: a, hostname: 10.0.0.1, url: /zs, tracked: false}]"
        assert (await put(imagestore_client, bare)).status == 200
        assert len(await imagestore_client.query(STORAGES)) == 1
        with pytest.raises(CallFailed, match="Session expired"):
            await other.query(STORAGES)


@pytest.mark.imagestore_lab(hosts=0)
async def test_secrets_are_sealed_and_opened_again(imagestore_client: Client) -> None:
    await put(imagestore_client, SECRETS)
    taken = await snapshot(imagestore_client)
    assert "secret-of" not in taken
    assert yaml.safe_load(taken)["globalConfig"]["backupStorage"]["ping.interval"] == "7"
    await reset(imagestore_client)
    assert (await put(imagestore_client, taken)).status == 200
    async with Client(imagestore_client.url) as other:
        await other.log_in("test", "secret-of-test")


@pytest.mark.imagestore_lab(hosts=0)
async def test_the_secrets_of_another_node_cannot_be_opened_and_nothing_changes(
    imagestore_client: Client, tmp_path: Path
) -> None:
    other = ManagementNode(Settings(port=0, database=str(tmp_path / "other.db")))
    await other.start()
    async with Client(other.url) as stranger:
        await put(stranger, SECRETS)
        taken = yaml.safe_load(await snapshot(stranger))
    await other.stop()
    before = await snapshot(imagestore_client)
    accounts = [one for one in taken["accounts"] if one["name"] == "test"]
    [user] = accounts[0]["users"]
    for records, place in (
        ({"accounts": accounts}, "accounts.1.password"),
        ({"accounts": [{"name": "new", "password": "p", "users": [user]}]}, "accounts.1.users.1.password"),
        ({"accounts": [{"name": "test", "password": "p"}], "accessKeys": [{**taken["accessKeys"][0], "user": None}]},
         "accessKeys.1.accessKeySecret"),
        ({"backupStorages": taken["backupStorages"]}, "backupStorages.1.password"),
    ):  # fmt: skip
        for change in (put, post):
            answer = await change(imagestore_client, yaml.safe_dump(records))
            error = rf"snapshot, line [0-9]+: {re.escape(place)}: is sealed with the key file of another node"
            assert answer.status == 400
            assert re.fullmatch(error, answer.body["error"])
    assert yaml.safe_load(await snapshot(imagestore_client)).keys() == yaml.safe_load(before).keys()


ONE = "1" * 32
TAGS = [f"{int(ONE, 16) + 250 - number:032x}" for number in range(251)]
MANY = ", ".join(f"{{name: i{n}, userTags: [{{uuid: {tag}, tag: secret}}]}}" for n, tag in enumerate(TAGS))
"""Images of which the last has a tag of the uuid ONE."""
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.imagestore_lab(hosts=1)
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("zones: [", "snapshot, line 2, column 1: not valid YAML: "),
        (f"zones: {'[' * 100}", "snapshot, line 1, column 71: not valid YAML: nested more than 64 levels deep"),
        (f"zones: {'[' * 100_000}", "snapshot, line 1, column 1007: not valid YAML: exceeded"),
        (LAUGHS, "snapshot, line 6, column 32: not valid YAML: more than 500000 values, with aliases resolved"),
        ("zones: &a [*a]", "snapshot, line 1, column 12: not valid YAML: an alias that stands within what it names"),
        (f"zones: [!!int '{'1' * 5000}']", "snapshot, line 1, column 9: not valid YAML: not a value of tag"),
        ("zones: [!!timestamp tomorrow]", "snapshot, line 1, column 9: not valid YAML: not a value of tag"),
        ("{" + ",".join(f"k{n}: 1" for n in range(9_000)) + "}", "snapshot, line 1: the file: has 9000"),
        ("zones:\n  - {nmae: z}", "snapshot, line 2: zones.1."),
        ("zones: [{name: z, uuid: x}]", "snapshot, line 1: zones.1.uuid: "),
        ("globalConfig: {backupStorage: {\n  ping.interval: 0}}", "snapshot, line 2: globalConfig.backupStorage.ping"),
        ("globalConfig: {backupStorage: {nosuch: 0}}", "snapshot, line 1: globalConfig.backupStorage.nosuch: there is"),
        ("accessKeys: [{accessKeyId: a, accessKeySecret: b, account: nobody}]",
         "snapshot, line 1: accessKeys.1.account: no account has"),
        (f"accounts: [{{uuid: {ONE}, name: a, password: p}}, {{uuid: {ONE}, name: b, password: p}}]",
         f"snapshot, line 1: accounts.2.uuid: {ONE} stands there twice"),
        (f"accounts: [{{uuid: {ADMIN}, name: a, password: p}}]", "snapshot, line 1: accounts.1.uuid: is that of admin"),
        (f"accounts: [{{name: a, password: p, users: [{{uuid: {ONE}, name: u, password: p}}]}},"
         f" {{name: b, password: p, users: [{{uuid: {ONE}, name: u, password: p}}]}}]",
         f"snapshot, line 1: accounts.2.users.1.uuid: {ONE} stands there twice"),
        ("accessKeys: [{accessKeyId: a, accessKeySecret: b}, {accessKeyId: a, accessKeySecret: c}]",
         "snapshot, line 1: accessKeys.2.accessKeyId: a stands there twice"),
        (f"accessKeys: [{{uuid: {ONE}, accessKeyId: a, accessKeySecret: b}},"
         f" {{uuid: {ONE}, accessKeyId: b, accessKeySecret: c}}]", "snapshot, line 1: accessKeys.2.uuid: "),
        (f"webHooks: [{{uuid: {ONE}, name: a, url: 'http://a', type: t}},"
         f" {{uuid: {ONE}, name: b, url: 'http://a', type: t}}]", "snapshot, line 1: webHooks.2.uuid: "),
        (f"zones: [{{name: a, userTags: [{{uuid: {ONE}, tag: t}}]}}, {{name: b, userTags: [{{uuid: {ONE}, tag: t}}]}}]",
         "snapshot, line 1: zones.2.userTags.1.uuid: "),
        (f"backupStorages: [{{uuid: {ONE}, name: a, hostname: a, url: /zs}}]\n"
         "images: [{name: i, backupStorageRefs: "
         f"[{{backupStorageUuid: {ONE}, installPath: a}}, {{backupStorageUuid: {ONE}, installPath: b}}]}}]",
         "snapshot, line 2: images.1.backupStorageRefs.2.backupStorageUuid: "),
    ],
)  # fmt: skip
async def test_a_bad_snapshot_names_line_and_field_and_changes_nothing(
    imagestore_client: Client, text: str, error: str
) -> None:
    before = await imagestore_client.query(STORAGES)
    answer = await put(imagestore_client, text)
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text
    assert await imagestore_client.query(STORAGES) == before


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_job_that_runs_meanwhile_ends_and_leaves_nothing(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_hosts.add(SimulatedHost("slow-1"))
    body = {"name": "s", "hostname": "slow-1", "username": "r", "password": "p", "url": "/zs"}
    accepted = await imagestore_client.request("POST", f"{STORAGES}/image-store", {"params": body})
    await reset(imagestore_client)
    ended = await asyncio.wait_for(imagestore_client.follow(accepted.body["location"]), 60)
    # It was cut off, or had ended, and is forgotten.
    assert (ended.status, ended.status == 404 or "records were replaced" in ended.text) in ((503, True), (404, True))
    assert [one["name"] for one in await imagestore_client.query(STORAGES)] == ["imagestore-1"]


@pytest.mark.parametrize(
    ("method", "call", "query", "error"),
    [
        ("POST", "reset", "wait=perhaps", "wait: expected true or false"),
        ("PUT", "snapshot", "wiat=true", "wiat: is unknown; there are wait"),
        ("POST", "snapshot", "wait=true&wait=false", "wait: is given twice"),
    ],
)
async def test_a_misspelled_wait_is_refused_and_nothing_changes(
    imagestore_client: Client, method: str, call: str, query: str, error: str
) -> None:
    before = await imagestore_client.query(STORAGES)
    answer = await imagestore_client.request(method, f"{imagestore_client.url}/lab/v1/{call}?{query}")
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text
    assert await imagestore_client.query(STORAGES) == before


ADDED = """\
zones: [{uuid: a1000000000000000000000000000009, name: more}]
backupStorages:
  - {name: more-1, hostname: more-1, url: /zs, attachedZoneUuids: [a1000000000000000000000000000009]}
  - {name: changed, hostname: imagestore-1, url: /elsewhere}
"""


@pytest.mark.processes
@pytest.mark.imagestore_lab(hosts=1)
async def test_added_records_stand_beside_the_others_and_are_connected(
    imagestore_client: Client, imagestore_lab: Lab, tmp_path: Path
) -> None:
    logins = imagestore_lab.network["imagestore-1"].logins
    file = tmp_path / "more.yaml"
    file.write_text(ADDED)
    for _ in range(2):  # the same file may be added again
        finished = await run("load", str(file), imagestore_client.url)
        assert finished.status == 0, finished.errors
        assert "2 backup storages" in finished.output
    storages = await imagestore_client.query(STORAGES)
    assert {(one["name"], one["url"], one["status"]) for one in storages} == {
        ("imagestore-1", "/Cloud_bs", "Connected"),
        ("more-1", "/zs", "Connected"),
    }
    assert imagestore_lab.network["imagestore-1"].logins == logins, "what was there is left alone"


@pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual")
async def test_added_web_hooks_get_events(imagestore_client: Client, imagestore_lab: Lab) -> None:
    async with open_receiver(imagestore_lab) as receiver:
        hook = {"name": "h", "url": receiver.url, "type": "CanonicalEvent", "opaque": "/backup-storage/status/*"}
        answer = await imagestore_client.request(
            "POST", f"{imagestore_client.url}/lab/v1/snapshot", data=json.dumps({"webHooks": [hook]}).encode()
        )
        assert (answer.status, answer.body) == (200, {"added": True})
        storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
        await imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid)
        await imagestore_lab.clock.sleep(10)
    assert [one["content"]["newStatus"] for one in receiver.bodies] == ["Connecting", "Connected"]


@pytest.mark.imagestore_lab(hosts=1)
async def test_bad_records_are_refused_and_nothing_is_added(imagestore_client: Client, tmp_path: Path) -> None:
    before = await snapshot(imagestore_client)
    bad = ADDED.replace("/elsewhere", "''")
    answer = await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/snapshot", data=bad.encode())
    assert answer.status == 400
    assert "snapshot, line 4: backupStorages.2.url" in answer.body["error"]
    assert yaml.safe_load(await snapshot(imagestore_client)).keys() == yaml.safe_load(before).keys()
    assert len(await imagestore_client.query(STORAGES)) == 1


@pytest.mark.imagestore_lab(hosts=1)
@pytest.mark.parametrize(
    ("there", "more", "error"),
    [
        (f"accounts: [{{uuid: {ONE}, name: a, password: secret}}]",
         f"accounts: [{{uuid: {ONE}, name: b, password: secret}}]", "snapshot, line 2: accounts.1: "),
        (f"accessKeys: [{{uuid: {ONE}, accessKeyId: a, accessKeySecret: secret}}]",
         f"accessKeys: [{{uuid: {ONE}, accessKeyId: b, accessKeySecret: secret}}]", "snapshot, line 2: accessKeys.1: "),
        (f"zones: [{{name: a, userTags: [{{uuid: {ONE}, tag: secret}}]}}]",
         f"images: [{{name: i, userTags: [{{uuid: {ONE}, tag: secret}}]}}]", "snapshot, line 2: images.1.userTags.1: "),
        (f"zones: [{{name: a, userTags: [{{uuid: {ONE}, tag: secret}}]}}]",
         f"images: [{MANY}]", "snapshot, line 2: images.251.userTags.1: "),
    ],
)  # fmt: skip
async def test_records_that_collide_with_existing_ones_are_refused_without_sql_or_values(
    imagestore_client: Client, caplog: pytest.LogCaptureFixture, there: str, more: str, error: str
) -> None:
    await put(imagestore_client, there)
    answer = await imagestore_client.request(
        "POST", f"{imagestore_client.url}/lab/v1/snapshot", data=f"zones: [{{name: new}}]\n{more}".encode()
    )
    text = "it, or something in it, has the uuid or the name of another record that is there"
    assert (answer.status, answer.body) == (400, {"error": error + text})
    assert not any(one["name"] == "new" for one in await imagestore_client.query("/zones")), "nothing is half done"
    assert not [one for one in caplog.records if one.exc_info or "INSERT" in one.getMessage()]


@pytest.mark.scenarios
@pytest.mark.imagestore_lab(hosts=1)
async def test_a_large_snapshot_can_be_loaded(imagestore_lab: Lab) -> None:
    hooks = [{"name": f"hook-{n}", "url": f"http://a/{'x' * 2000}", "type": "t"} for n in range(1_100)]
    async with Client(imagestore_lab.url, timeout=120) as client:
        await client.log_in()
        answer = await put(client, json.dumps({"webHooks": hooks}))
        assert (answer.status, answer.body) == (200, {"replaced": True})
        taken = await snapshot(client)
        assert len(taken) > 2 * 2**20
        assert (await put(client, taken)).status == 200
        await client.log_in()
        assert len(await client.query("/web-hooks", limit="2000")) == 1_100


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_snapshot_that_is_too_large_is_refused_with_the_bound(imagestore_client: Client) -> None:
    answer = await put(imagestore_client, " " * (16 * 2**20 + 1))
    assert answer.status == 413
    assert "16777216" in answer.text


async def test_a_load_into_no_node_exits_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(ADDED)
    finished = await asyncio.to_thread(run_here, "load", str(tmp_path / "more.yaml"), "http://127.0.0.1:9")
    assert finished.status == 2
    assert "http://127.0.0.1:9" in finished.errors


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_snapshot_gives_admin_what_has_no_owner_any_more(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    """Older versions could leave the image of an account that was deleted while it was added."""
    assert (await put(imagestore_client, DATA.read_text())).body == {"replaced": True}
    async with imagestore_lab.node.parts.store.database.transaction() as connection:
        await connection.execute(update(Image).values(accountUuid="e" * 32))
    taken = await snapshot(imagestore_client)
    assert {one.get("account", "admin") for one in yaml.safe_load(taken)["images"]} == {"admin"}
    assert (await put(imagestore_client, taken)).body == {"replaced": True}
