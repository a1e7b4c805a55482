"""Capacity by `stat -f`, for hosts without SFTP and df; GNU and busybox agree on it (domain 7.2)."""

from __future__ import annotations

import re

from imagestore_sim.probe import shell
from imagestore_sim.probe.capacity import Inodes, Space
from imagestore_sim.probe.connection import Connection
from imagestore_sim.probe.failures import Failed, excerpt
from imagestore_sim.probe.target import Request
from imagestore_sim.reasons import Reason

# Fundamental block size, blocks, blocks available to users, inodes, free inodes, id of the file system.
_COMMAND = '$t stat -f -c "%S %b %a %c %d %i" -- "$1/."'
_RECORD = re.compile(
    r"^[ \t]*(\d{1,40}) (\d{1,40}) (-?\d{1,40}) (-?\d{1,40}) (-?\d{1,40})(?: ([0-9a-f]{1,40}))?[ \t\r]*$", re.MULTILINE
)


async def measure(connection: Connection, request: Request) -> Space:
    """Run stat, and return the space. Raise Unsupported if the host has no stat, Failed, asyncssh.Error, OSError."""
    return await shell.measure(connection, request, _COMMAND, parse)


def parse(output: str) -> Space:
    """Return the space in the last record of stat's output. Raise Failed(no_capacity) without any record."""
    records = _RECORD.findall(output)
    if not records:
        raise Failed(Reason.NO_CAPACITY, f'no capacity in the answer of stat, "{excerpt(output)}"')
    *numbers, identity = records[-1]
    size, blocks, available, inodes, free = (int(number) for number in numbers)
    return Space.of_blocks(size, blocks, available, Inodes.of(inodes, free), file_system=f"id {identity}")
