"""A strict node in this process, with no records, that calls of a corpus can be sent to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings

SEED = 5553
"""With this one the uuids compare with each other as those of the recorded answers did, where their order shows."""


@asynccontextmanager
async def empty_lab(records: Bootstrap | None = None) -> AsyncIterator[Lab]:
    """A running lab without hosts or records of its own; any host name that a call adds gets a simulated host."""
    async with Lab(Settings(port=0, hosts=0, strict=True, log_level="error", seed=SEED)) as lab:
        await lab.node.changes.replace(records or Bootstrap(), wait=True)
        yield lab
