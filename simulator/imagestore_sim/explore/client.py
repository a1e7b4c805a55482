"""Stories around a program of the user's own: what goes wrong while it works, drawn from a seed.

The program runs once without a fault, which tells what it calls. Then faults meet those calls, hosts fail, and the
node is killed between a commit and its answer. Its exit status is a verdict, beside the oracle's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from imagestore_sim.explore.folder import check_room
from imagestore_sim.explore.generation import (
    READ,
    Names,
    Swarm,
    draw_beginning,
    draw_parameters,
    draw_step,
    draw_swarm,
    names_in,
    step_kinds,
    with_healing,
)
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.story import Content, read
from imagestore_sim.explore.time_limit import LONGEST_RUN, TimeLimit, TooLong, collect_what_is_left
from imagestore_sim.faults import NODE_FAULTS
from imagestore_sim.scenario.format.api_steps import ApiStep
from imagestore_sim.scenario.format.steps import STEPS
from imagestore_sim.scenario.worlds.programs import URL_VARIABLE

MOST = 4
"""Things that go wrong in one story."""
OF_CALLS = 0.7
"""How often what goes wrong meets a call of the program."""
TRIES = 20
"""How often what goes wrong is drawn again that a story does not allow."""


class ProgramFails(Exception):
    """The program fails although nothing goes wrong, or does nothing; the text says how."""


@dataclass(frozen=True, slots=True)
class Around:
    """Stories around a program."""

    command: str
    within: float
    """Seconds of the machine that it may take."""
    apis: tuple[str, ...]
    """The classes of what it calls, `api-jobs` for polls."""

    def story(self, seed: int) -> Content:
        """Return the story of a seed: the same one each time."""
        draws = Random(f"client {seed}")  # noqa: S311 - runs are to be the same, nothing is secret
        swarm = draw_swarm(draws)
        swarm = replace(swarm, steps=[one for one in swarm.steps if one in _around()] or [*_around()])
        content = draw_beginning(draws, swarm, seed)
        names = names_in(content)
        drawn = (self._draw(draws, swarm, names) for _ in range(draws.randint(1, MOST)))
        content["timeline"] = [{"at": "1s", **one} for one in drawn if one is not None]
        content["timeline"].append({"at": "1s", "program": self._program})
        healed = with_healing(content)
        healed["timeline"][len(content["timeline"])].pop("at")  # healing waits for the program to end
        return healed

    @property
    def _program(self) -> Content:
        return {"command": self.command, "within": f"{self.within:g}s"}

    def _draw(self, draws: Random, swarm: Swarm, names: Names) -> Content | None:
        if draws.random() > OF_CALLS:
            return draw_step(draws, swarm, names)
        for _ in range(TRIES):
            kind = draws.choice(swarm.node_faults)
            which = draws.choice(({"first": 1}, {"first": 2}, {"nth": 2}, {"nth": 3}, {}))
            when = {"api": draws.choice(self.apis), **which}
            try:
                fault = {**draw_parameters(draws, NODE_FAULTS[kind]), "when": when}
                NODE_FAULTS[kind].model_validate(fault)
            except ValueError:
                continue
            return {"fault": {"node": kind, **fault}}
        return None


def _around() -> tuple[str, ...]:
    """Return the keys of the steps that are no calls: those are the program's."""
    of_the_program = (READ, *(name for name, model in STEPS.items() if issubclass(model, ApiStep)))
    return tuple(one for one in step_kinds() if one not in of_the_program)


def stories_around(command: str, within: float) -> Around:
    """Run a program once without a fault, and return the stories around it. Raise ProgramFails, NoRoom."""
    first = Around(command, within, ())
    story = {
        "title": "nothing goes wrong",
        "hosts": {"imagestore-{1..3}": {}},
        "timeline": [{"program": first._program}],
    }
    check_room()
    try:
        with TimeLimit(LONGEST_RUN) as limited:
            played = play(read(story))
        limited.check()
    except TooLong as error:
        collect_what_is_left(error)
        raise ProgramFails(f"nothing goes wrong, and its story does not end: {error}") from None
    if played.result.interrupted:  # Ctrl-C has cancelled it
        raise KeyboardInterrupt
    if played.exit_status != 0:
        raise ProgramFails(
            f"it fails although nothing goes wrong: {played.result.steps[0].seen or played.result.problem}"
        )
    if not played.apis:
        raise ProgramFails(f"it has made no call of ZStack's API; the lab's URL is in ${URL_VARIABLE}")
    return replace(first, apis=tuple(played.apis))
