"""Rules of the kernel's firewall that faults bring with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.state_files import new_number, run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost


async def rules(host: ContainerHost, *lines: str) -> Undo:
    """Put rules of iptables, each beginning with its chain, before all others, in this order.

    Raises ContainerProblem; then none of them is there.
    """
    name = new_number()
    marked = [f"{line} -m comment --comment fault-{name}" for line in lines]
    added = " && ".join(f"iptables -w -I {line}" for line in reversed(marked))
    removed = "; ".join(f"iptables -w -D {line}" for line in marked)
    await run(host, f"if ! ({added}); then ({removed}) 2>/dev/null || true; exit 1; fi")

    async def heal() -> None:
        await run(host, removed)

    return heal
