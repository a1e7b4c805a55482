"""Capacity by `df -kP`, for hosts without SFTP; as POSIX defines it, GNU, busybox and BSD agree on it (domain 7.2)."""

from __future__ import annotations

import re

from imagestore_sim.probe import shell
from imagestore_sim.probe.capacity import Space
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.failures import Failed, excerpt
from imagestore_sim.probe.target import Request
from imagestore_sim.reasons import Reason

_COMMAND = '$t df -kP -- "$1/."'
# Total, used, available, per cent, mount point: matched from the right, since the source before them may hold spaces.
_RECORD = re.compile(r"(?:^|.*\s)(\d{1,40})\s+-?\d{1,40}\s+(-?\d{1,40})\s+(?:-?\d{1,40}%|-)\s+(/.*)")


_LONGEST = 4096  # characters at the end of a line that are matched: more than a mount point can have


async def measure(connection: Connection, request: Request) -> Space:
    """Run df, and return the space. Raise Unsupported if the host has no df, Failed, asyncssh.Error, OSError."""
    return await shell.measure(connection, request, _COMMAND, parse)


def parse(output: str) -> Space:
    """Return the space in the last record of df's output. Raise Failed(no_capacity) without any record."""
    records = [record for line in output.splitlines() if (record := _RECORD.match(line[-_LONGEST:]))]
    if not records:
        raise Failed(Reason.NO_CAPACITY, f'no capacity in the answer of df, "{excerpt(output)}"')
    total, available, mount_point = records[-1].groups()
    return Space.of_blocks(1024, int(total), int(available), file_system=f"on {mount_point.strip()}")
