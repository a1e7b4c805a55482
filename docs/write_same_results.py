"""Plays the library on both kinds of hosts, and writes docs/same-results.md: `make same-results`.

It needs a Docker engine, and takes as long as the stories do. With names of stories only those are played, and the
lines of the others stay. Exit status 1: some went differently.
"""

from __future__ import annotations

import multiprocessing
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from imagestore_sim.scenario.format.reader import ScenarioError, read_scenario
from imagestore_sim.scenario.play.comparison import differences
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.scenario.replay_on_containers import prepare_containers, read_for_containers, replay_on_containers
from imagestore_sim.scenario.time_scaling import fastest, sped_up
from imagestore_sim.units import duration_text

PAGE = Path(__file__).with_name("same-results.md")
LIBRARY = PAGE.parent.parent / "scenarios"
JOBS = 4
LONGEST = 20 * 60.0
"""Seconds of the real clock that a story may take here."""
HEAD = """# The same results on simulated hosts and on containers

Every story of `scenarios/` that can be played on containers has been played on both kinds of hosts, at the highest
`--speed` that leaves its meaning as it is ([scenarios.md](scenarios.md#on-containers)). *Same* says that all its
expectations held on both, and that each storage went through the same statuses, for the same reasons, with the same
capacities to the block.

Not compared is what depends on when a ping comes: how often a connect is tried in vain, or a reason repeated; of a disk
that fills slowly, what is between the first and the last capacity; of a host that is stopped, whether it is
`unreachable` or a `timeout`.

This page is written by `make same-results`. Several stories are played at once; the times are those of the machine.

| story | result | speed | simulated took | containers took |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What came of a story."""

    file: Path
    title: str
    result: str
    speed: float = 1.0
    simulated: float | None = None
    containers: float | None = None

    def __str__(self) -> str:
        times = ["" if one is None else f"{one:.1f} s" for one in (self.simulated, self.containers)]
        speed = "" if self.containers is None else f"{self.speed:.3g}"
        return f"| {link(self.file, self.title)} | {self.result} | {speed} | {' | '.join(times)} |"


def link(file: Path, title: str) -> str:
    """A story, as the table has it."""
    return f"[{title}](../scenarios/{file.name})"


def simulate(file: Path) -> Result:
    """A story on simulated hosts, at the speed that containers can have."""
    scenario = read_scenario(file)
    return play_virtually(sped_up(scenario, fastest(scenario)), file=str(file), seed=scenario.seed)


def why_not(file: Path, simulated: Result) -> str | None:
    """Why a story is not played on containers."""
    try:
        read_for_containers(file)
    except ScenarioError as error:
        return refusal(error)
    if simulated.length > LONGEST:
        length = duration_text(round(simulated.length / 60) * 60)
        return f"not played: it takes {length} on the real clock, however fast it may be told"
    return None


def refusal(error: ScenarioError) -> str:
    """What a complaint says, without the place in the file."""
    return "cannot be: " + re.sub(r"^.*?: containers: ", "", str(error)).replace("|", "\\|")


def compare(file: Path) -> Line:
    """A story on both kinds of hosts."""
    scenario = read_scenario(file)
    speed = fastest(scenario)
    simulated = simulate(file)
    if (reason := why_not(file, simulated)) is not None:
        return Line(file, scenario.title, reason, simulated=simulated.seconds)
    containers = replay_on_containers(file, speed=speed)
    found = differences(scenario, simulated, containers)
    result = "same" if not found else "**differs**: " + "; ".join(found).replace("|", "\\|")
    return Line(file, scenario.title, result, speed, simulated.seconds, containers.seconds)


def lines(files: Sequence[Path], jobs: int) -> list[Line]:
    """One for each story, in their order; each is told of when it is there."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        comparing = [pool.submit(compare, file) for file in files]
        for done in as_completed(comparing):
            print(done.result(), file=sys.stderr, flush=True)
    return [one.result() for one in comparing]


def main() -> int:
    """Write the page."""
    prepare_containers()
    library = sorted(LIBRARY.glob("*.yaml"))
    table = [line for line in (PAGE.read_text() if PAGE.exists() else "").splitlines() if "](../scenarios/" in line]
    known = {line.partition("](../scenarios/")[2].partition(")")[0]: line for line in table}
    chosen = [file for file in library if not sys.argv[1:] or file.stem in sys.argv[1:]]
    known |= {line.file.name: str(line) for line in lines(chosen, JOBS)}
    PAGE.write_text(HEAD + "".join(f"{known[file.name]}\n" for file in library if file.name in known))
    return int(any("| **differs**" in line for line in known.values()))


if __name__ == "__main__":
    sys.exit(main())
