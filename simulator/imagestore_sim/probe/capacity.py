"""The results of a successful probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Method(StrEnum):
    """How a capacity was read, in order of preference."""

    STATVFS = "statvfs"
    DF = "df"
    STAT = "stat"


LARGEST = 2**63 - 1
"""The largest number that is reported: what a column holds, here and in ZStack."""


@dataclass(frozen=True, slots=True)
class Inodes:
    """The inodes of a file system: all of them, and those that are still free."""

    total: int
    available: int

    @classmethod
    def of(cls, total: int, available: int) -> Inodes | None:
        """Return a host's numbers, limited to LARGEST; None for a file system that does not count inodes."""
        if total <= 0:
            return None
        return cls(min(total, LARGEST), min(available, LARGEST) if 0 <= available <= total else 0)


@dataclass(frozen=True, slots=True)
class Space:
    """The space of a file system in bytes; None for what a method cannot know.

    `available` is f_bavail x f_frsize, not total minus used: blocks reserved for root are not available (domain 7.2).
    """

    total: int
    available: int
    inodes: Inodes | None = None
    read_only: bool | None = None
    file_system: str = field(default="", compare=False)
    """An identifier of the file system on its host, whose form depends on the method."""

    @classmethod
    def of_blocks(
        cls,
        size: int,
        blocks: int,
        available: int,
        inodes: Inodes | None = None,
        read_only: bool | None = None,
        file_system: str = "",
    ) -> Space:
        """Return the space for numbers of blocks of `size` bytes, limited to LARGEST bytes.

        A file system that is overfull reports a negative number of available blocks, which as an unsigned number is
        larger than its total; both count as 0.
        """
        free = available if 0 <= available <= blocks else 0
        total, left = max(0, min(blocks * size, LARGEST)), max(0, min(free * size, LARGEST))
        counted = inodes if inodes and inodes.total else None
        return cls(total, left, counted, read_only, file_system)


class PingMode(StrEnum):
    """What a ping asks of a host."""

    CAPACITY = "capacity"
    """The capacity of the url, over the connection that is kept."""
    SSH = "ssh"
    """Whether the account can log in; each ping logs in afresh, and asks nothing more."""
    TCP = "tcp"
    """Whether the SSH port takes a connection."""
    AGENT = "agent"
    """Whether the agent answers on its own port, and is the one that was connected. SSH is not used."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The answer to a ping that measures no capacity, and the milliseconds of each of its phases."""

    mode: PingMode
    phases: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of a path in bytes, the method that read it, and the milliseconds of each phase of the probe."""

    total: int
    available: int
    inodes: Inodes | None
    read_only: bool | None
    method: Method
    phases: Mapping[str, float]
