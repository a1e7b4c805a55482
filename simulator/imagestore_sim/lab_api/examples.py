"""Examples of the calls, each answered by a lab; `make docs` writes them (`docs/generators/lab_examples.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

DATA = "examples.json"


@dataclass(frozen=True, slots=True)
class Example:
    """A call and its answer; long ones are cut."""

    variables: Mapping[str, str]
    """The variables of the path."""
    query: Mapping[str, Any]
    body: Any
    """JSON, or a text; None for a call without a body."""
    status: int
    answer: Any
    """JSON, or a text."""


@cache
def examples() -> Mapping[str, Example]:
    """Return an example of each call, by the id of its operation."""
    read = orjson.loads(files("imagestore_sim.lab_api").joinpath(DATA).read_bytes())
    return {name: Example(**one) for name, one in read.items()}
