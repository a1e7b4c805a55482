"""The library of stories that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import ScenarioError, read_scenario
from imagestore_sim.scenario.format.steps import FaultStep, NodeFaultStep
from imagestore_sim.shipped import shipped
from imagestore_sim.suggestions import meant

SUFFIX = ".yaml"
DNS = "dns"
"""The reason of a probe that has failed at the name of its host."""


@dataclass(frozen=True, slots=True)
class Story:
    """A story of the library."""

    name: str
    scenario: Scenario

    @property
    def file(self) -> Path:
        """The file that it is in."""
        return folder() / f"{self.name}{SUFFIX}"

    @property
    def picture(self) -> Path:
        """The file of its picture, an SVG image."""
        return shipped("docs/stories") / f"{self.name}.svg"

    @property
    def faults(self) -> list[str]:
        """The kinds of faults that it applies, in their order."""
        contents = (step.content for step in self.scenario.timeline)
        return list(dict.fromkeys(one.fault.kind for one in contents if isinstance(one, FaultStep | NodeFaultStep)))

    @property
    def needs_unknown_names(self) -> bool:
        """Whether it expects a probe to fail because nobody knows the name of the host."""
        contents = (step.content for step in self.scenario.timeline)
        return any(isinstance(one, Condition) and str(one.reason) == DNS for one in contents)

    @property
    def lasts(self) -> float:
        """Seconds that it takes at least: until its last step, or its end."""
        if self.scenario.ends is not None:
            return self.scenario.ends
        moment = 0.0
        for step in self.scenario.timeline:
            moment = max(moment + (step.after or 0.0), step.at or 0.0, step.until or 0.0)
        return moment


def folder() -> Path:
    """Return the folder of the library."""
    return shipped("scenarios")


def names() -> list[str]:
    """Return the names of all stories, in their order."""
    return sorted(file.stem for file in folder().glob(f"*{SUFFIX}"))


def read_library() -> list[Story]:
    """Return every story, in the order of their names. Raise ScenarioError."""
    return [read_story(name) for name in names()]


def read_story(name: str) -> Story:
    """Return the story of that name. Raise ScenarioError."""
    return Story(name, read_scenario(file_of(name)))


def file_of(name: str) -> Path:
    """Return the file of the story of that name. Raise ScenarioError if there is none."""
    known = names()
    if name in known:
        return folder() / f"{name}{SUFFIX}"
    near = meant(name, known)
    raise ScenarioError(f"{name}: there is no such file, and no story of that name{near}; replay --list has them all")


def name_of(file: Path) -> str | None:
    """Return the name of the story that a file of the library holds; None for other files."""
    return file.stem if file.suffix == SUFFIX and file.parent == folder() else None
