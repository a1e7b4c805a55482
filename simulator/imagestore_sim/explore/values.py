"""Draws values from JSON schemas: those of steps, faults and their parameters, as their declarations give them.

Values are round, and small enough for a run to end: a search by many short runs finds more than one by a few long ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from imagestore_sim.units import parse_bytes

Schema = Mapping[str, Any]
DURATIONS = ("1s", "2s", "5s", "10s", "20s", "30s", "1m")
SIZES = ("0", "200", "1000", "2500", "1 MiB", "1 GiB", "100 GiB", "1 TiB", "2 TiB")
SHARES = ("0%", "10%", "50%", "99%", "100%")
RATES = ("1000", "1 MiB", "1 GiB")
PATHS = ("/Cloud_bs", "/Cloud_bs", "/Cloud_bs/registry", "/Cloud_bs/export", "/")
NUMBERS = (0, 1, 2, 3, 5, 10)
BY_UNIT: Mapping[str, Sequence[str]] = {
    "seconds": DURATIONS,
    "bytes": SIZES,
    "bytes or %": (*SHARES, *SIZES[-3:]),
    "bytes/s": RATES,
}
OPTIONAL = 0.3
"""How probable it is that a parameter is given which need not be."""


def draw_object(draws: Random, schema: Schema, parts: Schema, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return an object that a schema allows; `parts` are the `$defs` that it refers to. Leave out keys `without`.

    Raise ValueError if a value that is required cannot be drawn.
    """
    required = schema.get("required", ())
    drawn: dict[str, Any] = {}
    for name, value in schema["properties"].items():
        if name in without or (name not in required and draws.random() > OPTIONAL):
            continue
        try:
            drawn[name] = draw_value(draws, name, value, parts)
        except ValueError:
            if name in required:
                raise
    return drawn


def draw_value(draws: Random, name: str, schema: Schema, parts: Schema) -> Any:
    """Return a value that a schema allows; `name` is that of the parameter. Raise ValueError if none is known."""
    if "$ref" in schema:
        return draw_value(draws, name, parts[schema["$ref"].rpartition("/")[2]], parts)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draws.choice(schema["enum"])
    if choices := [one for key in ("anyOf", "oneOf") for one in schema.get(key, ()) if one.get("type") != "null"]:
        return draw_value(draws, name, draws.choice(choices), parts)
    if "x-unit" in schema:
        return draws.choice([one for one in BY_UNIT[schema["x-unit"]] if _fits(one, schema)])
    if "properties" in schema:
        return _draw_selection(draws, schema, parts)
    return _draw_plain(draws, name, schema, parts)


def _draw_plain(draws: Random, name: str, schema: Schema, parts: Schema) -> Any:
    examples = [*schema.get("examples", ()), *([schema["default"]] if schema.get("default") is not None else ())]
    match schema.get("type"):
        case "boolean":
            return draws.random() < 0.5
        case "integer":
            least, most = schema.get("minimum", 0), schema.get("maximum", NUMBERS[-1])
            return draws.choice([one for one in NUMBERS if least <= one <= most] or [least])
        case "number":
            return draws.choice((0.1, 0.3, 0.5, 1.0))
        case "string" if any(str(one).startswith("/Cloud_bs") for one in examples):
            return draws.choice(PATHS)
        case "array" if not examples:
            return [draw_value(draws, name, schema["items"], parts)]
    if not examples:
        raise ValueError(f"nothing is known of the values of {name}")
    return draws.choice(examples)


def _draw_selection(draws: Random, schema: Schema, parts: Schema) -> dict[str, Any]:
    """Return an object with one or two of its properties: more of them select nothing any more."""
    names = draws.sample(sorted(schema["properties"]), draws.choice((1, 1, 2)))
    return {name: draw_value(draws, name, schema["properties"][name], parts) for name in names}


def _fits(text: str, schema: Schema) -> bool:
    """Return whether a size, a rate or a duration is within the bounds of the schema."""
    if text in ("0", "0s", "0%"):
        return not (schema.get("minimum", 0) > 0 or schema.get("exclusiveMinimum", -1) >= 0)
    most: float = schema.get("maximum", math.inf)
    return schema["x-unit"] != "bytes" or parse_bytes(text) <= most
