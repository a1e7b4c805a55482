"""Writes what was done on a lab by hand as a scenario: what the lab knows of its hosts, its faults and its clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from imagestore_sim.lab_api.story import Story, StoryCheck, WrittenStory

if TYPE_CHECKING:
    from types import ModuleType


class ScenarioWriter:
    """Writes stories of a lab (`lab_api.story.StoryWriter`). What it needs is imported when the first is written."""

    async def write(self, story: Story) -> WrittenStory:
        """Return the scenario of a story. Raise StoryProblem."""
        written: WrittenStory = await (await _writer()).write_story(story)
        return written

    async def check(self, text: str) -> StoryCheck:
        """Play a scenario in a process of its own. Raise StoryProblem when that takes too long."""
        checked: StoryCheck = await (await _writer()).check_story(text)
        return checked


async def _writer() -> ModuleType:
    return await asyncio.to_thread(_import)


def _import() -> ModuleType:
    """Import half a second of modules, which a lab does not need to start."""
    from imagestore_sim.scenario.recording.by_hand import writer

    return writer
