"""Pydantic's validation errors in one line: the first problem, and the name of the field that has it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ValidationError

Place = tuple[int | str, ...]
"""The keys and indexes that lead to a part of an input; empty for the input as a whole."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of an input."""

    place: Place
    """Where the field is."""
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


def one_line(error: ValidationError, names: Callable[[Place], Sequence[str]], whole: str) -> str:
    """Return the first problem as `FIELD: TEXT`, such as `size: is required`.

    `names` returns the names of the fields that the part at a place has; none if they are not known. `whole` is the
    name of the input where the problem is not that of one field.
    """
    problem = first_problem(error)
    match problem.kind:
        case "missing":
            text = "is required"
        case "extra_forbidden":
            text = unknown(str(problem.place[-1]), names(problem.place[:-1]))
        case _:
            text = problem.text
    return f"{problem.field or whole}: {text}"


def unknown(name: str, known: Sequence[str]) -> str:
    """Return what to say of a name that is none of those that are known, such as `is unknown; there are path, to`."""
    return f"is unknown; there are {', '.join(known)}{likely(name, known)}" if known else "is unknown"


def likely(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean NAME?)`, with the known name that is nearest; empty if none is near."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near}?)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def names_at(model: type[BaseModel], place: Place) -> list[str]:
    """Return the names of the fields that the part of a model at `place` has, as input gives them.

    Return none where the part has no such fields, or may have those of several models.
    """
    part: type[BaseModel] | None = model
    for step in place:
        if part is not None and isinstance(step, str):
            fields = part.model_fields.items()
            part = next((_model_in(field.annotation) for name, field in fields if step in (name, field.alias)), None)
    return [] if part is None else [field.alias or name for name, field in part.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that an annotation names, also in a list or beside None; None where there is not just one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [model for one in get_args(annotation) if (model := _model_in(one)) is not None]
    return found[0] if len(found) == 1 else None
