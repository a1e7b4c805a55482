"""Connections to a MariaDB that cannot be opened: one line says why, at a start and while a node runs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import literal, select

from imagestore_sim.database import Database, DatabaseError, StoreUnavailable
from imagestore_sim.database.mariadb import opening
from imagestore_sim.tasks import cancel_and_wait, new_event_loop
from mariadb_server import MariaDbServer
from rows import rows

pytestmark = [pytest.mark.mariadb, pytest.mark.plain_loop]

SECRET = "a@b:c/d%e#f?gé🎉 +&"
QUOTED = "a%40b%3Ac%2Fd%25e%23f%3Fg%C3%A9%F0%9F%8E%89%20%2B%26"
BOUND = 120.0


async def _complaint_of(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        await Database.open(url)
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    return said


def _new_user(server: MariaDbServer, more: str = "", *, password: str = "secret") -> str:
    """Create a database and a user who may do all in it; return its URL with `{}` for the password."""
    name, user = f"t{uuid4().hex[:12]}", f"u{uuid4().hex[:12]}"
    server.sql(
        f"CREATE DATABASE {name}; CREATE USER {user}@'%' IDENTIFIED BY '{password}'; "
        f"GRANT ALL ON {name}.* TO {user}@'%'; {f'ALTER USER {user} {more}' if more else ''}"
    )
    return f"mariadb://{user}:secret@127.0.0.1:{server.port}/{name}"


def _user(url: str) -> str:
    return url.removeprefix("mariadb://").partition(":")[0]


def _kill_all(server: MariaDbServer, url: str) -> None:
    """End the connections of a user, and wait until the server has forgotten them."""
    open_ones = f"SELECT id FROM information_schema.processlist WHERE user = '{_user(url)}'"
    for one in server.sql(open_ones).split():
        server.sql(f"KILL {one}")
    end = time.monotonic() + BOUND
    while server.sql(open_ones):
        assert time.monotonic() < end
        time.sleep(0.05)


# What answers there


@asynccontextmanager
async def _service(greeting: bytes, *, closes: bool = False) -> AsyncIterator[str]:
    """Run a service that says `greeting` to each that connects; provide the URL of a database there."""
    greeted: list[asyncio.Task[object] | None] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.append(asyncio.current_task())
        writer.write(greeting)
        if not closes:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield f"mariadb://u:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/d"
        await asyncio.gather(*filter(None, greeted), return_exceptions=True)


@rows(
    "greeting",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"220 mail.example ESMTP\r\n",
        bytes(64),
        b"\xff" * 200,
        bytes(4),
        b"\x01\0\0\0\x0a",
        b"\x05\0\0\0\x0a5.5.",
        b"\x12\0\0\0\x0a5\0\x08\0\0\0abcdefgh\0\xff\xff",
        b"\x05\0\0\0\x0b\x08\x05\x1a\0",
    ],
)
async def test_another_service_is_no_mariadb(greeting: bytes) -> None:
    async with _service(greeting) as url:
        assert (await _complaint_of(url)).endswith("/d: cannot be opened: what answers there is no MariaDB")


async def test_a_service_that_closes_the_connection_is_named() -> None:
    async with _service(b"", closes=True) as url:
        assert "the other end closes the connection before it can be used" in await _complaint_of(url)


@contextmanager
def _closing_service() -> Iterator[str]:
    """Run a service in a thread that closes each connection at once, as a proxy without servers does."""

    def close_each() -> None:
        with suppress(OSError):
            while True:
                listening.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=close_each)
        thread.start()
        yield f"mariadb://u:secret@127.0.0.1:{listening.getsockname()[1]}/d"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@rows("make_loop", [asyncio.new_event_loop, new_event_loop])
def test_a_connection_that_is_closed_before_the_driver_has_set_it_up_is_named_on_a_busy_event_loop(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def complain(url: str) -> str:
        busy = asyncio.create_task(_keep_busy())
        try:
            return await _complaint_of(url)
        finally:
            await cancel_and_wait(busy)

    with _closing_service() as url, asyncio.Runner(loop_factory=make_loop) as runner:
        for _ in range(10):
            assert "the other end closes the connection before it can be used" in runner.run(complain(url))


async def _keep_busy() -> None:
    while True:
        time.sleep(0.002)  # noqa: ASYNC251 - the event loop is to be late
        await asyncio.sleep(0)


async def test_a_service_that_says_nothing_is_waited_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OPEN_SECONDS", 0.3)
    async with _service(b"") as url:
        async with asyncio.timeout(BOUND / 4):  # the driver itself would wait for 40 s
            said = await _complaint_of(url)
        assert "accepts the connection, and says nothing for 0.3 s" in said


@rows(
    ("where", "why"),
    [
        ("127.0.0.1:1/d", "Connection refused"),
        ("localhost/d?unix_socket=/nosuch/socket", "No such file or directory"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_one_line_with_the_reason(where: str, why: str) -> None:
    said = await _complaint_of(f"mariadb://u:secret@{where}")
    assert f"cannot be opened: the database server cannot be reached: {why}" in said


async def test_a_server_that_takes_small_statements_only_is_refused_at_the_start(own_mariadb: MariaDbServer) -> None:
    url = _new_user(own_mariadb)
    own_mariadb.stop()
    own_mariadb.start("--max-allowed-packet=32K")
    assert "max_allowed_packet of the server is 32768; 1048576 or more is needed" in await _complaint_of(url)


# TLS


def _write_pair(folder: Path, passphrase: bytes | None) -> None:
    """Write a certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    began = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(began).not_valid_after(began + timedelta(days=36500)).sign(key, hashes.SHA256())
    )  # fmt: skip
    sealed = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealed))


