"""Owners of what runs have in an engine: a process, distinguished from a later one with the same number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

PROC = Path("/proc")
MACHINE = Path("/etc/machine-id")
STARTED = 19
"""The field of /proc/PID/stat with the start time, counted from 0 after the name."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: machine, boot, PID namespace, PID, and start time in ticks since the boot."""

    machine: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> Self:
        """Return this process. Raise OSError where there is no /proc."""
        return cls(*_here(), os.getpid(), _started(os.getpid()) or "")

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the owner in the text of a label; None where the text names no owner."""
        parts = text.split("/")
        if len(parts) != 5 or not parts[3].isdigit():
            return None
        return cls(parts[0], parts[1], parts[2], int(parts[3]), parts[4])

    def __str__(self) -> str:
        return "/".join((self.machine, self.boot, self.namespace, str(self.pid), self.started))

    @property
    def is_gone(self) -> bool:
        """Whether it certainly ended. False for one that cannot be seen from here."""
        machine, boot, namespace = _here()
        if self.machine != machine:
            return False
        if self.boot != boot:
            return True
        return self.namespace == namespace and _started(self.pid) != self.started


@cache
def _here() -> tuple[str, str, str]:
    """Return this machine, its boot, and the PID namespace of this process."""
    machine = MACHINE.read_text().strip() if MACHINE.exists() else "unknown"
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return machine, boot, str((PROC / "self/ns/pid").stat().st_ino)


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the boot; None if no such process runs."""
    try:
        line = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return line.rpartition(")")[2].split()[STARTED]
