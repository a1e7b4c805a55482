"""A real MariaDB for tests, alone or as a Galera cluster of three, in a temporary folder, run as the current user."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

USER, PASSWORD = "sim", "s3cret-of-the-store"
GALERA = Path("/usr/lib/galera/libgalera_smm.so")
VAULT_KEY = "bWFkZS11cC1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU="
"""The key that the nodes of tests share."""
_BOUND = 180.0  # seconds to start or stop
_PORTS = range(12000, 30000)
"""Below those that Linux gives to connections: from 32768 on."""
_ENOUGH = 3 * 1024**3  # bytes
_MEBIBYTE = 2**20
_OPTIONS = (
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--innodb-flush-method=nosync",  # a killed process loses nothing that it wrote
    "--sync-frm=OFF",
    "--performance-schema=OFF",
    "--max-connections=200",
)
_ACCESS = (
    f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;"
    "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;"
)


def find_mariadbd() -> str | None:
    """Return the path of the server; None if it is not installed."""
    return shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def skip_without_mariadb() -> None:
    """Skip the test where Debian's packages are missing."""
    if find_mariadbd() is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("needs MariaDB (Debian: mariadb-server)")


def prepare_data(folder: Path) -> Path:
    """Make the data of a new server in `folder`; a server starts over a copy."""
    data = folder / "prepared"
    done = subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        capture_output=True, text=True, timeout=_BOUND, env=_with_own_temporary_folder(folder),
    )  # fmt: skip
    assert done.returncode == 0, f"no data for a server:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return data


def _with_own_temporary_folder(folder: Path) -> dict[str, str]:
    """Return the environment of a server: one that starts deletes the temporary tables of others in the same folder."""
    (folder / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder / "tmp")}


