"""Findings: failing stories as files that `replay` takes, each told once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from imagestore_sim.explore.folder import write_whole
from imagestore_sim.explore.invariants import Violation
from imagestore_sim.explore.story import Content, text_of
from imagestore_sim.scenario.format.oracle import OracleName

_CHANGING = re.compile(r"[0-9a-f]{8,}|[\w-]*\d[\w.-]*")
"""What differs between two runs that show the same: uuids, numbers, and names with numbers."""
LONGEST_TITLE = 160


@dataclass(frozen=True, slots=True)
class Finding:
    """A story that fails, as simple as it could be made."""

    invariant: OracleName
    text: str
    """How it was broken, in words."""
    story: Content
    seed: int
    """The run that showed it first."""
    runs: int
    """How many stories were played to shrink it."""
    before: int
    """How many steps it had before."""
    shows_again: bool = True
    """Whether the story has shown the same once more; otherwise the machine may be at fault, or what it waits for."""

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.story["timeline"])

    @property
    def size(self) -> str:
        """Its steps, now and before, in words."""
        return f"{self.steps} step{'' if self.steps == 1 else 's'}, of {self.before}"

    @property
    def name(self) -> str:
        """The name of its file, without the ending: the invariant, and a hash of the story."""
        essence = {key: value for key, value in self.story.items() if key not in ("title", "description")}
        return f"{self.invariant}-{hashlib.sha256(text_of(essence).encode()).hexdigest()[:8]}"

    def content(self) -> Content:
        """Return the story as its file holds it, with a title by what it breaks."""
        described = f"Found by imagestore-sim explore --seed {self.seed}; {self.size}, after {self.runs} candidates."
        if not self.shows_again:
            described += " Played once more, it did not show the same."
        rest = {key: value for key, value in self.story.items() if key not in ("title", "description", "oracle")}
        title = f"{self.invariant}: {self.text}"[:LONGEST_TITLE]
        return {"title": title, "description": described, "oracle": str(self.invariant), **rest}

    def write(self, folder: Path) -> Path:
        """Write its file into a folder, which is made; return the file. Raise FolderProblem."""
        file = folder / f"{self.name}.yaml"
        write_whole(file, text_of(self.content()).encode())
        return file


def signature(violation: Violation) -> str:
    """Return what two violations have in common that show the same: the invariant, and the text without numbers."""
    return f"{violation.invariant}: {_CHANGING.sub('#', violation.text)}"


def only(story: Content, invariant: OracleName) -> Content:
    """Return a story that is judged by one invariant."""
    return {**story, "oracle": str(invariant)}
