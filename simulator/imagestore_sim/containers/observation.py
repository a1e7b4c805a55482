"""What a container host reports of its disk and its connections."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.faults import DiskState
from imagestore_sim.faults.target import AgentState
from imagestore_sim.probe.agent import PORT as AGENT_PORT

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
{BUSYBOX} grep -q -s -x zstore /proc/[0-9]*/comm && echo runs || echo
"""

# The run of the agent, an empty line where it does not run, and its certificate with the authority's
_AGENT_SCRIPT = f"""
{BUSYBOX} grep -q -s -x zstore /proc/[0-9]*/comm && {BUSYBOX} sed -n 's/.*started as \\([^,]*\\),.*/\\1/p' \\
  /var/log/zstack/zstack-store/zstore.log | {BUSYBOX} tail -n 1 || echo
{BUSYBOX} cat /var/lib/zstack/imagestorebackupstorage/package/certs/chain.pem
"""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a host reported."""

    disk: DiskState | None
    """None: it cannot be asked."""
    connections: int
    """Open connections to its sshd."""
    agent_running: bool


async def observe(container: Container, spec: HostSpec) -> Observation:
    """Ask a running container for its disk and its connections. Raise ContainerProblem, also for a paused one."""
    script = f"exec {BUSYBOX} sh -c {shlex.quote(_SCRIPT)} {shlex.quote(spec.disk_path)} :{spec.port:04X}"
    numbers, options, connections, agent = (await container.run(script, seconds=SECONDS)).splitlines()
    return Observation(_read_disk(numbers, read_only="ro" in options.split(",")), int(connections), agent == "runs")


async def observe_agent(container: Container, address: str) -> AgentState:
    """Ask a running container, at an address, for its agent. Raise ContainerProblem."""
    instance, *lines = (await container.run(_AGENT_SCRIPT, seconds=SECONDS)).splitlines()
    own, *authority = _certificates("\n".join(lines))
    return AgentState(
        running=bool(instance),
        address=f"{address}:{AGENT_PORT}",
        instance=instance or None,
        fingerprint=own.fingerprint(hashes.SHA256()).hex(":").upper(),
        ends=own.not_valid_after_utc,
        authority="".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in authority),
    )


def _certificates(pem: str) -> list[x509.Certificate]:
    """Return the certificates of a chain. Raise ContainerProblem."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ContainerProblem(f"the certificate of the agent cannot be read: {error}") from None


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
