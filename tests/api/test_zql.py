"""ZStack's query language as text, over the worked data set (query-semantics 13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from simulator.node import ManagementNode
from simulator.settings import Settings
from simulator.testing import CallFailed, Client
from simulator.testing.client import Json

DATA = Path(__file__).parent.parent / "query" / "worked_data.yaml"
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


@pytest.mark.parametrize(
    ("zql", "names"),
    [
        ("query backupstorage", ["imagestore-1", "ImageStore_2", "backup%3", "sftp-1"]),
        ("query BackupStorage where name = 'IMAGESTORE-1'", ["imagestore-1"]),
        ('query imagestorebackupstorage where status = "Connected" and sshPort > 22', ["backup%3"]),
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
async def test_a_question_finds_these(client: Client, zql: str, names: list[str]) -> None:
    [result] = await ask(client, zql)
    assert list(result) == ["inventories"]
    assert [one["name"] for one in result["inventories"]] == names


async def test_several_questions_are_answered_in_turn(client: Client) -> None:
    results = await ask(
        client,
        "query zone.name,state where state='Enabled' return with (total) order by name asc limit 1 named as 'zones';"
        " count backupstorage where state = 'Enabled';",
    )
    assert results == [
        {"inventories": [{"name": "Zone1", "state": "Enabled", "isDefault": False}], "total": 2, "name": "zones"},
        {"total": 3},
    ]


@pytest.mark.parametrize(
    ("zql", "details"),
    [
        ("", "org.antlr.v4.runtime.misc.ParseCancellationException: error extraneous input '<EOF>'"),
        ("select * from zone", "org.antlr.v4.runtime.misc.ParseCancellationException: error extraneous input 'select'"),
        ("query zone where name = 'a' or name = 'b'", "org.antlr.v4.runtime.misc.ParseCancellationException: error "),
        ("query zone where name", "org.antlr.v4.runtime.misc.ParseCancellationException: error "),
        ("query zone limit many", "org.antlr.v4.runtime.misc.ParseCancellationException: error "),
        ("query dragon", "org.zstack.header.exception.CloudRuntimeException: cannot find inventory with name[dragon]"),
        ("query zone where foo = 1", "org.zstack.header.exception.CloudRuntimeException: inventory class[class org"),
    ],
)
async def test_what_is_no_question_is_an_internal_error(client: Client, zql: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await ask(client, zql)
    assert (caught.value.status, caught.value.code) == (503, "SYS.1000")
    assert caught.value.error["details"].startswith(details)


async def test_what_is_left_out_of_the_language_says_so(client: Client) -> None:
    with pytest.raises(CallFailed, match=r"extraneous input 'or' \(this part of the language is not emulated\)"):
        await ask(client, "query zone where name = 'a' or name = 'b'")