async def test_files_of_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    _write_pair(tmp_path, b"a passphrase")
    (tmp_path / "none.pem").write_text("none")
    start = f"mariadb://u:secret@127.0.0.1:1/d?ssl_cert={tmp_path}"
    for parameters, complaint in (
        (f"ssl_ca={tmp_path}/nosuch.pem", f"ssl_ca: {tmp_path}/nosuch.pem: No such file or directory"),
        (f"ssl_ca={tmp_path}/none.pem", f"ssl_ca: {tmp_path}/none.pem: holds no certificate in PEM form"),
        (f"ssl_key={tmp_path}/key.pem", "ssl_key: needs ssl_cert, the certificate of this key"),
        (f"ssl_cert={tmp_path}/none.pem", f"ssl_cert: {tmp_path}/none.pem: hold no certificate with its key"),
        (
            f"ssl_cert={tmp_path}/cert.pem&ssl_key={tmp_path}/key.pem",
            f"ssl_key: {tmp_path}/key.pem: the key has a passphrase, give one without",
        ),
    ):
        assert complaint in await _complaint_of(f"{start.partition('?')[0]}?{parameters}")


async def test_a_server_with_a_certificate_of_its_own_is_trusted_with_that_certificate_alone(
    own_mariadb: MariaDbServer, tmp_path: Path
) -> None:
    _write_pair(tmp_path, None)
    url = _new_user(own_mariadb).replace("127.0.0.1", "localhost")
    assert "speaks no TLS that can be used" in await _complaint_of(f"{url}?ssl_ca={tmp_path}/cert.pem")
    own_mariadb.stop()
    own_mariadb.start(
        f"--ssl-cert={tmp_path}/cert.pem", f"--ssl-key={tmp_path}/key.pem", "--require-secure-transport=ON"
    )
    assert "refuses this user or password" in await _complaint_of(url)  # all that this server says
    other = tmp_path / "other"
    other.mkdir()
    _write_pair(other, None)
    said = await _complaint_of(f"{url}?ssl_ca={other}/cert.pem")
    assert "the certificate of the database server is not trusted: " in said
    await (await Database.open(f"{url}?ssl_ca={tmp_path}/cert.pem")).close()


# Accounts


async def test_a_password_may_hold_any_character(mariadb_server: MariaDbServer) -> None:
    url = _new_user(mariadb_server, password=SECRET).replace(":secret@", f":{QUOTED}@")
    await (await Database.open(url)).close()


@rows(
    ("more", "complaint"),
    [
        ("ACCOUNT LOCK", "the database server refuses this user or password: Access denied, this account is locked"),
        ("PASSWORD EXPIRE", "the database server refuses this user or password: "),
        ("WITH MAX_USER_CONNECTIONS 1", "this user has reached a limit of its account: "),
    ],
)
async def test_an_account_that_may_not_log_in_is_one_line(
    more: str, complaint: str, mariadb_server: MariaDbServer
) -> None:
    assert complaint in await _complaint_of(_new_user(mariadb_server, more))


