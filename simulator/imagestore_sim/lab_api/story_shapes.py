"""The shapes of stories and of their plays, in `/lab/v1/stories`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from imagestore_sim.lab_api.routes import Shape

VerdictName = Literal["held", "failed", "unknown"]
StepState = Literal["waiting", "running", "done"]
PlayState = Literal["preparing", "playing", "restoring", "ended"]
Records = Literal["aside", "kept"]


class StoryShape(Shape):
    """A story of the library."""

    name: str
    title: str
    description: str = Field(description="why it matters")
    faults: list[str] = Field(description="the kinds of faults that it applies")
    hosts: int = Field(description="how many hosts it has")
    lasts: float = Field(description="seconds of the lab's clock that it takes at least")
    obstacle: str | None = Field(description="why it cannot be played on this node; null if it can")


class StoriesShape(Shape):
    """The library of stories."""

    stories: list[StoryShape]
    obstacle: str | None = Field(description="why no story can be played on this node; null if some can")
    playing: str | None = Field(description="the story that is being played, if there is one")
    play: str | None = Field(description="the id of that play")


class PlannedStep(Shape):
    """A step of a story before it is played."""

    number: int
    at: float | None = Field(description="when it begins; null: when the one before it has ended")
    text: str
    expects: bool = Field(description="whether it is an expectation, which gets a verdict")


class WholeStoryShape(StoryShape):
    """A story, with its file and what happens in it."""

    yaml: str = Field(description="the file")
    steps: list[PlannedStep]
    invariants: list[str]
    plays: list[str] = Field(description="the ids of its latest plays, the latest first")


class PlayToBegin(Shape):
    """How a story is to be played."""

    records: Records = Field(
        "aside",
        description="`aside`: all records of the node are put aside, and back at the end, so that the story has the lab"
        " to itself; `kept`: they stay, and a storage at the story's host and url is taken for the story's",
    )
    stepped: bool = Field(
        True,
        description="whether the clock is paused and stepped from one due moment to the next, which takes seconds in"
        " place of minutes, and goes on at the end; a clock that is paused already is stepped in any case",
    )


class PlayedStep(Shape):
    """A step or an invariant while it is played. Times are seconds since the story's begin."""

    number: int
    text: str
    expects: bool
    state: StepState
    verdict: VerdictName = Field(description="unknown until it is decided")
    began: float | None
    ended: float | None
    seen: str = Field(description="what was seen, in words")


class PlayShape(Shape):
    """A play of a story on this lab."""

    id: str
    story: str
    state: PlayState
    records: Records
    stepped: bool
    stopped: bool = Field(description="whether it was stopped before its end")
    verdict: VerdictName | None = Field(description="null until it has ended")
    problem: str = Field(description="why it was not played to its end, or what could not be restored; or empty")
    elapsed: float = Field(description="seconds of the story that have passed")
    lasts: float = Field(description="seconds that it takes at least")
    steps: list[PlayedStep]
    invariants: list[PlayedStep]
    picture: str = Field(description="an SVG image of the storages' statuses so far, empty before the begin")
