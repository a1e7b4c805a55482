"""A strict node without records, in this process, for the calls of the corpus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.lab import Lab
from imagestore_sim.settings import Settings

SEED = 5553
"""A seed whose uuids sort as those of the recorded answers, where their order shows."""


@asynccontextmanager
async def empty_lab(records: Bootstrap | None = None, **store: Any) -> AsyncIterator[Lab]:
    """Run a strict lab without hosts, and with no records but those given; a host name that a call adds gets a host.

    `store` has the settings of where it keeps its records, if that is no temporary file.
    """
    async with Lab(Settings(port=0, hosts=0, strict=True, log_level="error", seed=SEED, **store)) as lab:
        await lab.node.changes.replace(records or Bootstrap(), wait=True)
        yield lab
