"""The library of stories for `/lab/v1/stories`, and their plays on the lab of this process, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp
from typing_extensions import override

from imagestore_sim.context_managers import Closeable
from imagestore_sim.lab_api.stories import CannotPlay, NoStory
from imagestore_sim.lab_api.story_shapes import (
    PlannedStep,
    PlayedStep,
    PlayShape,
    PlayState,
    PlayToBegin,
    StepState,
    StoriesShape,
    StoryShape,
    WholeStoryShape,
)
from imagestore_sim.scenario.library import Story, read_library
from imagestore_sim.scenario.play.results import Result, StepResult
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.replay import play_on_lab
from imagestore_sim.scenario.report.page import Making, html
from imagestore_sim.scenario.report.thumbnail import thumbnail
from imagestore_sim.scenario.worlds.lab_client import LabClient
from imagestore_sim.scenario.worlds.remote_lab_rules import broken_rules
from imagestore_sim.tasks import OneThread, Tasks
from imagestore_sim.testing.client import plain_reason

logger = logging.getLogger(__name__)
MOST_PLAYS = 20
"""Plays that are kept; their results are in memory."""
LONGEST_CLOSE = 1.5
"""Real seconds that a lab which stops waits for a play to restore it."""
NO_HOSTS = "this node probes hosts of other machines; imagestore-sim lab has simulated ones, which stories break"
ANY_HOST = (
    "it expects that a host name is unknown (reason dns), and this lab makes a host for any name; imagestore-sim lab"
    " --no-any-host does not"
)
NO_RECORDS = "zones: []\n"
"""A bootstrap file without records."""
_thread = OneThread("stories")


@dataclass
class _Play:
    """One play."""

    id: str
    story: Story
    how: PlayToBegin
    state: PlayState = "preparing"
    result: Result | None = None
    now: Callable[[], float] = field(default=lambda: 0.0)
    stopped: bool = False
    problem: str = ""
    playing: asyncio.Task[Result] | None = None

    def begin(self, result: Result, now: Callable[[], float]) -> None:
        """Watch a result that fills from now on."""
        self.state, self.result, self.now = "playing", result, now

    def stop(self) -> None:
        """End it before its end."""
        if self.state in ("preparing", "playing"):
            self.stopped = True
            if self.playing is not None:
                self.playing.cancel()

    @property
    def elapsed(self) -> float:
        """Seconds of the story that have passed."""
        if self.result is None:
            return 0.0
        return self.result.length or self.now()


class StoriesOnLab(Closeable):
    """The library, and the plays on a lab, which it reaches as any client does: over its API and `/lab/v1`."""

    def __init__(
        self, url: Callable[[], str], lab_token: str | None, *, has_hosts: bool, any_host: bool = False
    ) -> None:
        """`url` returns that of the lab, once it has started; without hosts nothing is played.

        `any_host`: the lab makes a host for any name, so that none is unknown.
        """
        self._url = url
        self._lab_token = lab_token
        self._has_hosts = has_hosts
        self._any_host = any_host
        self._library: dict[str, Story] = {}
        self._plays: deque[_Play] = deque(maxlen=MOST_PLAYS)
        self._count = 0
        self._tasks = Tasks()
        self._task: asyncio.Task[None] | None = None
        """That of the latest play."""

    @override
    async def close(self) -> None:
        """End a play. The lab is restored within LONGEST_CLOSE, or not."""
        if (current := self._current()) is not None and self._task is not None:
            current.stop()
            _, late = await asyncio.wait({self._task}, timeout=LONGEST_CLOSE)  # real: the process is to end
            if late:
                logger.warning("the lab stops before it is as it was before the story %s", current.story.name)
        await self._tasks.close()

    async def _read(self) -> dict[str, Story]:
        """Return the stories by their names, read at the first call."""
        if not self._library:
            found = await asyncio.get_running_loop().run_in_executor(_thread, read_library)
            self._library = {one.name: one for one in found}
        return self._library

    async def _find(self, name: str) -> Story:
        stories = await self._read()
        if name not in stories:
            raise NoStory(name)
        return stories[name]

    # What Stories promises

    async def library(self) -> StoriesShape:
        """Return every story."""
        stories = [self._shape(one) for one in (await self._read()).values()]
        current = self._current()
        return StoriesShape(
            stories=stories,
            obstacle=None if self._has_hosts else NO_HOSTS,
            playing=None if current is None else current.story.name,
            play=None if current is None else current.id,
        )

    async def story(self, name: str) -> WholeStoryShape:
        """Return one story. Raise NoStory."""
        story = await self._find(name)
        text = await asyncio.get_running_loop().run_in_executor(_thread, story.file.read_text, "utf-8")
        steps = [
            PlannedStep(number=number, at=step.at, text=str(step), expects=step.expects)
            for number, step in enumerate(story.scenario.timeline, start=1)
        ]
        plays = [one.id for one in reversed(self._plays) if one.story.name == name]
        shape = self._shape(story).model_dump()
        return WholeStoryShape(
            **shape, yaml=text, steps=steps, invariants=[str(one) for one in story.scenario.invariants], plays=plays
        )

    async def begin(self, name: str, how: PlayToBegin) -> PlayShape:
        """Begin to play a story. Raise NoStory, CannotPlay."""
        story = await self._find(name)
        if (obstacle := self._obstacle(story)) is not None:
            raise CannotPlay(obstacle)
        if (current := self._current()) is not None:
            raise CannotPlay(f"{current.story.name} is being played; one story is played at a time")
        self._count += 1
        play = _Play(str(self._count), story, how)
        self._plays.append(play)
        self._task = self._tasks.begin(self._carry_out(play), f"story {name}")
        return _play_shape(play)

    def play(self, name: str, identity: str) -> PlayShape:
        """Return a play as it is now. Raise NoStory."""
        return _play_shape(self._known(name, identity))

    def report(self, name: str, identity: str) -> str:
        """Return a page about a play. Raise NoStory, CannotPlay."""
        play = self._known(name, identity)
        if play.state != "ended" or play.result is None:
            raise CannotPlay("the play has no result yet")
        command = f"imagestore-sim replay {name}"
        making = Making(datetime.now(UTC), command, lambda result: command)  # real: when a person reads it
        return html([(name, play.result)], making)

    def stop(self, name: str, identity: str) -> PlayShape:
        """End a play before its end. Raise NoStory."""
        play = self._known(name, identity)
        play.stop()
        return _play_shape(play)

    # Plays

    def _current(self) -> _Play | None:
        return next((one for one in self._plays if one.state != "ended"), None)

    def _known(self, name: str, identity: str) -> _Play:
        for play in self._plays:
            if (play.story.name, play.id) == (name, identity):
                return play
        raise NoStory(name)

    async def _carry_out(self, play: _Play) -> None:
        try:
            async with AsyncExitStack() as undo:
                lab = await undo.enter_async_context(LabClient(self._url(), self._lab_token))
                await self._prepare(play, lab, undo)
                await self._play(play)
                play.state = "restoring"
        except (WorldProblem, aiohttp.ClientError, OSError, TimeoutError) as error:
            text = f"{play.state}: {plain_reason(error)}"
            play.problem = f"{play.problem}; {text}" if play.problem else text
        finally:
            play.state = "ended"

    async def _prepare(self, play: _Play, lab: LabClient, undo: AsyncExitStack) -> None:
        """Stop the clock and put the records aside, if that was asked for; `undo` has what restores both."""
        if play.how.stepped and not (await lab.time()).paused:
            await lab.pause()
            undo.push_async_callback(lab.resume)
        if play.how.records == "aside":
            undo.push_async_callback(lab.replace_records, await lab.records())
            await lab.replace_records(NO_RECORDS)

    async def _play(self, play: _Play) -> None:
        if play.stopped:
            return
        url, token, scenario = self._url(), self._lab_token, play.story.scenario
        playing = play_on_lab(url, scenario, file=play.story.name, lab_token=token, watch=play.begin)
        play.playing = asyncio.create_task(playing, name=f"play of {play.story.name}")
        try:
            play.result = await play.playing
            play.problem = play.result.problem
        except asyncio.CancelledError:
            play.playing.cancel()
            if not play.stopped:
                raise

    # Shapes

    def _obstacle(self, story: Story) -> str | None:
        """Return why a story cannot be played on this node, None if it can."""
        if not self._has_hosts:
            return NO_HOSTS
        for place, text in broken_rules(story.scenario):
            return f"{'.'.join(str(one + 1) if isinstance(one, int) else one for one in place)}: {text}"
        return ANY_HOST if self._any_host and story.needs_unknown_names else None

    def _shape(self, story: Story) -> StoryShape:
        return StoryShape(
            name=story.name,
            title=story.scenario.title,
            description=story.scenario.description.strip(),
            faults=story.faults,
            hosts=len(story.scenario.all_hosts()),
            lasts=story.lasts,
            obstacle=self._obstacle(story),
        )


def _play_shape(play: _Play) -> PlayShape:
    result = play.result
    elapsed = play.elapsed
    return PlayShape(
        id=play.id,
        story=play.story.name,
        state=play.state,
        records=play.how.records,
        stepped=play.how.stepped,
        stopped=play.stopped,
        verdict=_verdict(play),
        problem=play.problem,
        elapsed=elapsed,
        lasts=max(play.story.lasts, elapsed),
        steps=_steps(result.steps if result else ()),
        invariants=_steps(result.invariants if result else ()),
        picture="" if result is None else thumbnail(replace(result, length=elapsed), alone=True),
    )


def _verdict(play: _Play) -> str | None:
    if play.state != "ended":
        return None
    return "failed" if play.problem or play.result is None else play.result.verdict.value


def _steps(results: Sequence[StepResult]) -> list[PlayedStep]:
    return [
        PlayedStep(
            number=one.number,
            text=one.text,
            expects=one.expects,
            state=_step_state(one),
            verdict=one.verdict.value,
            began=one.began,
            ended=one.ended,
            seen=one.seen,
        )
        for one in results
    ]


def _step_state(one: StepResult) -> StepState:
    if one.began is None:
        return "waiting"
    return "running" if one.ended is None else "done"
