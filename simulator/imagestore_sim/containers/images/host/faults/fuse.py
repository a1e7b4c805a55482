#!/usr/bin/python3
"""Mounts a FUSE file system that is broken.

`fuse.py PATH NAME fail ERRNO`: every request fails with that error, until the file system is unmounted.
`fuse.py PATH NAME abandon`: the program ends at once, and leaves the file system without a server.
`fuse.py PATH NAME hang`: no request is answered, as with NFS whose server is gone. At SIGTERM, which comes after the
    file system was unmounted, those who wait for its numbers get the numbers of what is at PATH then.

NAME is the source in /proc/mounts. The program prints it, as its only line, once the file system is mounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
from collections.abc import Callable

INIT, FORGET, INTERRUPT, BATCH_FORGET = 26, 2, 36, 42
GETATTR, STATFS = 3, 17
WITHOUT_REPLY = (FORGET, INTERRUPT, BATCH_FORGET)
MAX_WRITE = 2**17
HEADER = struct.Struct("=IIQQIIIHH")
DIRECTORY = 0o40755


def mount(path: str, name: str) -> int:
    """Mount the file system, and return the descriptor of its requests."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(name.encode(), path.encode(), b"fuse", 0, options) != 0:
        sys.exit(f"{path}: {os.strerror(ctypes.get_errno())}")
    return device


def serve(device: int, answer: Callable[[int], tuple[int, bytes]]) -> None:
    """Answer requests, `answer(operation)` being an errno and a body, until the file system is unmounted."""
    while True:
        try:
            request = os.read(device, MAX_WRITE + 4096)
        except OSError:
            return  # ENODEV: it is unmounted, and no file on it is open
        _, operation, unique, *_ = HEADER.unpack_from(request)
        if operation in WITHOUT_REPLY:
            continue
        error, body = (0, init_out()) if operation == INIT else answer(operation)
        os.write(device, struct.pack("=IiQ", 16 + len(body), -error, unique) + body)


def init_out() -> bytes:
    """Return struct fuse_init_out."""
    return struct.pack("=IIIIHHII32x", 7, 31, 0, 0, 0, 0, MAX_WRITE, 0)


def attr_out() -> bytes:
    """Return struct fuse_attr_out of the root directory."""
    return struct.pack("=QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, 0, 0, 0, 4096, 0)


def statfs_out(path: str) -> bytes:
    """Return struct fuse_statfs_out, with the numbers of the file system at a path."""
    numbers = os.statvfs(path)
    return struct.pack(
        "=QQQQQIIII24x",
        numbers.f_blocks, numbers.f_bfree, numbers.f_bavail, numbers.f_files, numbers.f_ffree,
        numbers.f_bsize, numbers.f_namemax, numbers.f_frsize, 0,
    )  # fmt: skip


def answer_from(path: str, operation: int) -> tuple[int, bytes]:
    """Answer a request from what is at a path."""
    if operation == GETATTR:
        return 0, attr_out()
    if operation == STATFS:
        return 0, statfs_out(path)
    return errno.ENOSYS, b""


def main(path: str, name: str, mode: str, number: str = "0") -> None:
    """Mount, and behave as the mode says."""
    if mode == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    device = mount(path, name)
    print(name, flush=True)
    if mode == "hang":
        signal.sigwait({signal.SIGTERM})
        serve(device, lambda operation: answer_from(path, operation))
    elif mode == "fail":
        serve(device, lambda _operation: (int(number), b""))


main(*sys.argv[1:])
