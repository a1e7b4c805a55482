"""Rules that faults add to the kernel's firewall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.state_files import new_number, run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost


async def add_rules(host: ContainerHost, *rules: str) -> Undo:
    """Insert iptables rules, each beginning with its chain, before all others, in this order.

    Raise ContainerProblem; then none of them is left.
    """
    name = new_number()
    marked = [f"{rule} -m comment --comment fault-{name}" for rule in rules]
    added = " && ".join(f"iptables -w -I {rule}" for rule in reversed(marked))
    removed = "; ".join(f"iptables -w -D {rule}" for rule in marked)
    await run(host, f"if ! ({added}); then ({removed}) 2>/dev/null || true; exit 1; fi")

    async def heal() -> None:
        await run(host, removed)

    return heal
