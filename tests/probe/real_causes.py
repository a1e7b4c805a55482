"""How each failure is caused on a real OpenSSH server, and undone again."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ssh_stubs import Handler, tcp_server

import imagestore_sim
from processes import child
from sshd import OpenSshServer

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
MIB = 2**20


@dataclass
class Real:
    """A real server, and the storage on it."""

    sshd: OpenSshServer
    url: Path
    disk: bool = False
    """Whether a tmpfs of its own is mounted at the url."""

    def run(self, *words: str) -> None:
        """Run a program that must succeed."""
        subprocess.run(words, check=True, capture_output=True)


Cause = Callable[[Real], AbstractAsyncContextManager[None]]


def needs_root() -> None:
    """Skip the test unless it may mount."""
    if os.geteuid() != 0:
        pytest.skip("mounts file systems, which needs root")


@contextmanager
def mounted(url: Path, kind: str, options: str) -> Iterator[None]:
    """Mount a file system at `url`; skip the test where mounting is not allowed."""
    needs_root()
    done = subprocess.run(["mount", "-t", kind, "-o", options, "test", str(url)], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"may not mount {kind} here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(url)], check=False, capture_output=True)


def configured(*lines: str, sftp: bool = True) -> Cause:
    """Other lines in sshd_config, and a reload."""

    @asynccontextmanager
    async def cause(real: Real) -> AsyncIterator[None]:
        directory = real.sshd.directory
        real.sshd.reload(*(line.format(directory=directory, url=real.url) for line in lines), sftp=sftp)
        yield
        real.sshd.reload()

    return cause


@asynccontextmanager
async def stopped(real: Real) -> AsyncIterator[None]:
    real.sshd.stop()
    yield
    real.sshd.start()


@asynccontextmanager
async def frozen(real: Real) -> AsyncIterator[None]:
    with real.sshd.frozen():
        yield


@asynccontextmanager
async def connections_frozen(real: Real) -> AsyncIterator[None]:
    with real.sshd.frozen(listener=False):
        yield


@asynccontextmanager
async def connections_killed(real: Real) -> AsyncIterator[None]:
    real.sshd.kill_connections()
    yield


def firewall(*verdict: str) -> Cause:
    """Return a cause: a firewall rule for packets to the server."""

    @asynccontextmanager
    async def cause(real: Real) -> AsyncIterator[None]:
        if os.geteuid() != 0 or shutil.which("iptables") is None:
            pytest.skip("needs root and iptables")
        rule = ("INPUT", "-p", "tcp", "--dport", str(real.sshd.port), "-j", *verdict)
        try:
            real.run("iptables", "-w", "-I", *rule)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"may not change the firewall here: {error.stderr.decode().strip()}")
        try:
            yield
        finally:
            real.run("iptables", "-w", "-D", *rule)

    return cause


def replaced_by(handler: Handler) -> Cause:
    """Another server on the port."""

    @asynccontextmanager
    async def cause(real: Real) -> AsyncIterator[None]:
        real.sshd.stop()
        async with tcp_server(handler, real.sshd.port):
            yield
        real.sshd.start()

    return cause


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    no_linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)


@asynccontextmanager
async def key_taken_back(real: Real) -> AsyncIterator[None]:
    keys = real.sshd.directory / "authorized_keys"
    text = keys.read_text()
    keys.write_text("")
    yield
    keys.write_text(text)


@asynccontextmanager
async def new_host_key(real: Real) -> AsyncIterator[None]:
    key = real.sshd.directory / "host_key"
    before = key.read_bytes()
    real.sshd.new_host_key()
    real.sshd.reload()
    yield
    key.write_bytes(before)
    real.sshd.reload()


@asynccontextmanager
async def startups_taken(real: Real) -> AsyncIterator[None]:
    real.sshd.reload("MaxStartups 1:100:1")
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", real.sshd.port)
        while not (await reader.readline()).startswith(b"SSH-"):  # until sshd has done with the check of its reload
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", real.sshd.port)
    yield
    writer.close()
    real.sshd.reload()


@asynccontextmanager
async def killing_sessions(real: Real) -> AsyncIterator[None]:
    async with configured("ForceCommand kill -9 $PPID")(real):
        real.sshd.kill_connections()
        yield


@asynccontextmanager
async def without_programs(real: Real) -> AsyncIterator[None]:
    programs = real.sshd.directory / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("sh", "env", "timeout"):
        with contextlib.suppress(FileExistsError):
            (programs / name).symlink_to(str(shutil.which(name)))
    line = 'ForceCommand PATH={directory}/programs exec sh -c "$SSH_ORIGINAL_COMMAND"'
    async with configured(line, sftp=False)(real):
        real.sshd.kill_connections()
        yield


@asynccontextmanager
async def sftp_hung(real: Real) -> AsyncIterator[None]:
    with real.sshd.frozen(listener=False):
        async with configured("Subsystem sftp exec sleep 20", sftp=False)(real):
            yield


@asynccontextmanager
async def moved_away(real: Real) -> AsyncIterator[None]:
    away = real.url.rename(real.url.with_name("away"))
    yield
    away.rename(real.url)


@asynccontextmanager
async def file_in_place(real: Real) -> AsyncIterator[None]:
    async with moved_away(real):
        real.url.touch()
        yield
        real.url.unlink()


@asynccontextmanager
async def parent_closed(real: Real) -> AsyncIterator[None]:
    if os.geteuid() == 0:
        pytest.skip("root may go everywhere")
    parent = real.url.parent
    parent.chmod(0)
    try:
        yield
    finally:
        parent.chmod(0o755)


@asynccontextmanager
async def unmounted(real: Real) -> AsyncIterator[None]:
    real.run("umount", "--lazy", str(real.url))
    yield
    # What was on a tmpfs is gone with it: as good as a disk that is mounted again.
    real.run("mount", "-t", "tmpfs", "-o", "size=8m", "test", str(real.url))
    (real.url / "registry").mkdir()


@asynccontextmanager
async def host_replaced(real: Real) -> AsyncIterator[None]:
    needs_root()
    real.run("mount", "-t", "tmpfs", "-o", "size=16m", "test", str(real.url))
    async with new_host_key(real):
        real.sshd.kill_connections()
        yield
    real.run("umount", "--lazy", str(real.url))


def remounted(options: str, back: str) -> Cause:
    """Return a cause: the disk remounted with other options."""

    @asynccontextmanager
    async def cause(real: Real) -> AsyncIterator[None]:
        real.run("mount", "-o", f"remount,{options}", str(real.url))
        yield
        real.run("mount", "-o", f"remount,{back}", str(real.url))

    return cause


@asynccontextmanager
async def filled(real: Real) -> AsyncIterator[None]:
    file = real.url / "filling"
    with contextlib.suppress(OSError), file.open("wb") as opened:
        while True:
            opened.write(bytes(MIB))
            opened.flush()
    yield
    file.unlink()


@asynccontextmanager
async def out_of_inodes(real: Real) -> AsyncIterator[None]:
    folder = real.url / "many"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (folder / str(number)).touch()
    yield
    shutil.rmtree(folder)


@asynccontextmanager
async def without_blocks(real: Real) -> AsyncIterator[None]:
    with mounted(real.url, "proc", "ro"):
        yield


@asynccontextmanager
async def hung(real: Real) -> AsyncIterator[None]:
    """Mount a FUSE file system whose program does not answer."""
    needs_root()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"needs FUSE: {error}")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hung", str(real.url).encode(), b"fuse", 0, options) != 0:
        os.close(device)
        pytest.skip(f"may not mount FUSE here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        libc.umount2(str(real.url).encode(), 2)  # MNT_DETACH
        os.close(device)  # ends whatever waits for an answer


FUSE = Path(imagestore_sim.__file__).with_name("containers") / "images/host/faults/fuse.py"


def failing(number: int) -> Cause:
    """Return a cause: a FUSE file system whose program answers each request with an error, or has ended (0)."""

    @asynccontextmanager
    async def cause(real: Real) -> AsyncIterator[None]:
        needs_root()
        assert FUSE.is_file()
        failure = ("fail", str(number)) if number else ("abandon",)
        words = (sys.executable, str(FUSE), str(real.url), "failing", *failure)
        async with child(*words, stdout=-1, stderr=asyncio.subprocess.STDOUT) as program:
            assert program.stdout is not None
            said = (await program.stdout.readline()).decode().strip()
            if said != "failing":
                await program.wait()
                pytest.skip(f"needs FUSE: {said}")
            try:
                yield
            finally:
                ctypes.CDLL(None).umount2(str(real.url).encode(), 2)  # MNT_DETACH

    return cause


@asynccontextmanager
async def nothing(_real: Real) -> AsyncIterator[None]:
    yield
