"""The order of a story: what runs first where virtual time leaves that open."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from imagestore_sim.orders import Picks, SeededOrder
from imagestore_sim.scenario.format.schema import ScenarioModel
from imagestore_sim.units import Seconds

Number = Annotated[int, Field(ge=1)]
"""The number of a draw, from 1."""
Choice = Annotated[int, Field(ge=0)]
"""Which one goes first; 0: as usual."""


class OrderRecord(ScenarioModel):
    """What runs first among things that are ready, where it is not what always does: by the numbers of the draws."""

    seed: int | None = Field(None, description="that all other draws come from; they are as usual if unset")
    tasks: dict[Number, Choice] = Field({}, description="which of the tasks that can go on runs first")
    sockets: dict[Number, Choice] = Field({}, description="which of the sockets that are ready is handled first")
    threads: dict[Number, Choice] = Field({}, description="which of the results of threads is handled first")
    delays: dict[Number, Seconds] = Field({}, description="how long a message or a result of a thread is under way")

    def order(self) -> SeededOrder:
        """Return the order for one run."""
        pinned: Picks = {"tasks": self.tasks, "sockets": self.sockets, "threads": self.threads, "delays": self.delays}
        return SeededOrder(self.seed, pinned)
