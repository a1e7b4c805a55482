"""What all parts of a scenario file share: known keys only, names and patterns, errors with their place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, ConfigDict, ValidationError, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import InitErrorDetails, PydanticCustomError

from imagestore_sim.plain_numbers import PlainNumbers
from imagestore_sim.suggestions import expected
from imagestore_sim.units import shown

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
LONGEST_RANGE = 1000
Place = Sequence[int | str]
"""Where a field is in a file: the keys and indexes that lead to it."""
Problems = Iterator[tuple[Place, str]]
"""What is wrong with a file: the place, and why."""


def reject(place: tuple[str | int, ...], text: str, value: object = None) -> NoReturn:
    """Raise a ValidationError with `text` at `place`, which is below the part that is being validated."""
    error = PydanticCustomError("scenario", "{text}", {"text": text})
    raise ValidationError.from_exception_data("scenario", [InitErrorDetails(type=error, loc=place, input=value)])


def unknown(what: str, known: Iterable[str]) -> str:
    """Return `fautl is not known here; expected fault, heal, ... (did you mean fault?)`."""
    return f"{what} is not known here; {expected(what, known)}"


def without_references(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema with the parts in its `$defs` put where it refers to them, so that it can be part of another."""
    parts = schema.get("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        beside = {name: resolved(one) for name, one in value.items() if name not in ("$ref", "$defs")}
        return resolved(parts[value["$ref"].rpartition("/")[2]]) | beside if "$ref" in value else beside

    found: JsonSchemaValue = resolved(schema)
    return found


class ScenarioModel(PlainNumbers):
    """A mapping in a scenario file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, coerce_numbers_to_str=True, arbitrary_types_allowed=True
    )

    @classmethod
    def keys(cls) -> list[str]:
        """Return the keys that it may hold, as a file writes them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="before")
    @classmethod
    def _has_known_keys_only(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            text = f"expected a mapping with {', '.join(cls.keys())}, but got {shown(value)}"
            raise PydanticCustomError("scenario", "{text}", {"text": text})
        known = cls.keys()
        for key in value:
            if key not in known:
                reject((str(key),), unknown(str(key), known), key)
        return value


def only_key(model: ScenarioModel, names: tuple[str, ...]) -> str:
    """Return the one of `names` that is given. Raise ValueError when it is not exactly one, or has no value."""
    fields = model.model_fields_set
    given = [name for name in names if name in fields]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ValueError(f"expected exactly one of {', '.join(names)}, but got {found}")
    if getattr(model, given[0]) is None:
        reject((given[0],), "expected a value, but it has none; {} stands for a mapping without keys")
    return given[0]


def expand_range(text: str) -> list[str]:
    """Return the names that `imagestore-{1..3}` stands for; a name without a range, alone. Raise ValueError."""
    found = _RANGE.search(text)
    if found is None:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + LONGEST_RANGE:
        raise ValueError(f"{found[0]} is no range of one to {LONGEST_RANGE} numbers")
    return [f"{text[: found.start()]}{number}{text[found.end() :]}" for number in range(first, last + 1)]


def matching(patterns: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Yield the names that match one of the patterns, in the order of `names`."""
    chosen = list(patterns)
    return (name for name in names if any(fnmatchcase(name, one) for one in chosen))


def _parse_names(value: object) -> object:
    if isinstance(value, str):
        return tuple(expand_range(value))
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return tuple(name for one in value for name in expand_range(one))
    if isinstance(value, tuple):
        return value
    raise ValueError(f"expected a name, a pattern such as imagestore-*, or a list of such, but got {shown(value)}")


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_parse_names),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "examples": ["imagestore-1", "imagestore-*", "imagestore-{1..3}"],
        }
    ),
]
"""Names or patterns."""
