"""Passwords and sessions are stored as hashes, in files that only their owner can read."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.database import Database, DatabaseError, Vault
from imagestore_sim.database.migrations import upgrade
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import CallFailed

ACCOUNT, USER, SESSION = "d1" + "0" * 30, "e1" + "0" * 30, "abcdef0123456789" * 2
ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"
RENEWAL = "1" * 32
DATE = "2017-11-14 22:20:57"
FAR = 4_102_444_800


def _sent(password: str) -> str:
    """Return a password as clients send it."""
    return hashlib.sha512(password.encode()).hexdigest()


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@asynccontextmanager
async def _node(file: Path, bootstrap: Bootstrap | None = None) -> AsyncIterator[Client]:
    node = ManagementNode(Settings(port=0, database=str(file)))
    await node.start(bootstrap)
    try:
        async with Client(node.url) as client:
            yield client
    finally:
        await node.stop()


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def _bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_every_file_of_a_new_database_is_its_owner_s_alone(tmp_path: Path, umask: int) -> None:
    async with _node(tmp_path / "node.db") as client:
        await client.log_in()
        modes = _modes(tmp_path)
    assert set(modes) >= {"node.db", "node.db-wal", "node.db-shm", "node.db.key"}
    assert set(modes.values()) == {0o600}
    assert set(_modes(tmp_path).values()) == {0o600}


async def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "node.db"
    with closing(sqlite3.connect(file)) as kept_open:  # so that the files beside it stay
        async with _node(file):
            pass
        kept_open.execute("SELECT count(*) FROM ZoneVO").fetchone()
        for path in tmp_path.iterdir():
            if not path.name.endswith(".key"):
                path.chmod(0o664)
        async with _node(file) as client:
            await client.log_in()
            assert set(_modes(tmp_path)) >= {"node.db", "node.db-wal", "node.db-shm"}
            assert {mode for name, mode in _modes(tmp_path).items() if not name.endswith(".lock")} == {0o600}


async def test_the_database_of_another_program_keeps_its_rights(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    file.chmod(0o644)
    with pytest.raises(DatabaseError, match="another program"):
        await Database.open(str(file))
    assert _modes(tmp_path) == {"other.db": 0o644}


async def test_neither_a_session_nor_a_password_stands_in_the_files(tmp_path: Path) -> None:
    async with _node(tmp_path / "node.db") as client:
        sessions = [await client.log_in() for _ in range(3)]
        await client.call("PUT", f"/accounts/sessions/{sessions[0]}/renew", {"renewSession": {}})
        while_open = _bytes_in(tmp_path)
    for secret in (*sessions, _sent("password"), _sent("password").upper()):
        assert secret.encode() not in while_open + _bytes_in(tmp_path)


async def test_sessions_survive_a_restart_and_the_result_of_a_renewal_can_still_be_polled(tmp_path: Path) -> None:
    file = tmp_path / "node.db"
    async with _node(file) as client:
        session = await client.log_in()
        accepted = await client.request("PUT", f"/accounts/sessions/{session}/renew", {"renewSession": {}})
        job = accepted.body["location"].rpartition("/")[2]
        assert (await client.follow(accepted.body["location"])).body["inventory"]["uuid"] == session
    async with _node(file) as client:
        assert (await client.call("GET", f"/accounts/sessions/{session}/valid"))["valid"] is True
        assert (await client.request("GET", f"/api-jobs/{job}")).body["inventory"]["uuid"] == session
        client.session_uuid = session
        assert len(await client.query("/zones")) == 0
        await client.log_out()
        assert (await client.call("GET", f"/accounts/sessions/{session}/valid"))["valid"] is False


async def test_stored_hashes_do_not_log_in(tmp_path: Path) -> None:
    file = tmp_path / "node.db"
    async with _node(file) as client:
        await client.log_in()
        with closing(sqlite3.connect(file)) as connection:
            [(session,)] = connection.execute("SELECT uuid FROM SessionVO").fetchall()
            [(password,)] = connection.execute("SELECT password FROM AccountVO").fetchall()
        assert (await client.call("GET", f"/accounts/sessions/{session}/valid"))["valid"] is False
        for given in (password, password.rpartition("$")[2]):
            with pytest.raises(CallFailed, match=r"ID\.1000"):
                await client.call(
                    "PUT", "/accounts/login", {"logInByAccount": {"accountName": "admin", "password": given}}
                )


def _old_database(file: Path) -> None:
    """Create a database of version 0001, with a user, a session and a renewal's result in plain text."""
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.begin() as connection:
        upgrade(connection, "0001")
    engine.dispose()
    result = json.dumps({"inventory": {"uuid": SESSION}, "schema": {}})
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("PRAGMA journal_mode = WAL")
        account = "INSERT INTO AccountVO (uuid, name, password, type, createDate, lastOpDate) VALUES (?,?,?,?,?,?)"
        raw.execute(account, (ADMIN_UUID, "admin", _sent("changed"), "SystemAdmin", DATE, DATE))
        raw.execute(account, (ACCOUNT, "test", _sent("wonder"), "Normal", DATE, DATE))
        user = "INSERT INTO UserVO (uuid, accountUuid, name, password, createDate, lastOpDate) VALUES (?,?,?,?,?,?)"
        raw.execute(user, (USER, ACCOUNT, "alice", _sent("alice's"), DATE, DATE))
        session = "INSERT INTO SessionVO (uuid, accountUuid, userUuid, expiredDate, createDate) VALUES (?,?,?,?,?)"
        raw.execute(session, (SESSION, ADMIN_UUID, ADMIN_UUID, FAR, 1))
        job = "INSERT INTO RestAPIVO (uuid, apiMessageName, state, result, createDate, lastOpDate) VALUES (?,?,?,?,?,?)"
        raw.execute(job, (RENEWAL, "APIRenewSessionMsg", "Done", result, FAR, FAR))
    file.chmod(0o644)


