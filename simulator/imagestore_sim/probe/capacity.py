"""What a successful probe answers."""

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
"""The largest number that is ever told: what ZStack's records, and the store, can hold."""


@dataclass(frozen=True, slots=True)
class Inodes:
    """The files that a file system can hold, and those it can still take."""

    total: int
    available: int

    @classmethod
    def of(cls, total: int, available: int) -> Inodes | None:
        """Numbers as a host tells them, within bounds; None for a file system that does not count inodes."""
        if total <= 0:
            return None
        return cls(min(total, LARGEST), min(available, LARGEST) if 0 <= available <= total else 0)


@dataclass(frozen=True, slots=True)
class Space:
    """What a method read of a file system, in bytes; None where it cannot know.

    `available` is f_bavail x f_frsize, never total less used: blocks kept for root are not available (domain 7.2).
    """

    total: int
    available: int
    inodes: Inodes | None = None
    read_only: bool | None = None
    file_system: str = field(default="", compare=False)
    """What tells the file system from others on the host, as far as the method knows."""

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
        """The space of counted blocks of `size` bytes, at most LARGEST.

        A file system that is fuller than full counts below zero, which as an unsigned number is above its total.
        """
        free = available if 0 <= available <= blocks else 0
        total, left = (max(0, min(number * size, LARGEST)) for number in (blocks, free))
        counted = inodes if inodes and inodes.total else None
        return cls(total, left, counted, read_only, file_system)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of a path in bytes, how it was read, and the milliseconds of each phase that was gone through."""

    total: int
    available: int
    inodes: Inodes | None
    read_only: bool | None
    method: Method
    phases: Mapping[str, float]
