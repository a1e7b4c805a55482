"""Examples of calls, each answered by a lab; `make docs` writes them (`docs/generators/api_examples.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

DATA = "examples.json"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A call, its answer, and the result of its job; or, for one that fails, its error."""

    path: str
    """The path, with its variables filled in."""
    variables: Mapping[str, str]
    query: Mapping[str, Any]
    """The parameters in the query string; a list for one that may be repeated."""
    body: Json | None
    status: int
    answer: Any
    result: Json | None = None
    """The result of the job; None for a call without a job."""
    result_status: int | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of an API: calls that succeed, and calls that fail."""

    succeeded: tuple[Example, ...] = ()
    failed: tuple[Example, ...] = ()


NONE = Examples()


@cache
def examples() -> Mapping[str, Examples]:
    """Return the examples by the name of the API's message."""
    read = orjson.loads(files("imagestore_sim.openapi").joinpath(DATA).read_bytes())
    return {
        name: Examples(*(tuple(Example(**one) for one in found[kind]) for kind in ("succeeded", "failed")))
        for name, found in read.items()
    }
