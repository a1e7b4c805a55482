"""Where a database may be, and the one clear line that is said of a place where none can be."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from new_database import new_database
from ordinary_user import open_folder, ordinary_user
from sqlalchemy import text

from imagestore_sim.database import Database, DatabaseError
from imagestore_sim.database.location import file_of, shown_location, url_of
from imagestore_sim.database.migrations import HEAD
from imagestore_sim.database.read_only import open_read_only
from rows import rows


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


async def _open_and_close(location: str | Path) -> None:
    await (await Database.open(str(location))).close()


async def _complaint_of(location: str | Path) -> str:
    with pytest.raises(DatabaseError) as caught:
        await Database.open(str(location))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["", "sqlite:///", "sqlite+aiosqlite:///", "sqlite+pysqlite:///"])
async def test_a_path_and_every_spelling_of_its_url_are_one_file(tmp_path: Path, prefix: str) -> None:
    location = f"{prefix}{tmp_path}/node.db"
    assert file_of(location) == tmp_path.resolve() / "node.db"
    await _open_and_close(location)
    assert (tmp_path / "node.db").stat().st_size > 0


def test_a_location_is_shown_without_its_password() -> None:
    assert shown_location("mariadb://u:secret@h:1/d") == "mariadb://u:***@h:1/d"
    assert shown_location("node.db") == "node.db"


@rows("location", ["mariadb://user@host/name", "MARIADB://user@host/name", "mariadb://user:%40@host/na%40me"])
def test_a_scheme_may_have_capitals(location: str) -> None:
    assert url_of(location).get_backend_name() == "mariadb"


def test_another_database_is_no_file() -> None:
    assert file_of("mariadb://user@host/name") is None
    assert url_of("mariadb://user@host/name").get_backend_name() == "mariadb"


@pytest.mark.parametrize(
    "name",
    [
        "with space.db",
        "50%.db",
        "a?b=c.db",
        "a#b.db",
        "a&b;c.db",
        "'quoted'.db",
        "Sicherung ä €.db",
        "%2e.db",
        "-x",
        "a:b",
    ],
)
async def test_a_path_may_hold_odd_characters(tmp_path: Path, name: str) -> None:
    await _open_and_close(new_database(tmp_path, name))
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}


async def test_a_path_may_hold_bytes_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.db")
    await _open_and_close(tmp_path / name)
    assert (tmp_path / name).exists()


async def test_a_relative_path_begins_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await _open_and_close("node.db")
    assert (tmp_path / "node.db").exists()


async def test_a_symbolic_link_and_its_file_are_one_database(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.db").symlink_to("elsewhere/node.db")
    database = await Database.open(str(tmp_path / "link.db"))
    assert "is in use by another management node" in await _complaint_of(tmp_path / "elsewhere" / "node.db")
    await database.close()
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {"node.db", "node.db.lock"}


@rows(
    ("location", "complaint"),
    [
        ("", ": a database in memory is not offered, give the path of a file"),
        (":memory:", ":memory:: a database in memory is not offered, give the path of a file"),
        ("sqlite://", "sqlite://: a database in memory is not offered, give the path of a file"),
        (
            "sqlite:///file:x.db?mode=ro&uri=true",
            "sqlite:///file:x.db?mode=ro&uri=true: a SQLite URL takes no parameters here, give the path of a file",
        ),
        ("://", "://...: this is neither a file nor a database URL"),
        ("mysql://u:secret@h:port/d", "mysql://...: this is neither a file nor a database URL"),
        ("nosuch://u:secret@h/d", "nosuch://...: is not served; give the path of a SQLite file, or mariadb://user:"),
        ("postgresql://u:secret@h/d", "postgresql://...: is not served; give the path of a SQLite file, or mariadb:"),
        ("mysql+asyncmy://u:secret@h/d", "mysql+asyncmy://...: is not served; give the path of a SQLite file, or "),
        ("mariadb://u:secret@h", "mariadb://u:***@h: the host or the name of the database is missing; expected "),
        ("mariadb:///d", "mariadb:///d: the host or the name of the database is missing; expected mariadb://user:"),
        ("mariadb://u:secret@h:port/d", "mariadb://...: this is neither a file nor a database URL; expected mariadb:"),
        ("mariadb://u:pass@secret@h/d", "mariadb://...: this is neither a file nor a database URL; expected mariadb:"),
        ("mariadb://u:p@secret/x@h/d", "mariadb://...: this is neither a file nor a database URL; expected mariadb:"),
        ("mariadb:/u:secret@h/d", "mariadb:...: this is neither a file nor a database URL; expected mariadb:"),
        ("MariaDB:u:secret@h/d", "mariadb:...: this is neither a file nor a database URL; expected mariadb:"),
        ("mariadb://u:secret@a..b/d", "mariadb://u:***@a..b/d: the host is neither an address nor the name of a host"),
        ("mariadb://u\udcff:secret@h/d", "mariadb://...: this is neither a file nor a database URL; expected mariadb:"),
        ("mariadb://u:secret@h/d?ssl_ca=a&ssl_ca=b", "mariadb://u:***@h/d?ssl_ca=a&ssl_ca=b: ssl_ca: stands there "),
        ("mariadb://u:secret@h:99999/d", "mariadb://u:***@h:99999/d: a port is a number from 1 to 65535"),
        ("mariadb://u:secret@h/d?charset=x", "mariadb://u:***@h/d?charset=x: charset: there is no such parameter; "),
        ("a\0b", "a\0b: this cannot be the path of a file: "),
        ("/nosuch/folder/x.db", "/nosuch/folder/x.db: there is no folder /nosuch/folder to keep it in"),
        (f"/tmp/{'x' * 300}", f"/tmp/{'x' * 300}: cannot be used: File name too long"),
        (f"/tmp/{'x' * 253}", f"/tmp/{'x' * 253}.lock: the lock file cannot be used: File name too long"),
        ("/dev/null", "/dev/null: is a device or a pipe, give the path of a file"),
    ],
)
async def test_a_location_that_cannot_hold_a_database_is_an_error(location: str, complaint: str) -> None:
    said = await _complaint_of(location)
    assert said.startswith(complaint)
    assert "secret" not in said


def _directory(file: Path) -> None:
    file.mkdir()


def _pipe(file: Path) -> None:
    os.mkfifo(file)


def _link_to_itself(file: Path) -> None:
    file.symlink_to(file)


def _text(file: Path) -> None:
    file.write_text("zones:\n  - {name: Zone1}\n" * 100)


def _noise(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


def _damaged(file: Path) -> None:
    _of_another_program(file)
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * 4000)


def _of_another_program(file: Path) -> None:
    _execute(file, "CREATE TABLE notes (text TEXT)")


def _of_another_program_with_alembic(file: Path) -> None:
    _execute(file, "CREATE TABLE notes (text TEXT)", "CREATE TABLE alembic_version (version_num TEXT)")


def _newer(file: Path) -> None:
    tables = ("CREATE TABLE BackupStorageVO (uuid TEXT)", "CREATE TABLE alembic_version (version_num TEXT)")
    _execute(file, *tables, "INSERT INTO alembic_version VALUES ('9999')")


def _execute(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_directory, "is a directory, give the path of a file in it"),
        (_pipe, "is a device or a pipe, give the path of a file"),
        (_link_to_itself, ""),
        (_text, "cannot be read as a SQLite database (file is not a database), give another path"),
        (_noise, "cannot be read as a SQLite database (file is not a database), give another path"),
        (_damaged, "cannot be read as a SQLite database (database disk image is malformed), give another path"),
        (_of_another_program, "is the database of another program, give another path"),
        (_of_another_program_with_alembic, "is the database of another program, give another path"),
        (_newer, "has tables of version 9999, which a newer imagestore-sim made; use that one"),
    ],
)
async def test_a_foreign_file_is_an_error_and_is_not_changed(
    tmp_path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    file = tmp_path / "node.db"
    make(file)
    content = file.read_bytes() if file.is_file() else None
    assert f"{file}: {complaint}" in f"{await _complaint_of(file)}: "
    assert (file.read_bytes() if file.is_file() else None) == content
    assert list(tmp_path.iterdir()) == [file]


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "node.db").touch()
    await _open_and_close(tmp_path / "node.db")
    assert (tmp_path / "node.db").stat().st_size > 0


@pytest.mark.parametrize(
    ("what", "mode", "complaint"),
    [
        (".", 0o555, "{file}: there is no permission to write in the folder {folder}"),
        (".", 0o000, "{file}: cannot be used: Permission denied"),
        ("node.db", 0o444, "{file}: there is no permission to read and write it"),
        ("node.db", 0o000, "{file}: there is no permission to read and write it"),
        ("node.db.lock", 0o000, "{file}.lock: the lock file cannot be used: Permission denied"),
    ],
)
async def test_a_missing_permission_is_an_error(folder: Path, what: str, mode: int, complaint: str) -> None:
    file = new_database(folder)
    (folder / "node.db.lock").touch()
    file.chmod(0o666)
    (folder / what).chmod(mode)
    with ordinary_user():
        said = await _complaint_of(file)
    assert said == complaint.format(file=file, folder=folder)


async def _versions_in(file: Path) -> Sequence[str]:
    async with open_read_only(str(file)) as connection:
        return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()


async def test_a_file_that_is_closed_is_read_in_a_folder_that_cannot_be_written(folder: Path) -> None:
    file = new_database(folder)
    await _open_and_close(file)
    file.chmod(0o444)
    folder.chmod(0o555)
    with ordinary_user():
        assert await _versions_in(file) == [HEAD]


async def test_a_write_ahead_log_that_cannot_be_read_where_it_is_is_named(folder: Path, tmp_path: Path) -> None:
    file, copy = new_database(tmp_path), folder / "node.db"
    with closing(sqlite3.connect(file)) as node:
        node.execute("PRAGMA journal_mode = WAL")
        node.execute("CREATE TABLE later (x)")
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{file}{suffix}", f"{copy}{suffix}")
    folder.chmod(0o555)
    with ordinary_user():
        with pytest.raises(DatabaseError) as caught:
            await _versions_in(copy)
        assert str(caught.value) == (
            f"{copy}: its write-ahead log cannot be read in a folder without the permission to write; "
            "copy the two to another folder"
        )
    folder.chmod(0o777)
    with ordinary_user():
        assert await _versions_in(copy) == [HEAD]


async def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "node.db.lock").symlink_to(precious)
    assert "node.db.lock: the lock file cannot be used: " in await _complaint_of(tmp_path / "node.db")
    assert precious.read_text() == "mine"


async def test_two_nodes_cannot_have_one_file_until_the_first_has_closed_it(tmp_path: Path) -> None:
    file = new_database(tmp_path)
    first = await Database.open(str(file))
    in_use = f"{file}: is in use by another management node (process {os.getpid()}); stop that"
    for _ in range(2):
        assert await _complaint_of(file) == in_use
    await first.close()
    await _open_and_close(file)


@pytest.mark.parametrize(("content", "holder"), [(b"", "unknown"), (b"\xff", "\ufffd"), (b"123\n", "123")])
async def test_the_error_names_the_process_that_holds_the_lock_if_known(
    tmp_path: Path, content: bytes, holder: str
) -> None:
    file = new_database(tmp_path)
    lock = tmp_path / "node.db.lock"
    lock.write_bytes(content)
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert f"(process {holder})" in await _complaint_of(file)
    await _open_and_close(file)


async def test_a_start_that_fails_leaves_the_file_free(tmp_path: Path) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("no such collation")

    with pytest.raises(DatabaseError, match=r"node\.db: cannot be opened: no such collation"):
        await Database.open(str(tmp_path / "node.db"), prepare=refuse)
    await _open_and_close(tmp_path / "node.db")
