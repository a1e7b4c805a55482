"""What a container host reports of its disk and its connections."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagestore_sim.faults import DiskState

if TYPE_CHECKING:
    from imagestore_sim.containers.container import Container
    from imagestore_sim.containers.spec import HostSpec

BUSYBOX = "/bin/busybox"
SECONDS = 5.0
"""How long a host may take to report."""

# Faults may have removed every command but this one, and the disk may hang
_SCRIPT = f"""
{BUSYBOX} timeout -s KILL 1 {BUSYBOX} stat -f -c '%S %b %f %a %c %d' "$0" 2>/dev/null || echo
{BUSYBOX} awk -v path="$0" '$2 == path {{ last = $4 }} END {{ print last }}' /proc/mounts
{BUSYBOX} awk -v port="$1" '$4 == "01" && $2 ~ port "$"' /proc/net/tcp /proc/net/tcp6 | {BUSYBOX} wc -l
"""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a host reported."""

    disk: DiskState | None
    """None: it cannot be asked."""
    connections: int
    """Open connections to its sshd."""


async def observe(container: Container, spec: HostSpec) -> Observation:
    """Ask a running container for its disk and its connections. Raise ContainerProblem, also for a paused one."""
    script = f"exec {BUSYBOX} sh -c {shlex.quote(_SCRIPT)} {shlex.quote(spec.disk_path)} :{spec.port:04X}"
    numbers, options, connections = (await container.run(script, seconds=SECONDS)).splitlines()
    return Observation(_read_disk(numbers, read_only="ro" in options.split(",")), int(connections))


def _read_disk(numbers: str, *, read_only: bool) -> DiskState | None:
    """Read what stat printed: the bytes of a block, then blocks (all, free, available) and inodes (all, free)."""
    if not numbers:
        return None
    block, size, free, available, inodes, free_inodes = (int(word) for word in numbers.split())
    return DiskState(
        size=size * block,
        used=(size - free) * block,
        reserved=(free - available) * block,
        available=available * block,
        inodes=inodes,
        free_inodes=free_inodes,
        read_only=read_only,
    )
