"""Write docs/same-results.md: play the library on simulated hosts and on containers, and compare.

It needs a Docker engine, and takes as long as the stories do. `STORIES="one other"` plays only those, and keeps the
lines of the others.
"""

from __future__ import annotations

import multiprocessing
import os
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

PAGE = Path(__file__).parents[1] / "same-results.md"
LIBRARY = PAGE.parents[1] / "scenarios"
JOBS = 4
LONGEST = 20 * 60.0
"""Seconds of real time that a story may take here."""
HEAD = """# The same results on simulated hosts and on containers

Each story of `scenarios/` that can be played on containers was played on both kinds of hosts, at the highest `--speed`
that does not change its meaning ([scenarios.md](scenarios.md#on-containers)). *Same* means that all its expectations
held on both, and that each storage went through the same statuses, for the same reasons, with the same capacities to
the block.

The comparison leaves out what depends on when a ping comes: how often a connect fails or a reason repeats; the
capacities between the first and the last of a disk that fills slowly; and whether a stopped host is `unreachable` or a
`timeout`. Where images are added, it compares the first and the last capacity, in MiB.

`make docs PAGES=same-results` writes this page. It plays several stories at once, and shows the real time that each
took.

| story | result | speed | simulated took | containers took |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The line of a story in the table."""

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
    """Return the link to a story."""
    return f"[{title}](../scenarios/{file.name})"


def simulate(file: Path) -> Result:
    """Play a story on simulated hosts, at the speed that containers can have."""
    scenario = read_scenario(file)
    return play_virtually(sped_up(scenario, fastest(scenario)), file=str(file), seed=scenario.seed)


def why_not(file: Path, simulated: Result) -> str | None:
    """Return why a story is not played on containers; None where it is."""
    try:
        read_for_containers(file)
    except ScenarioError as error:
        return refusal(error)
    if simulated.length > LONGEST:
        length = duration_text(round(simulated.length / 60) * 60)
        return f"not played: it takes {length} on the real clock, at the highest speed"
    return None


def refusal(error: ScenarioError) -> str:
    """Return the text of an error without the place in the file, for a cell of the table."""
    return "cannot be: " + re.sub(r"^.*?: containers: ", "", str(error)).replace("|", "\\|")


def compare(file: Path) -> Line:
    """Play a story on both kinds of hosts, and compare the results."""
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
    """Return the lines of stories in their order, and print each to standard error as soon as it is known."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        comparing = [pool.submit(compare, file) for file in files]
        for done in as_completed(comparing):
            print(done.result(), file=sys.stderr, flush=True)
    return [one.result() for one in comparing]


def page() -> str:
    """Play the stories, and return the page."""
    prepare_containers()
    library = sorted(LIBRARY.glob("*.yaml"))
    table = [line for line in (PAGE.read_text() if PAGE.exists() else "").splitlines() if "](../scenarios/" in line]
    known = {line.partition("](../scenarios/")[2].partition(")")[0]: line for line in table}
    named = os.environ.get("STORIES", "").split()
    chosen = [file for file in library if not named or file.stem in named]
    known |= {line.file.name: str(line) for line in lines(chosen, JOBS)}
    return HEAD + "".join(f"{known[file.name]}\n" for file in library if file.name in known)
