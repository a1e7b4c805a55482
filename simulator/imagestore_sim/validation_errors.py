"""Pydantic's validation errors in one line: the first problem, and the name of the field that has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of an input."""

    place: tuple[int | str, ...]
    """The keys and indexes that lead to the field; empty for the input as a whole."""
    kind: str
    """Pydantic's name of the problem, such as `missing` or `extra_forbidden`."""
    text: str
    """Pydantic's message, without the prefix that it gives to those of a ValueError."""
    value: object
    """What the field was given."""

    @property
    def field(self) -> str:
        """The dotted name of the field; empty for the input as a whole."""
        return ".".join(str(step) for step in self.place)


def first_problem(error: ValidationError) -> Problem:
    """Return the first problem of a validation error."""
    first = error.errors(include_url=False, include_context=False)[0]
    return Problem(first["loc"], first["type"], first["msg"].removeprefix("Value error, "), first["input"])


def one_line(error: ValidationError, known: Iterable[str], whole: str) -> str:
    """Return the first problem as `FIELD: TEXT`, such as `size: is required`.

    `known` are the fields that there are, `whole` is the name of the input where the problem is not that of one field.
    """
    problem = first_problem(error)
    texts = {"missing": "is required", "extra_forbidden": f"is unknown; there are {', '.join(known)}"}
    return f"{problem.field or whole}: {texts.get(problem.kind, problem.text)}"