@rows("right", ["SELECT", "SELECT, INSERT, UPDATE, DELETE"])
async def test_an_account_without_the_rights_is_one_line(right: str, mariadb_server: MariaDbServer) -> None:
    url = _new_user(mariadb_server)
    name = url.rpartition("/")[2]
    mariadb_server.sql(f"REVOKE ALL ON {name}.* FROM {_user(url)}; GRANT {right} ON {name}.* TO {_user(url)}")
    said = await _complaint_of(url)
    assert "does not let this user do that, who needs GRANT ALL on the database: CREATE command denied" in said
    assert said.count("mariadb://") == 1


async def test_reads_wait_for_one_another_where_an_account_may_have_no_more_connections(
    mariadb_server: MariaDbServer,
) -> None:
    url = _new_user(mariadb_server)
    await (await Database.open(url)).close()
    mariadb_server.sql(f"ALTER USER {_user(url)} WITH MAX_USER_CONNECTIONS 4")
    database = await Database.open(url)
    reads = [database.fetch("SELECT SLEEP(0.02)", ()) for _ in range(20)]
    async with asyncio.timeout(BOUND):
        await asyncio.gather(*reads, *(database.read(select(literal(1))) for _ in range(20)))
        async with database.transaction(), database.beat():
            pass
    assert database.health.failures == 0
    _kill_all(mariadb_server, url)
    async with asyncio.timeout(BOUND):  # whichever reads first may take all that there are
        async with database.transaction(), database.beat():
            pass
        await asyncio.gather(*(database.fetch("SELECT SLEEP(0.02)", ()) for _ in range(8)), return_exceptions=True)
        await database.read(select(literal(1)))
        await asyncio.gather(*(database.read(select(literal(1))) for _ in range(8)), return_exceptions=True)
        await database.fetch("SELECT 1", ())
    with pytest.raises(StoreUnavailable, match="cannot be read: this user has reached a limit of its account"):
        async with database.read_snapshot():
            pass
    await database.close()


async def test_an_account_that_is_locked_while_a_node_runs_is_the_reason_until_it_is_unlocked(
    mariadb_server: MariaDbServer,
) -> None:
    url = _new_user(mariadb_server)
    database = await Database.open(url)
    mariadb_server.sql(f"ALTER USER {_user(url)} ACCOUNT LOCK")
    _kill_all(mariadb_server, url)
    for use in (database.current_revision, lambda: database.fetch("SELECT 1", ()), database.now):
        with pytest.raises(StoreUnavailable, match=r"refuses this user or password: .* account is locked"):
            await use()
    with pytest.raises(StoreUnavailable, match=r"refuses this user or password: .* account is locked"):
        async with database.transaction():
            pass
    with pytest.raises(StoreUnavailable, match=r"cannot be written by the heartbeat: .* account is locked"):
        async with database.beat():
            pass
    mariadb_server.sql(f"ALTER USER {_user(url)} ACCOUNT UNLOCK")
    async with asyncio.timeout(BOUND):
        await database.health.until_it_works()
    await database.close()


async def test_a_heartbeat_without_a_connection_is_a_problem_until_it_has_one(
    mariadb_server: MariaDbServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = _new_user(mariadb_server)
    database = await Database.open(url)
    mariadb_server.sql(f"ALTER USER {_user(url)} WITH MAX_USER_CONNECTIONS 1")
    _kill_all(mariadb_server, url)
    for _ in range(3):
        async with database.transaction():  # takes the one connection
            pass
        with pytest.raises(StoreUnavailable, match="by the heartbeat: this user has reached a limit of its account"):
            async with database.beat():
                pass
        assert "by the heartbeat" in str(database.health.problem)
    assert [one.levelname for one in caplog.records] == ["ERROR"]
    mariadb_server.sql(f"ALTER USER {_user(url)} WITH MAX_USER_CONNECTIONS 0")
    async with asyncio.timeout(BOUND):
        await database.health.until_it_works()
    await database.close()
