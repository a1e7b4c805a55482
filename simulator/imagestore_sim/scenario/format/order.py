"""The order of a story: what runs first where virtual time leaves that open."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from imagestore_sim.orders import Picks, SeededOrder
from imagestore_sim.scenario.format.schema import ScenarioModel
from imagestore_sim.units import Seconds

Name = Annotated[str, Field(pattern=r"^[0-9]+ \S+ [1-9][0-9]*$")]
"""The name of a draw, such as `2 Jobs._run 4` (`orders`)."""
Key = Annotated[int, Field(ge=1)] | Name
"""The number of a draw among all of its kind, from 1, or its name."""
Choice = Annotated[int, Field(ge=0)]
"""Which one goes first; 0: as usual."""


class OrderRecord(ScenarioModel):
    """What runs first among things that are ready, where it is not what always does: draws by name or number."""

    seed: int | None = Field(None, description="that all other draws come from; they are as usual if unset")
    tasks: dict[Key, Choice] = Field({}, description="which of the tasks that can go on runs first")
    sockets: dict[Key, Choice] = Field({}, description="which of the sockets that are ready is handled first")
    threads: dict[Key, Choice] = Field({}, description="which of the results of threads is handled first")
    delays: dict[Key, Seconds] = Field({}, description="how long a message or a result of a thread is under way")

    def order(self) -> SeededOrder:
        """Return the order for one run."""
        pinned: Picks = {"tasks": self.tasks, "sockets": self.sockets, "threads": self.threads, "delays": self.delays}
        return SeededOrder(self.seed, pinned)
