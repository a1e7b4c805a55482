"""What is wrong with a bootstrap file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from imagestore_sim.validation_errors import place_text

Place: TypeAlias = "Sequence[int | str]"
"""The path to a field: names of members, and indexes in lists, from 0."""


class BootstrapError(Exception):
    """A bootstrap file that cannot be used. The text names file, line and field; nothing has been changed."""


class RecordProblem(BootstrapError):
    """A record that cannot be stored, with its place among the records."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(f"{place_text(place)}: {text}")
        self.place = place
        self.text = text
