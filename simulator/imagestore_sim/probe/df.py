"""Capacity by `df -kP`, for hosts without SFTP: POSIX, so GNU, busybox and BSD have it alike (domain 7.2)."""

from __future__ import annotations

import re

from imagestore_sim.probe import shell
from imagestore_sim.probe.capacity import Space
from imagestore_sim.probe.connections import Connection
from imagestore_sim.probe.failures import Failed, Reason, excerpt
from imagestore_sim.probe.target import Request

_COMMAND = '$t df -kP -- "$1/."'
# Total, used, available, per cent, mount point: found from the right, as the source before them may hold spaces.
_RECORD = re.compile(r"(?:^|.*\s)(\d{1,40})\s+-?\d{1,40}\s+(-?\d{1,40})\s+(?:-?\d{1,40}%|-)\s+(/.*)")


_LONGEST = 4096  # characters of a line that are looked at, from its end: a mount point is no longer


async def measure(connection: Connection, request: Request) -> Space:
    """Run df; raises Unsupported where it is missing, Failed, asyncssh.Error, OSError."""
    return await shell.measure(connection, request, _COMMAND, parse)


def parse(output: str) -> Space:
    """The space in what df printed, whose last record counts; raises Failed(no_capacity) when it holds none."""
    records = [record for line in output.splitlines() if (record := _RECORD.match(line[-_LONGEST:]))]
    if not records:
        raise Failed(Reason.NO_CAPACITY, f'no capacity in the answer of df, "{excerpt(output)}"')
    total, available, mount_point = records[-1].groups()
    return Space.of_blocks(1024, int(total), int(available), file_system=f"on {mount_point.strip()}")
