"""What an expectation wants of a value: `Connected`, `1 TiB`, `"< 10%"`, `"> 0"`, `"~ 600 GiB"`, or one of a list."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from imagestore_sim.units import parse_amount

NEARLY = 0.01
"""`~` allows for so much of the value that is wanted."""
CAPACITIES = ("totalCapacity", "availableCapacity")
_WRITTEN = re.compile(r"(>=|<=|!=|>|<|=|~)?\s*(.*\S)\s*", re.DOTALL)
_NUMERIC: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "~": lambda seen, wanted: abs(seen - wanted) <= NEARLY * abs(wanted),
}
_TEXTUAL: Mapping[str, Callable[[object, object], bool]] = {"=": operator.eq, "!=": operator.ne}


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operator and what to compare with, as it was written."""

    sign: str
    operand: str

    def met(self, seen: object, beside: Mapping[str, object]) -> bool:
        """Whether a value is as wanted; `beside` holds the other fields of what it is a field of."""
        if isinstance(seen, bool) or not isinstance(seen, int | float):
            return self.sign in _TEXTUAL and _TEXTUAL[self.sign](_text(seen), self.operand)
        wanted = self._number(beside)
        return wanted is not None and _NUMERIC[self.sign](seen, wanted)

    def _number(self, beside: Mapping[str, object]) -> float | None:
        named = beside.get(self.operand)
        if isinstance(named, int | float):
            return named
        try:
            amount = parse_amount(self.operand)
        except ValueError:
            return None
        whole = beside.get("totalCapacity")
        return amount.of(whole if isinstance(whole, int) else 0)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One of several comparisons has to be met."""

    text: str
    any_of: tuple[Comparison, ...]

    def __str__(self) -> str:
        return self.text

    def met(self, seen: object, beside: Mapping[str, object]) -> bool:
        """Whether a value is as wanted."""
        return any(one.met(seen, beside) for one in self.any_of)


def _text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
    return str(value)


def parse_wanted(value: object) -> Matcher:
    """A value, an operator and a value, or a list of such; raises ValueError."""
    if isinstance(value, Matcher):
        return value
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, list | dict) for one in values):
        raise ValueError(f"expected a value, a comparison such as '< 10%', or a list of values, but got {value!r}")
    found = [_WRITTEN.fullmatch(_text(one)) for one in values]
    comparisons = tuple(Comparison(one[1] or "=", one[2]) for one in found if one is not None)
    if len(comparisons) != len(values):
        raise ValueError("expected something to compare with after the operator")
    return Matcher(" or ".join(_text(one) for one in values), comparisons)


def _parse_number(value: object) -> Matcher:
    """As parse_wanted, for fields that hold numbers; raises ValueError."""
    wanted = parse_wanted(value)
    for one in wanted.any_of:
        if one.operand not in CAPACITIES:
            try:
                parse_amount(one.operand)
            except ValueError:
                known = "a size such as 1 TiB, a share of totalCapacity such as 55%"
                raise ValueError(f"expected {known}, or totalCapacity, but got {one.operand!r}") from None
    return wanted


def _parse_text(value: object) -> Matcher:
    """As parse_wanted, for fields that hold text; raises ValueError."""
    wanted = parse_wanted(value)
    for one in wanted.any_of:
        if one.sign not in _TEXTUAL:
            raise ValueError(f"texts are compared with = and != only, but got {one.sign} {one.operand}")
    return wanted


def _schema(*examples: str, kinds: tuple[str, ...] = ("string", "number", "boolean", "null")) -> WithJsonSchema:
    one: dict[str, Any] = {"type": list(kinds), "examples": list(examples)}
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": {"type": list(kinds)}, "minItems": 1}]})


_written = PlainSerializer(str, return_type=str)
AnyMatcher = Annotated[Matcher, PlainValidator(parse_wanted), _written, _schema("Connected", "> 3")]
SizeWanted = Annotated[
    Matcher,
    PlainValidator(_parse_number),
    _written,
    _schema("1 TiB", "< 10%", "~ 600 GiB", kinds=("string", "integer")),
]
TextWanted = Annotated[Matcher, PlainValidator(_parse_text), _written, _schema("Connected", "!= Connected")]
