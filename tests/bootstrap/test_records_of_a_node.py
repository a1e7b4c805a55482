"""Records that are added to those of a node: what is said of one that does not fit, and which zone is the default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_bootstrap import OF_EACH_TYPE, ONE

from imagestore_sim.bootstrap import BootstrapError, parse_bootstrap
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from processes import run_here
from rows import rows

TWO = "2" * 32
IN_WORDS = {
    "trash": (
        f"trash:\n  - {{storageUuid: {TWO}, resourceUuid: {ONE}, installPath: 'zstore://a/b', size: 1}}",
        f"line 2: trash.1.storageUuid: no backup storage has the uuid {TWO}",
    ),
    "option": (
        f"resourceConfigs:\n  - {{resourceUuid: {ONE}, value: 1, category: backupStorage,\n"
        "     name: reservedCapacit}",
        "line 3: resourceConfigs.1.name: there is no such option; did you mean reservedCapacity?",
    ),
    "value": (
        f"resourceConfigs:\n  - {{resourceUuid: {ONE}, category: backupStorage, name: reservedCapacity,\n"
        "     value: lots}",
        "line 3: resourceConfigs.1.value: lots is not a size string; ",
    ),
    "account": ("images:\n  - {name: a, account: nobody}", "line 2: images.1.account: no account has the name nobody"),
    "share": (
        "images:\n  - {name: a, sharedWith: [admin,\n     nobody]}",
        "line 3: images.1.sharedWith.2: no account has the name nobody",
    ),
    "pattern": ("tags:\n  - {name: a, value: b,\n     account: nobody}", "line 3: tags.1.account: no account has"),
    "key": (
        "accessKeys:\n  - {accessKeyId: a, accessKeySecret: b,\n     user: nobody}",
        "line 3: accessKeys.1.user: the account has no user of the name nobody",
    ),
    "user": (
        "accounts:\n  - name: a\n    password: b\n    users: [{name: c, password: d, policies: [e]}]",
        "line 4: accounts.1.users.1.policies.1: the account has no policy of the name e",
    ),
    "group": (
        "accounts:\n  - name: a\n    password: b\n    groups: [{name: c, users: [d]}]",
        "line 4: accounts.1.groups.1.users.1: the account has no user of the name d",
    ),
    "secret": (
        "backupStorages:\n  - {name: a, hostname: b, url: /zs,\n     password: {sealed: c}}",
        "line 3: backupStorages.1.password: is sealed with the key file of another node",
    ),
}
"""Records that do not fit, and what is said of them."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ManagementNode]:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db"), lab_api=True))
    await node.start()
    yield node
    await node.stop()


async def add(node: ManagementNode, text: str) -> None:
    await node.changes.add(parse_bootstrap(text.encode(), "more.yaml"))


@rows(("text", "complaint"), IN_WORDS.values(), ids=list(IN_WORDS))
async def test_a_record_that_does_not_fit_is_named_by_file_line_and_field(
    node: ManagementNode, text: str, complaint: str
) -> None:
    with pytest.raises(BootstrapError) as caught:
        await add(node, text)
    assert str(caught.value).startswith(f"more.yaml, {complaint}")


async def test_a_uuid_that_a_resource_of_another_type_has_is_refused(node: ManagementNode) -> None:
    for number, (place, text) in enumerate(OF_EACH_TYPE.items(), 1):
        there = f"{number:032x}"
        await add(node, text.format(there))
        await add(node, text.format(there))  # a record that is there stays as it is
        for other, more in OF_EACH_TYPE.items():
            if other != place:
                with pytest.raises(BootstrapError) as caught:
                    await add(node, f"# more\n{more.format(there)}")
                complaint = f"a resource of another type has the uuid {there}"
                assert str(caught.value) == f"more.yaml, line 2: {other}.uuid: {complaint}"


async def test_records_that_replace_all_others_may_have_their_uuids(node: ManagementNode) -> None:
    await add(node, OF_EACH_TYPE["zones.1"].format(ONE))
    await node.changes.replace(parse_bootstrap(OF_EACH_TYPE["images.1"].format(ONE).encode(), "other.yaml"))
    taken = await node.changes.snapshot()
    assert (taken.zones, [one.uuid for one in taken.images]) == ((), [ONE])


async def test_a_new_default_zone_takes_the_place_of_the_old_one_and_one_that_is_there_does_not(
    node: ManagementNode,
) -> None:
    async with Client(node.url) as client:
        await client.log_in()
        for name, default in (("a", "a"), ("b", "b"), ("a", "b")):
            await add(node, f"zones: [{{name: {name}, isDefault: true}}]")
            assert [one["name"] for one in await client.query("/zones", "isDefault=true")] == [default]


async def test_a_load_names_the_line_of_its_file_when_the_node_refuses_a_record(
    node: ManagementNode, tmp_path: Path
) -> None:
    file = tmp_path / "more.yaml"
    text, complaint = IN_WORDS["trash"]
    file.write_text(f"# what lies there\n{text}")
    finished = await asyncio.to_thread(run_here, "load", str(file), node.url)
    assert finished.status == 2
    assert f"{node.url}: {file}, {complaint.replace('line 2', 'line 3')}" in finished.errors
