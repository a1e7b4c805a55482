"""Pydantic's validation errors in one line for people: the first problem, and the name of the field that has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from imagestore_sim.suggestions import instead, meant, unknown

Place: TypeAlias = "tuple[int | str, ...]"
Models: TypeAlias = "frozenset[type[BaseModel]]"
KEY = "[key]"
"""The last step of pydantic's path to a key of a mapping that is wrong itself."""
UNKNOWN, MISSING = "extra_forbidden", "missing"
_LIST, _MAPPING = "expected a list", "expected a mapping"
_NUMBER, _WHOLE = "expected a number", "expected a whole number"
_DATE = "expected a date and time, such as 2026-03-01 12:00:00"
_TEXTS: Mapping[str, str] = {
    MISSING: "is required",
    "string_type": "expected a text",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "expected a whole number of fewer digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected {ge} or more",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected {le} or less",
    "string_too_short": "expected a text of at least {min_length} characters",
    "string_too_long": "expected a text of at most {max_length} characters",
    "string_pattern_mismatch": "expected a text of the pattern {pattern}",
    "too_short": "expected at least {min_length} of them",
    "too_long": "expected at most {max_length} of them",
    "datetime_type": _DATE,
    "datetime_parsing": _DATE,
    "datetime_from_date_parsing": _DATE,
    "datetime_object_invalid": _DATE,
    "path_type": "expected a path",
    "json_invalid": "is not JSON: {error}",
}
"""What each kind of problem is in words, with what pydantic knows of it. It shows no value: that may be a secret."""
_SHORT_TEXTS = {
    ("string_too_short", 1): "expected a text that is not empty",
    ("string_pattern_mismatch", "^[0-9a-f]{32}$"): "expected a uuid: 32 characters of 0-9 and a-f",
}
"""Texts for the bounds that have better words."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of an input."""

    place: Place
    """The keys and indexes, from 0, that lead to the field; empty for the input as a whole."""
    kind: str
    """Pydantic's name of the problem, such as `missing` or `extra_forbidden`."""
    text: str
    """What is wrong, in words."""
    value: object
    """What the field was given."""
    known: Sequence[str] = ()
    """The fields that there are where this one is."""

    @property
    def field(self) -> str:
        """The dotted name of the field; empty for the input as a whole."""
        return place_text(self.place)


def place_text(place: Iterable[int | str]) -> str:
    """Return the dotted name of a field. The elements of a list count from 1, as people count them."""
    return ".".join(str(step + 1 if isinstance(step, int) else step) for step in place)


def first_problem(error: ValidationError, model: type[BaseModel] | None = None, given: object = None) -> Problem:
    """Return the first problem of a validation error; `model` was made of `given`.

    With these, the place has only what the input has, without pydantic's names for the types of a field that may have
    several; and an unknown field comes with those that there are.
    """
    found = (_problem(one, model, given) for one in error.errors(include_url=False))
    first = next(found)
    beside, below = first.place[:-1], first.place
    for one in found:
        misspelt = first.kind == MISSING and one.kind == UNKNOWN and one.place[:-1] == beside
        # Of a field that may be a text or a mapping, what is wrong with the mapping comes second.
        inside = len(one.place) > len(below) and one.place[: len(below)] == below
        if misspelt or inside:
            first = one
            if one.kind == UNKNOWN:
                break
    return first


def one_line(
    error: ValidationError, known: Iterable[str], whole: str, model: type[BaseModel], given: object = None
) -> str:
    """Return the first problem as `FIELD: TEXT`, such as `size: is required`.

    `known` are the fields of the input, `whole` is its name where the problem is not that of one field; `model` was
    made of `given`.
    """
    problem = first_problem(error, model, given)
    text = problem.text
    if problem.kind == UNKNOWN:
        there = list(known) if len(problem.place) == 1 else problem.known
        text = unknown(str(problem.place[-1]), there)
    return f"{problem.field or whole}: {text}"


def _problem(detail: Any, model: type[BaseModel] | None, given: object) -> Problem:
    """Return one of the problems of a validation error, as pydantic describes it."""
    kind: str = detail["type"]
    place, models = (detail["loc"], frozenset[type[BaseModel]]()) if model is None else _trace(detail, model, given)
    known = list(dict.fromkeys(name for one in models for name in names_of(one)))
    return Problem(place, kind, _text(detail, known), detail["input"], known)


def _text(detail: Any, known: Sequence[str]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if detail["loc"][-1:] == (KEY,) and kind in ("literal_error", "enum"):
        return f"there is no such name; {instead(str(detail['input']), _words(context['expected']))}"
    if kind == UNKNOWN:
        return f"there is no such field; {instead(str(detail['loc'][-1]), known)}"
    if kind in ("model_type", "model_attributes_type") and known:
        return f"{_MAPPING} with {', '.join(known)}"
    if kind in ("literal_error", "enum"):
        near = meant(str(detail["input"]), _words(context["expected"]))
        context = {"expected": str(context["expected"]).replace("'", "") + near}
    for (short, bound), better in _SHORT_TEXTS.items():
        if kind == short and bound in context.values():
            return better
    text = _TEXTS.get(kind)
    if text is None:
        return str(detail["msg"]).removeprefix("Value error, ")
    return text.format_map({name: _bound(value) for name, value in context.items()})


def _bound(value: object) -> object:
    """Return a bound as people write it: a number without a fraction has no point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _words(expected: str) -> list[str]:
    """Return the words in `'line', 'close' or 'reset'`."""
    return re.findall(r"'([^']*)'", expected)


def _trace(detail: Any, model: type[BaseModel], given: object) -> tuple[Place, Models]:
    """Return where in the input a problem is, and the models that the mapping there may be read as.

    Of an unknown or a missing field that is the mapping around it.
    """
    models: Models = frozenset([model])
    place: list[int | str] = []
    last = len(detail["loc"]) - 1 if detail["type"] in (UNKNOWN, MISSING) else None
    for number, step in enumerate(detail["loc"]):
        annotations = [field.annotation for one in models for name, field in _fields(one) if name == step]
        if number == last:
            place.append(step)
        elif annotations or _has(given, step):
            place.append(step)
            given = _member(given, step)
            models = frozenset(found for one in annotations for found in _models(one)) if annotations else models
        else:  # the name of a type, of several that the field may have
            models = frozenset(one for one in models if one.__name__ == step) or models
    return tuple(place), models


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield name, field
        if field.alias is not None:
            yield field.alias, field


def names_of(model: type[BaseModel]) -> list[str]:
    """Return the names of the fields of a model, as input gives them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in the type of a field: those of a list's elements, of a mapping's values, of alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _has(given: object, step: int | str) -> bool:
    if isinstance(given, Mapping):
        return any(str(key) == str(step) for key in given)
    return isinstance(step, int) and isinstance(given, list | tuple) and step < len(given)


def _member(given: object, step: int | str) -> object:
    if isinstance(given, Mapping):
        return next((value for key, value in given.items() if str(key) == str(step)), None)
    return given[step] if isinstance(given, list | tuple) and isinstance(step, int) and step < len(given) else None
