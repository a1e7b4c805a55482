"""The clock by which a test runs, and servers that live by it."""

from __future__ import annotations

import asyncio

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.virtual_clock import VirtualEventLoop


def running_clock() -> Clock:
    """Return the clock of the running event loop: its own virtual one, or the machine's."""
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualEventLoop) else RealClock()


async def here(hostname: str, port: int) -> tuple[str, int]:
    """Return the address unchanged. A prober takes what its `resolve` finds for a host in this process.

    Such a host lives by the prober's clock; for any other one the machine's time passes.
    """
    return hostname, port
