"""How many more files and sockets this process may open. Simulated hosts and probes leave some for clients."""

from __future__ import annotations

import errno
import os
import resource

COUNTED_UP_TO = 4096
RESERVED = 24
"""Files that hosts and probes leave for clients, the database and logs."""
FEW = RESERVED
"""A node with no more files than this reports it; no more hosts are created."""
MOST = 2**20


def limit() -> int:
    """Return how many files may be open at once, MOST at most."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], MOST)


def raise_limit() -> None:
    """Raise the soft limit to the hard one: the usual soft limit is meant for programs that call select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def left() -> int:
    """Return how many more files may be opened; under a high limit, estimate it from the lowest free descriptor."""
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
    """Raise OSError (EMFILE), as an open would, once fewer than RESERVED are left."""
    if left() < RESERVED:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