async def test_a_database_of_the_version_before_is_brought_over_with_its_sessions_and_passwords(tmp_path: Path) -> None:
    file = tmp_path / "node.db"
    _old_database(file)
    secrets = (SESSION, *(_sent(one) for one in ("changed", "wonder", "alice's")))
    assert all(secret.encode() in _bytes_in(tmp_path) for secret in secrets)
    async with _node(file) as client:
        assert not [secret for secret in secrets if secret.encode() in _bytes_in(tmp_path)]
        assert set(_modes(tmp_path).values()) == {0o600}
        client.session_uuid = SESSION
        assert await client.query("/zones") == []
        assert (await client.request("GET", f"/api-jobs/{RENEWAL}")).body["inventory"]["uuid"] == SESSION
        for account, password in (("admin", "changed"), ("test", "wonder")):
            await client.log_in(account, password)
        by_user = {"accountName": "test", "userName": "alice", "password": _sent("alice's").upper()}
        await client.call("PUT", "/accounts/users/login", {"logInByUser": by_user})
    assert not [secret for secret in secrets if secret.encode() in _bytes_in(tmp_path)]


async def test_a_snapshot_brings_passwords_back_and_so_does_one_of_the_version_before(tmp_path: Path) -> None:
    file = tmp_path / "node.db"
    async with _node(file, Bootstrap.model_validate({"accounts": [{"name": "test", "password": "wonder"}]})) as client:
        whole = await client.request("GET", f"{client.url}/lab/v1/snapshot")
        old = Vault.beside(str(file)).encrypt(_sent("elder"))
        elder = json.dumps({"accounts": [{"name": "elder", "password": {"sealed": old}}]}).encode()
        for content, account, password in ((whole.text.encode(), "test", "wonder"), (elder, "elder", "elder")):
            put = await client.request("PUT", f"{client.url}/lab/v1/snapshot", data=content)
            assert put.status == 200, put.text
            await client.log_in(account, password)


@pytest.mark.parametrize("other", [None, b"of another node"], ids=["gone", "another"])
async def test_accounts_alone_need_their_key(tmp_path: Path, other: bytes | None) -> None:
    file = tmp_path / "node.db"
    async with _node(file):
        pass
    key = tmp_path / "node.db.key"
    key.unlink()
    if other is not None:
        Vault.open(key)
    with pytest.raises(DatabaseError, match="put it back" if other is None else "does not belong to the database"):
        Vault.beside(str(file))
