"""A mutant: a fault that is planted in the product, of a kind that this project has had, for `explore` to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted fault."""

    name: str
    what: str
    """What is wrong, in a line."""
    plant: Callable[[pytest.MonkeyPatch], None]
    """Plants it."""
