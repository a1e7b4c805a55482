#!/usr/bin/python3
"""Mounts a file system that answers every question with an error: `failing.py PATH NAME ERRNO`.

NAME is its name in /proc/mounts; standard output has a line once it is mounted. With an ERRNO of 0 the program
ends at once, and leaves a file system that nobody serves. Otherwise it ends when that is unmounted.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

INIT, FORGET, INTERRUPT, BATCH_FORGET = 26, 2, 36, 42
LONGEST = 2**17
HEADER = struct.Struct("=IIQQIIIHH")


def main(path: str, name: str, number: int) -> None:
    """Mount, and answer until the end."""
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(name.encode(), path.encode(), b"fuse", 0, options) != 0:
        sys.exit(f"{path}: {os.strerror(ctypes.get_errno())}")
    print(name, flush=True)
    if not number:
        return
    while True:
        try:
            request = os.read(device, LONGEST + 4096)
        except OSError:
            return  # ENODEV: it was unmounted
        _, operation, unique, *_ = HEADER.unpack_from(request)
        if operation in (FORGET, INTERRUPT, BATCH_FORGET):
            continue
        error, body = -number, b""
        if operation == INIT:
            error, body = 0, struct.pack("=IIIIHHII32x", 7, 31, 0, 0, 0, 0, LONGEST, 0)
        os.write(device, struct.pack("=IiQ", 16 + len(body), error, unique) + body)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
