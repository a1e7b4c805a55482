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
_COUNT = re.compile(r"\d{1,19}")
_FRACTION = re.compile(r"\d{1,19}\.\d+")
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
        if _FRACTION.fullmatch(self.operand):  # as a number of bytes it would be rounded
            return float(self.operand)
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


def parse_matcher(value: object, example: str = "> 3") -> Matcher:
    """Return the matcher for a value, an operator and a value, or a list of such.

    Raise ValueError, which gives a comparison as an example.
    """
    if isinstance(value, Matcher):
        return value
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, list | dict) for one in values):
        known = f"a value, a comparison such as '{example}', or a list of values"
        raise ValueError(f"expected {known}, but got {shown(value)}")
    found = [_WRITTEN.fullmatch(_text(one)) for one in values]
    comparisons = tuple(Comparison(one[1] or "=", one[2]) for one in found if one is not None)
    if len(comparisons) != len(values):
        raise ValueError("expected something to compare with after the operator")
    return Matcher(" or ".join(_text(one) for one in values), comparisons)


def _parser(expected: str, example: str, is_expected: Callable[[str], bool]) -> PlainValidator:
    """Return what reads a matcher whose operands are all as expected, and names what is expected of another one."""

    def parse(value: object) -> Matcher:
        matcher = parse_matcher(value, example)
        for one in matcher.any_of:
            if not is_expected(one.operand):
                known = f"{expected}, or a comparison such as '{example}'"
                raise ValueError(f"expected {known}, but got {shown(one.operand)}")
        return matcher

    return PlainValidator(parse)


def _is_amount(operand: str) -> bool:
    try:
        parse_amount(operand)
    except ValueError:
        return False
    return True


def _parse_text(value: object) -> Matcher:
    matcher = parse_matcher(value, "!= Connected")
    for one in matcher.any_of:
        if one.sign not in _TEXTUAL:
            raise ValueError(f"texts are compared with = and != only, but got {one.sign} {one.operand}")
    return matcher


def _schema(*examples: str, kinds: tuple[str, ...] = ("string", "number", "boolean", "null")) -> WithJsonSchema:
    one: dict[str, Any] = {"type": list(kinds), "examples": list(examples)}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": {"type": list(kinds)}, "minItems": 1}]})


_written = PlainSerializer(str, return_type=str)
AnyMatcher = Annotated[Matcher, PlainValidator(parse_matcher), _written, _schema("Connected", "> 3")]
CapacityMatcher = Annotated[
    Matcher,
    _parser(
        "a size such as 1 TiB, a share of totalCapacity such as 55%, totalCapacity",
        "< 10%",
        lambda operand: operand in CAPACITIES or _is_amount(operand),
    ),
    _written,
    _schema("1 TiB", "< 10%", "~ 600 GiB", kinds=("string", "integer")),
]
SizeMatcher = Annotated[
    Matcher,
    _parser("a size such as 1 GiB", "< 1 GiB", _is_amount),
    _written,
    _schema("1 GiB", "< 10 MiB", "~ 600 MiB", kinds=("string", "integer")),
]
CountMatcher = Annotated[
    Matcher,
    _parser("a whole number", ">= 2", lambda operand: _COUNT.fullmatch(operand) is not None),
    _written,
    _schema("3", ">= 2", kinds=("string", "integer")),
]
NumberMatcher = Annotated[
    Matcher,
    _parser("a number, a size such as 1 TiB", ">= 0.5", _is_amount),
    _written,
    _schema("3", ">= 0.5", "1 TiB", kinds=("string", "number")),
]
TextMatcher = Annotated[Matcher, PlainValidator(_parse_text), _written, _schema("Connected", "!= Connected")]
