#!/usr/bin/python3
"""Mounts a file system that answers nothing, as NFS whose server has gone: `hung.py PATH NAME`.

NAME is what it is called in /proc/mounts; it is told on standard output when that is so. At SIGTERM, by which somebody
has unmounted it, who waited for its numbers gets those of what is at PATH then.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

INIT, GETATTR, STATFS, FORGET, INTERRUPT = 26, 3, 17, 2, 36
LONGEST = 2**17
HEADER = struct.Struct("=IIQQIIIHH")
DIRECTORY = 0o40755


def statfs(numbers: os.statvfs_result) -> bytes:
    """struct fuse_kstatfs."""
    return struct.pack(
        "=QQQQQIIII24x",
        numbers.f_blocks, numbers.f_bfree, numbers.f_bavail, numbers.f_files, numbers.f_ffree,
        numbers.f_bsize, numbers.f_namemax, numbers.f_frsize, 0,
    )  # fmt: skip


def answer(operation: int, path: str) -> tuple[int, bytes]:
    """The error and the body of an answer."""
    if operation == INIT:
        return 0, struct.pack("=IIIIHHII32x", 7, 31, 0, 0, 0, 0, LONGEST, 0)
    if operation == GETATTR:
        return 0, struct.pack("=QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, 0, 0, 0, 4096, 0)
    if operation == STATFS:
        return 0, statfs(os.statvfs(path))
    return -38, b""  # ENOSYS


def main(path: str, name: str) -> None:
    """Mount, wait for the end, answer whoever waits."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(name.encode(), path.encode(), b"fuse", 0, options) != 0:
        sys.exit(f"{path}: {os.strerror(ctypes.get_errno())}")
    print(name, flush=True)
    signal.sigwait({signal.SIGTERM})
    while True:
        try:
            request = os.read(device, LONGEST + 4096)
        except OSError:
            return  # ENODEV: nobody has anything open on it any more
        _, operation, unique, *_ = HEADER.unpack_from(request)
        if operation not in (FORGET, INTERRUPT):
            error, body = answer(operation, path)
            os.write(device, struct.pack("=IiQ", 16 + len(body), error, unique) + body)


main(*sys.argv[1:])
