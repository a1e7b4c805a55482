"""Who owns what a run has made in an engine: a process, told apart from a later one with its number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

PROC = Path("/proc")
MACHINE = Path("/etc/machine-id")
STARTED = 19
"""Where the time of its start stands in /proc/PID/stat, counted from behind the name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: of which machine, since which of its starts, in which namespace of numbers, and since when."""

    machine: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> Self:
        """Raises OSError where there is no /proc."""
        return cls(*_here(), os.getpid(), _started(os.getpid()) or "")

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The owner that a label names, or None for a label of another making."""
        parts = text.split("/")
        if len(parts) != 5 or not parts[3].isdigit():
            return None
        return cls(parts[0], parts[1], parts[2], int(parts[3]), parts[4])

    def __str__(self) -> str:
        return "/".join((self.machine, self.boot, self.namespace, str(self.pid), self.started))

    @property
    def is_gone(self) -> bool:
        """Whether it surely runs no more. What cannot be seen from here may be alive."""
        machine, boot, namespace = _here()
        if self.machine != machine:
            return False
        if self.boot != boot:
            return True
        return self.namespace == namespace and _started(self.pid) != self.started


@cache
def _here() -> tuple[str, str, str]:
    machine = MACHINE.read_text().strip() if MACHINE.exists() else "unknown"
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return machine, boot, str((PROC / "self/ns/pid").stat().st_ino)


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None if there is no such process."""
    try:
        line = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return line.rpartition(")")[2].split()[STARTED]
