"""What an expectation compares a value with: `Connected`, `1 TiB`, `"< 10%"`, `"~ 600 GiB"`, or a list of such."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from imagestore_sim.units import parse_amount, shown

TOLERANCE = 0.01
"""The share of the expected value that `~` allows a difference of."""
CAPACITIES = ("totalCapacity", "availableCapacity")
_WRITTEN = re.compile(r"(>=|<=|!=|>|<|=|~)?\s*(.*\S)\s*", re.DOTALL)
_NUMERIC: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "~": lambda seen, expected: abs(seen - expected) <= TOLERANCE * abs(expected),
}
_TEXTUAL: Mapping[str, Callable[[object, object], bool]] = {"=": operator.eq, "!=": operator.ne}


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operator and an operand, as they are written."""

    sign: str
    operand: str

    def matches(self, seen: object, siblings: Mapping[str, object]) -> bool:
        """Return whether a value matches; `siblings` holds the other fields of its object, for shares and names."""
        if isinstance(seen, bool) or not isinstance(seen, int | float):
            return self.sign in _TEXTUAL and _TEXTUAL[self.sign](_text(seen), self.operand)
        expected = self._number(siblings)
        return expected is not None and _NUMERIC[self.sign](seen, expected)

    def _number(self, siblings: Mapping[str, object]) -> float | None:
        named = siblings.get(self.operand)
        if isinstance(named, int | float):
            return named
        try:
            amount = parse_amount(self.operand)
        except ValueError:
            return None
        whole = siblings.get("totalCapacity")
        return amount.of(whole if isinstance(whole, int) else 0)


@dataclass(frozen=True, slots=True)
class Matcher:
    """Comparisons, one of which has to match."""

    text: str
    any_of: tuple[Comparison, ...]

    def __str__(self) -> str:
        return self.text

    def matches(self, seen: object, siblings: Mapping[str, object]) -> bool:
        """Return whether a value matches one of them; `siblings` as for a Comparison."""
        return any(one.matches(seen, siblings) for one in self.any_of)


def _text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
    return str(value)


def parse_matcher(value: object) -> Matcher:
    """Return the matcher for a value, an operator and a value, or a list of such. Raise ValueError."""
    if isinstance(value, Matcher):
        return value
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, list | dict) for one in values):
        raise ValueError(f"expected a value, a comparison such as '< 10%', or a list of values, but got {shown(value)}")
    found = [_WRITTEN.fullmatch(_text(one)) for one in values]
    comparisons = tuple(Comparison(one[1] or "=", one[2]) for one in found if one is not None)
    if len(comparisons) != len(values):
        raise ValueError("expected something to compare with after the operator")
    return Matcher(" or ".join(_text(one) for one in values), comparisons)


def _parse_size(value: object) -> Matcher:
    matcher = parse_matcher(value)
    for one in matcher.any_of:
        if one.operand not in CAPACITIES:
            try:
                parse_amount(one.operand)
            except ValueError:
                known = "a size such as 1 TiB, a share of totalCapacity such as 55%"
                raise ValueError(f"expected {known}, or totalCapacity, but got {shown(one.operand)}") from None
    return matcher


def _parse_text(value: object) -> Matcher:
    matcher = parse_matcher(value)
    for one in matcher.any_of:
        if one.sign not in _TEXTUAL:
            raise ValueError(f"texts are compared with = and != only, but got {one.sign} {one.operand}")
    return matcher


def _schema(*examples: str, kinds: tuple[str, ...] = ("string", "number", "boolean", "null")) -> WithJsonSchema:
    one: dict[str, Any] = {"type": list(kinds), "examples": list(examples)}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": {"type": list(kinds)}, "minItems": 1}]})


_written = PlainSerializer(str, return_type=str)
AnyMatcher = Annotated[Matcher, PlainValidator(parse_matcher), _written, _schema("Connected", "> 3")]
SizeMatcher = Annotated[
    Matcher,
    PlainValidator(_parse_size),
    _written,
    _schema("1 TiB", "< 10%", "~ 600 GiB", kinds=("string", "integer")),
]
TextMatcher = Annotated[Matcher, PlainValidator(_parse_text), _written, _schema("Connected", "!= Connected")]
