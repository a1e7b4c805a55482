"""Lines of sshd's configuration that faults bring with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.processes import RELOAD
from imagestore_sim.containers.faults.state_files import layer

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

# sshd takes the first line for an option that it reads: that of the fault that came last.
_SETTLE = f"ls | sort -r | xargs -r cat >/etc/ssh/sshd_config.d/00-faults.conf\n{RELOAD}"


async def configure(host: ContainerHost, *lines: str) -> Undo:
    """Put lines before all others, for connections to come. Raises ContainerProblem."""
    return await layer(host, "sshd", "".join(f"{line}\n" for line in lines), _SETTLE)
