"""What befalls the store of a node from outside of its process, for as long as a block runs."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from processes import child

SMALL = 100_000
WRITING = "pwrite64,write,ftruncate,fsync,fdatasync,fallocate"
FilesFault = Callable[[int, Path], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def small_files(pid: int, file: Path) -> AsyncIterator[None]:
    """No file grows beyond a limit, as on a disk that is full."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@asynccontextmanager
async def full_disk(pid: int, file: Path) -> AsyncIterator[None]:
    """Fill the file system during the block; it is a small one, see `disk_of_its_own`."""
    filler = file.parent / "filler"
    with filler.open("wb", buffering=0) as filling, suppress(OSError):
        while filling.write(b"x" * 4096):
            pass
    yield
    filler.unlink()


@asynccontextmanager
async def locked(pid: int, file: Path) -> AsyncIterator[None]:
    """Another process holds the lock of the database."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30)) as other:
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def immutable(pid: int, file: Path) -> AsyncIterator[None]:
    """Make the files of a database immutable (chattr +i) inside the block."""
    files = [str(one) for one in file.parent.glob(f"{file.name}*") if not one.name.endswith(".lock")]
    await _run("chattr", "+i", *files)
    yield
    await _run("chattr", "-i", *files)


@asynccontextmanager
async def read_only(pid: int, file: Path) -> AsyncIterator[None]:
    """Make writes fail with EROFS during the block, as on a file system that has found an error in itself."""
    async with _refused_by_the_kernel(pid, file, "EROFS"):
        yield


@asynccontextmanager
async def io_errors(pid: int, file: Path) -> AsyncIterator[None]:
    """Make writes fail with EIO during the block."""
    async with _refused_by_the_kernel(pid, file, "EIO"):
        yield


@asynccontextmanager
async def _refused_by_the_kernel(pid: int, file: Path, error: str) -> AsyncIterator[None]:
    if shutil.which("strace") is None:
        pytest.skip("needs strace, which has system calls fail")
    paths = [argument for suffix in ("", "-wal", "-shm") for argument in ("-P", f"{file}{suffix}")]
    command = ["strace", "-f", "-p", str(pid), "-o", os.devnull, *paths, "-e", f"inject={WRITING}:error={error}"]
    async with child(*command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        if b"attached" not in await tracer.stderr.readline():
            pytest.skip("strace may not attach to a process here")
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            await tracer.communicate()


@asynccontextmanager
async def disk_of_its_own(folder: Path) -> AsyncIterator[None]:
    """Mount a small file system at a folder."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, to mount a small file system")
    await _run("mount", "-t", "tmpfs", "-o", "size=3M", "tmpfs", str(folder))
    try:
        yield
    finally:
        await _run("umount", "--lazy", str(folder))


async def _run(*command: str) -> None:
    async with child(*command, stderr=subprocess.PIPE) as process:
        _, errors = await process.communicate()
    if process.returncode:
        pytest.skip(f"{command[0]} cannot be used here: {errors.decode().strip()}")
