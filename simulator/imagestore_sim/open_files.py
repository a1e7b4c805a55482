"""How many more files and sockets this process may open: simulated hosts and probes leave some for the door."""

from __future__ import annotations

import errno
import os
import resource

COUNTED_UP_TO = 4096
RESERVED = 24
"""Left for clients, for the store and for logs by whatever else opens a connection."""
FEW = RESERVED
"""Told from here on, where no more hosts are made."""
MOST = 2**20


def limit() -> int:
    """How many may be open at once."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], MOST)


def raise_limit() -> None:
    """Allow as many as this user may: the usual limit is one for programs that call select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def left() -> int:
    """How many more may be opened. A high limit is not counted up to: the lowest free number tells nearly as well."""
    most = limit()
    try:
        if most <= COUNTED_UP_TO:
            return most - len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:  # not on Linux
        pass
    except OSError:
        return 0
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(lowest)
    return most - lowest


def check_some_left() -> None:
    """Raise OSError, as an open would, once no more are left than the door needs."""
    if left() < RESERVED:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
