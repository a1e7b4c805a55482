"""The vault: passwords that cannot be read at rest, and what is said of a key that does not do."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest
from ordinary_user import open_folder, ordinary_user
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database import Database, DatabaseError, Vault
from imagestore_sim.database.models import (
    AccessKey,
    Account,
    BackupStorage,
    ImageStoreBackupStorage,
    SftpBackupStorage,
)

PASSWORD = "correct horse battery staple"
DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "node.db.key"


def _complaint_of(file: Path) -> str:
    with pytest.raises(DatabaseError) as caught:
        Vault.beside(str(file))
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def _add_image_store(connection: AsyncConnection, token: str) -> None:
    await _add_host(connection, ImageStoreBackupStorage, token)


async def _add_sftp(connection: AsyncConnection, token: str) -> None:
    await _add_host(connection, SftpBackupStorage, token)


async def _add_host(
    connection: AsyncConnection, table: type[ImageStoreBackupStorage] | type[SftpBackupStorage], token: str
) -> None:
    storage = {"uuid": "a", "name": "a", "url": "/zs", "type": "t", "state": "Enabled", "status": "Connected"}
    await connection.execute(insert(BackupStorage).values(**storage, **DATES))
    await connection.execute(insert(table).values(uuid="a", hostname="h", username="u", password=token))


async def _add_access_key(connection: AsyncConnection, token: str) -> None:
    await connection.execute(insert(Account).values(uuid="a", name="a", password="hash", type="Normal", **DATES))
    key = {"uuid": "k", "accountUuid": "a", "userUuid": "a", "AccessKeyID": "id", "AccessKeySecret": token}
    await connection.execute(insert(AccessKey).values(**key, **DATES))


Add = Callable[[AsyncConnection, str], Awaitable[None]]
each_secret = pytest.mark.parametrize("add", [_add_image_store, _add_sftp, _add_access_key])


async def _fill(file: Path, add: Add) -> None:
    """Create a database that holds a secret, and close it."""
    database = await Database.open(str(file))
    token = Vault.beside(str(file)).encrypt(PASSWORD)
    async with database.transaction() as connection:
        await add(connection, token)
    await database.close()


@pytest.mark.parametrize("secret", ["", "password", "pässwörd €", "with\nlines\0", "x" * 10_000])
def test_a_secret_comes_back_as_it_was(file: Path, secret: str) -> None:
    token = Vault.beside(str(file)).encrypt(secret)
    assert Vault.beside(str(file)).decrypt(token) == secret


def test_the_same_secret_never_looks_the_same(file: Path) -> None:
    vault = Vault.beside(str(file))
    assert vault.encrypt("password") != vault.encrypt("password")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_key_file_is_its_owner_s_alone_whatever_the_umask(file: Path, key_file: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        Vault.beside(str(file))
    finally:
        os.umask(before)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]


@each_secret
async def test_no_secret_can_be_read_in_the_bytes_on_disk(file: Path, add: Add) -> None:
    database = await Database.open(str(file))
    token = Vault.beside(str(file)).encrypt(PASSWORD)
    async with database.transaction() as connection:
        await add(connection, token)
    while_open = b"".join(path.read_bytes() for path in file.parent.iterdir())
    await database.close()
    closed = file.read_bytes()
    assert token.encode() in while_open
    assert token.encode() in closed
    assert PASSWORD.encode() not in while_open + closed


async def test_concurrent_creators_of_a_key_get_the_same_one(file: Path) -> None:
    vaults = await asyncio.gather(*(asyncio.to_thread(Vault.beside, str(file)) for _ in range(8)))
    token = vaults[0].encrypt(PASSWORD)
    assert {vault.decrypt(token) for vault in vaults} == {PASSWORD}


def test_a_link_and_its_file_have_one_key(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    token = Vault.beside(str(link)).encrypt(PASSWORD)
    assert Vault.beside(str(file)).decrypt(token) == PASSWORD


@each_secret
async def test_a_missing_key_is_an_error_and_no_new_one_is_made(file: Path, key_file: Path, add: Add) -> None:
    await _fill(file, add)
    kept = key_file.read_bytes()
    key_file.unlink()
    for _ in range(2):
        assert _complaint_of(file) == (
            f"{key_file}: the key file is gone that the passwords in {file} need;"
            " put it back, or give it by --vault-key-file"
        )
    key_file.write_bytes(kept)
    key_file.chmod(0o600)
    Vault.beside(str(file))


@each_secret
async def test_the_key_of_another_database_is_an_error_at_the_start(
    tmp_path: Path, file: Path, key_file: Path, add: Add
) -> None:
    await _fill(file, add)
    Vault.beside(str(tmp_path / "other.db"))
    (tmp_path / "other.db.key").replace(key_file)
    assert _complaint_of(file) == f"{key_file}: this key does not belong to the database"


@pytest.mark.parametrize("token", ["", "password", "ä", "gAAAAA=="])
def test_a_token_of_another_key_is_an_error(file: Path, key_file: Path, token: str) -> None:
    with pytest.raises(DatabaseError, match="this key does not belong to the database"):
        Vault.beside(str(file)).decrypt(token)


async def test_a_database_without_secrets_gets_a_new_key(file: Path, key_file: Path) -> None:
    await (await Database.open(str(file))).close()
    Vault.beside(str(file))
    key_file.unlink()
    Vault.beside(str(file))
    assert key_file.exists()


@pytest.mark.parametrize("content", [b"", b"password\n", b"\xff" * 44, b"A" * 40])
def test_a_file_without_a_key_is_an_error(file: Path, key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    key_file.chmod(0o600)
    assert _complaint_of(file) == f"{key_file}: this is no key file, it must hold the key it was made with"


@pytest.mark.parametrize("key", ["", "abc", "A" * 44 + "=", "\u00e9" * 44])
def test_a_setting_that_is_no_key_is_an_error_that_names_it(key: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        Vault.of_key(key)
    named = "--vault-key (IMAGESTORE_SIM_VAULT_KEY)"
    assert str(refused.value) == f"{named}: expected 32 bytes in URL-safe base64, 44 characters"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o777])
def test_a_key_file_that_others_may_read_is_an_error(file: Path, key_file: Path, mode: int) -> None:
    Vault.beside(str(file))
    key_file.chmod(mode)
    assert _complaint_of(file) == (f"{key_file}: others than its owner may use the key file; run chmod 600 on it")


def test_an_unreadable_key_file_is_an_error() -> None:
    with open_folder() as folder:
        key_file = folder / "node.db.key"
        key_file.touch(0o000)
        with ordinary_user():
            complaint = _complaint_of(folder / "node.db")
    assert complaint == f"{key_file}: the key file cannot be used: Permission denied"


def test_a_directory_as_key_file_is_an_error(file: Path, key_file: Path) -> None:
    key_file.mkdir()
    assert _complaint_of(file) == f"{key_file}: the key file cannot be used: Is a directory"


def test_a_broken_link_as_key_file_is_an_error(file: Path, key_file: Path) -> None:
    key_file.symlink_to("nosuch")
    assert _complaint_of(file) == f"{key_file}: the key file cannot be used: No such file or directory"


def test_a_key_has_no_place_where_there_is_no_folder() -> None:
    complaint = _complaint_of(Path("/nosuch/folder/node.db"))
    assert complaint == "/nosuch/folder/node.db.key: the key file cannot be used: No such file or directory"


def test_a_key_has_no_place_beside_a_database_that_is_no_file() -> None:
    with pytest.raises(
        DatabaseError, match=r"^mariadb://user:[*]*@host/name: needs the key of the passwords that it holds; give"
    ):
        Vault.beside("mariadb://user:secret@host/name")