class MariaDbServer:
    """One server on a free port of 127.0.0.1. It can be stopped, killed, paused and started again on the same port."""

    def __init__(self, folder: Path, prepared: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(prepared, self.data)

    @property
    def socket(self) -> Path:
        """The server's socket, by which root logs in. Its path is short, as the kernel demands."""
        return self.folder / "s"

    @property
    def log(self) -> str:
        """What the server has written to its log."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The pid of the running server."""
        assert self._process is not None
        return self._process.pid

    def url(self, name: str, *, password: str = PASSWORD, port: int | None = None) -> str:
        """Return the URL of a database on the server."""
        return f"mariadb://{USER}:{password}@127.0.0.1:{port or self.port}/{name}"

    def start(self, *options: str) -> None:
        """Start the server, and wait until it answers."""
        mariadbd = find_mariadbd()
        assert mariadbd is not None
        command = [
            mariadbd, "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={self.data}", f"--port={self.port}",
            f"--socket={self.socket}", "--bind-address=127.0.0.1", f"--pid-file={self.folder / 'pid'}",
            *_OPTIONS, *self.options, *options,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=_with_own_temporary_folder(self.folder)
            )
        end = time.monotonic() + _BOUND
        while not self._answers():
            assert self._process.poll() is None, f"the server ended:\n{self.log[-3000:]}"
            assert time.monotonic() < end, f"the server does not answer:\n{self.log[-3000:]}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(subprocess.SubprocessError):
            self.sql("SELECT 1")
            return True
        return False

    def allow_access(self) -> None:
        """Create the user of `url`."""
        self.sql(_ACCESS)

    def sql(self, text: str, database: str = "") -> str:
        """Run statements as root, and return their rows, columns parted by tabs."""
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "--batch", "--skip-column-names"]
        done = subprocess.run(
            [*command, "-e", text, *([database] if database else [])], check=True, capture_output=True, timeout=_BOUND
        )
        return done.stdout.decode().strip()

    def new_database(self, name: str) -> str:
        """Create an empty database, and return its URL."""
        self.sql(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name)

    def stop(self) -> None:
        """End the server, if it runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server, as a machine that loses its power does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process: its connections stay, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_BOUND)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_BOUND)
        self._process = None


class GaleraCluster:
    """Servers that are one cluster: what one of them commits, all of them hold."""

    def __init__(self, folder: Path, prepared: Path, size: int = 3) -> None:
        """Prepare the servers. All begin with the data of the first one, so that none has to be sent them."""
        ports = [free_port() for _ in range(size)]
        peers = ",".join(f"127.0.0.1:{port}" for port in ports)
        first = MariaDbServer(folder / "0", prepared, *_of_galera(0, ports[0], peers))
        first.start("--wsrep-new-cluster")
        first.allow_access()
        first.stop()
        folder.chmod(0o755)  # the program that sends what is missing gives up root's rights
        self.servers = [
            first,
            *(
                MariaDbServer(folder / str(number), first.data, *_of_galera(number, port, peers))
                for number, port in enumerate(ports)
                if number
            ),
        ]
        for server in self.servers:
            server.data.chmod(0o777)

    def start(self) -> None:
        """Start the first server as the cluster, and let the others join it."""
        first, *others = self.servers
        first.start("--wsrep-new-cluster")
        for server in others:
            server.start()
        self.wait_for(self.servers)

    @staticmethod
    def wait_for(servers: Sequence[MariaDbServer]) -> None:
        """Wait until the servers are one cluster, and take part in it."""
        end = time.monotonic() + _BOUND
        ready = ["wsrep_cluster_size\t" + str(len(servers)), "wsrep_ready\tON"]
        for server in servers:
            names = "'wsrep_cluster_size', 'wsrep_ready'"
            while server.sql(f"SHOW STATUS WHERE Variable_name IN ({names})").split("\n") != ready:
                assert time.monotonic() < end, f"the cluster is not whole:\n{server.log[-3000:]}"
                time.sleep(0.1)

    def stop(self) -> None:
        """End all servers."""
        for server in reversed(self.servers):
            server.stop()


def _of_galera(number: int, port: int, peers: str) -> tuple[str, ...]:
    return (
        f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
        "--wsrep-on=ON",
        f"--wsrep-provider={GALERA}",
        "--wsrep-cluster-name=tests",
        f"--wsrep-cluster-address=gcomm://{peers}",
        f"--wsrep-node-name=server-{number}",
        f"--wsrep-node-address=127.0.0.1:{port}",
        f"--wsrep-provider-options=base_port={port};gmcast.listen_addr=tcp://127.0.0.1:{port};"
        f"ist.recv_addr=127.0.0.1:{free_port()};gcache.size=16M",
        "--wsrep-sst-method=rsync",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    )


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, and that no connection takes until a server does.

    A port that the system gives to a socket it gives to the next connection as well: those of hosts and nodes are many,
    and a server binds its port only seconds later, or again after it was stopped.
    """
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    """Provide a temporary folder for data, in memory where there is enough: a server makes many small files."""
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH
    with tempfile.TemporaryDirectory(
        dir=memory if in_memory else None, prefix="sim-", ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


@pytest.fixture(scope="session")
def prepared_mariadb() -> Iterator[Path]:
    """Return the data of a new server, made once in a run of tests."""
    skip_without_mariadb()
    with data_folder() as folder:
        yield prepare_data(folder)


@pytest.fixture(scope="session")
def mariadb_server(prepared_mariadb: Path) -> Iterator[MariaDbServer]:
    """Return the server that tests share which do no harm to it."""
    with data_folder() as folder:
        yield from _running(MariaDbServer(folder / "m", prepared_mariadb))


@pytest.fixture
def own_mariadb(prepared_mariadb: Path) -> Iterator[MariaDbServer]:
    """Return a server for one test, which may stop it."""
    with data_folder() as folder:
        yield from _running(MariaDbServer(folder / "m", prepared_mariadb))


@pytest.fixture
def small_mariadb(prepared_mariadb: Path) -> Iterator[MariaDbServer]:
    """Return a server whose data are on a file system of their own, of 224 MiB."""
    with data_folder() as folder:
        disk = folder / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=224m", "tmpfs", str(disk)]
        mounted = subprocess.run(command, capture_output=True, text=True, timeout=_BOUND)
        if mounted.returncode:
            pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
        try:
            yield from _running(MariaDbServer(disk / "m", prepared_mariadb))
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=_BOUND)


@contextlib.contextmanager
def full_disk(server: MariaDbServer) -> Iterator[None]:
    """Fill up the file system of a server while the block runs."""
    ballast = server.folder / "ballast"
    with ballast.open("wb") as file:
        for _ in range(shutil.disk_usage(server.folder).free // _MEBIBYTE):
            file.write(bytes(_MEBIBYTE))
        file.write(bytes(shutil.disk_usage(server.folder).free))
    try:
        yield
    finally:
        ballast.unlink()


def _running(server: MariaDbServer) -> Iterator[MariaDbServer]:
    try:
        server.start()
        server.allow_access()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def galera(prepared_mariadb: Path) -> Iterator[GaleraCluster]:
    """Return a cluster of three."""
    if not GALERA.exists():
        pytest.skip("needs Galera (Debian: galera-4)")
    with data_folder() as folder:
        cluster = GaleraCluster(folder, prepared_mariadb)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
