"""Read the values of a message's fields from a request, converting their types as Gson does (wire-protocol 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

import orjson

from imagestore_sim.rest import gson
from imagestore_sim.rest.errors import PlainError, internal_error
from imagestore_sim.rest.java_values import BLANKS, java_class, java_text, utf16_length
from imagestore_sim.rest.parameters import INT_MAX, LONG_MAX, Api, Kind, Parameter, Rule

Values = dict[str, object]
Body = Mapping[str, object] | None
Pairs = Sequence[tuple[str, str]]
TAGS = ("systemTags", "userTags")
TIMEOUT = "timeout"
SUFFIXES = "dDfF"
DOUBLE = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?")
"""A number of Java's Double.parseDouble, of which the hexadecimal ones are left out."""
MAX_EXPONENT = 400
FEW_NAMES = 4
UNSEEN: Mapping[str, Parameter] = MappingProxyType(
    {
        name: Parameter(name, kind, Rule(), required=False, own=False)
        for name, kind in (
            (TIMEOUT, Kind.LONG),
            ("messageDeadline", Kind.LONG),
            ("createdTime", Kind.LONG),
            ("id", Kind.STRING),
            ("serviceId", Kind.STRING),
            ("clientIp", Kind.STRING),
            ("clientBrowser", Kind.STRING),
            ("headers", Kind.MAP),
            ("session", Kind.MAP),
        )
    }
)
"""The fields that every message of ZStack has and no API documents. Gson reads them from a body, too."""


def parse_body(raw: bytes) -> Body:
    """Return the object in a body, or None for a blank or `null` body. Raise PlainError 500 (wire-protocol 1.4)."""
    if not raw or raw == b"null":
        return None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return read_leniently(raw)
    if isinstance(body, dict) and not _may_repeat_a_name(raw, body) and not _may_be_too_deep(raw):
        return body
    return read_leniently(raw)


def read_leniently(raw: bytes) -> Body:
    """Parse a body as Gson does leniently. Raise PlainError 500."""
    try:
        return gson.read_object(raw.decode("utf-8", "replace"))
    except gson.NotReadable as error:
        raise PlainError(500, str(error)) from None


def _may_repeat_a_name(raw: bytes, body: Mapping[str, object]) -> bool:
    """Return whether a name might occur twice in the object, which the strict parser accepts."""
    if b"\\" in raw or len(body) > FEW_NAMES:  # searching the body for each of them would take long
        return True
    return any(raw.count(orjson.dumps(name)) > 1 for name in body)


def _may_be_too_deep(raw: bytes) -> bool:
    """Return whether values might be nested deeper than `gson` allows; the strict parser allows more."""
    return raw.count(b"[") + raw.count(b"{") > gson.MAX_DEPTH


def bind_body(api: Api, body: Body, key: str) -> Values:
    """Return the values of a POST or PUT, which are the members of `key`. Ignore unknown names and nulls.

    ZStack verifies numbers and booleans first. Then it writes the object as JSON, and Gson parses that text as the
    message: the error names the first mistake in that text, and its place. Raise PlainError 400 or 500.
    """
    given = (body or {}).get(key)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise PlainError(500, f"{java_class(given)} cannot be cast to java.util.Map")
    _verify(given, api.parameters)
    shown = {parameter.name: parameter for parameter in api.parameters}
    values: Values = {}
    for name, value in given.items():
        parameter = shown.get(name) or UNSEEN.get(name)
        if value is None or parameter is None:
            continue
        try:
            converted = _convert(parameter, value)
        except Mismatch as mismatch:
            raise PlainError(500, mismatch.in_text(given, name)) from None
        if name in shown:
            values[name] = converted
    return values


def timeout_in(body: Body, key: str) -> int | None:
    """Return the time-out in milliseconds among the parameters of a POST or PUT, which were bound before; or None."""
    given = (body or {}).get(key)
    value = given.get(TIMEOUT) if isinstance(given, Mapping) else None
    milliseconds = None if value is None else _whole_number(UNSEEN[TIMEOUT], value)
    return None if milliseconds == -1 else milliseconds


def bind_fields(api: Api, given: Mapping[str, object]) -> Values:
    """Return the values of a whole message, as the legacy API gets it. Raise PlainError 500.

    Gson alone reads such a message, from a tree: its errors name no place in a text.
    """
    values: Values = {}
    for parameter in (replace(one, own=False) for one in api.parameters):
        value = given.get(parameter.name)
        if value is not None:
            try:
                values[parameter.name] = _convert(parameter, value)
            except Mismatch as mismatch:
                raise PlainError(500, mismatch.in_tree(parameter.name)) from None
    return values


def _verify(given: Mapping[str, object], parameters: Sequence[Parameter]) -> None:
    """Raise PlainError 400 if one of the message's own fields needs a number or boolean and has another value."""
    for parameter in parameters:
        value = given.get(parameter.name)
        if value is None or not parameter.own:
            continue
        if parameter.kind is Kind.BOOLEAN:
            _verify_boolean(parameter, value)
        elif parameter.kind in (Kind.INTEGER, Kind.LONG):
            _decimal(parameter, value)


def bind_tags(body: Body) -> Values:
    """Return the tags at the top level of a body, which replace those among the parameters (wire-protocol 5.1)."""
    return {tags: _top_level_tags(body[tags]) for tags in TAGS if body and body.get(tags) is not None}


def bind_query_string(api: Api, pairs: Pairs) -> Values:
    """Return the values of a GET or DELETE. Ignore unknown names. Raise PlainError 400 or 500."""
    values: Values = {}
    for parameter in api.parameters:
        if parameter.kind is Kind.STRINGS:
            found: object | None = _list_of(parameter.name, pairs) or None
        elif parameter.kind is Kind.OBJECTS:
            found = None  # a query string has no form for it
        elif parameter.kind is Kind.MAP:
            found = _map_of(parameter.name, pairs) or None
        else:
            found = _scalar(parameter, [value for name, value in pairs if name == parameter.name])
        if found is not None:
            values[parameter.name] = found
    return values


def bind_path(api: Api, variables: Mapping[str, str], values: Values) -> Values:
    """Return the values with those of the path, which replace the body's (wire-protocol 1.2). Raise PlainError 500."""
    known = {parameter.name: parameter for parameter in api.parameters}
    return values | {name: _from_path(known[name], value) for name, value in variables.items() if name in known}


def _from_path(parameter: Parameter, value: str) -> object:
    try:
        return _convert(parameter, value)
    except Mismatch as mismatch:
        raise PlainError(500, mismatch.in_tree(parameter.name)) from None


def _convert(parameter: Parameter, value: object) -> object:
    match parameter.kind:
        case Kind.INTEGER | Kind.LONG:
            return _whole_number(parameter, value)
        case Kind.BOOLEAN:
            return _boolean(value)
        case Kind.STRING:
            return _string(value)
        case Kind.STRINGS:
            return _strings(value)
        case Kind.MAP:
            return _map(value)
        case Kind.OBJECTS:
            return _objects(value)


@dataclass(frozen=True, slots=True)
class Mismatch(Exception):
    """Gson cannot convert a value to the type of its field. `steps` lead from the field to an element in lists."""

    expected: str
    value: object
    steps: tuple[int, ...] = ()
    complaint: str = ""
    """The complaint about a number that does not fit its type; empty if the value is not of the type at all."""

    def in_text(self, given: Mapping[str, object], name: str) -> str:
        """Return Gson's message, with the place in the JSON text of `given`."""
        before = _written_before(given, name, self.steps)
        column = 1 + utf16_length(before + _consumed(self.value, whole=bool(self.complaint)))
        return f"{self._message()} at line 1 column {column} {self._path(name)}"

    def in_tree(self, name: str) -> str:
        """Return Gson's message for a value in a tree."""
        tokens = {"a string": "STRING", "a boolean": "BOOLEAN"}
        return f"{self._message(tokens.get(self.expected, self.expected))} at {self._path(name)}"

    def _message(self, expected: str | None = None) -> str:
        if self.complaint:
            return f"java.lang.NumberFormatException: {self.complaint}"
        return f"java.lang.IllegalStateException: Expected {expected or self.expected} but was {gson.token(self.value)}"

    def _path(self, name: str) -> str:
        return f"path $.{name}{''.join(f'[{step}]' for step in self.steps)}"


def _written_before(given: Mapping[str, object], name: str, steps: tuple[int, ...]) -> str:
    """Return the JSON text that Gson writes for an object, up to the value of a member, or an element of it."""
    members: list[str] = []
    for key, value in given.items():
        if key == name:
            break
        if value is not None:
            members.append(f"{gson.write(key)}:{gson.write(value)}")
    text = "{" + ",".join([*members, f"{gson.write(name)}:"])
    value = given[name]
    for step in steps:
        assert isinstance(value, list), "only elements of lists have a number"
        text += "[" + "".join(f"{gson.write(one)}," for one in value[:step])
        value = value[step]
    return text


def _consumed(value: object, *, whole: bool) -> str:
    """Return the part of a value that Gson's reader has consumed when it sees its type."""
    match value:
        case list() | dict() | str():
            return "x"
        case float() if not whole:
            return ""
        case _:
            return gson.write(value)


def _whole_number(parameter: Parameter, value: object) -> int:
    number = _decimal(parameter, value)
    if parameter.kind is Kind.INTEGER and number > INT_MAX:
        raise PlainError(500, f"{int(number)} is Integer overflow, Integer.MAX_VALUE is {INT_MAX}")
    if abs(number) <= LONG_MAX:
        return int(number)
    as_double = float(number)
    if as_double not in (float(LONG_MAX), -float(LONG_MAX)):
        raise Mismatch("a long", value, complaint=f"Expected a long but was {java_text(value)}")
    return LONG_MAX if number > 0 else -LONG_MAX - 1


def _decimal(parameter: Parameter, value: object) -> Decimal:
    """Return the whole number that Java's Double.parseDouble reads in a value. Raise PlainError 400 or 500."""
    text = java_text(value)
    trimmed = text.strip(BLANKS)
    number = Decimal(trimmed.rstrip(SUFFIXES) if DOUBLE.fullmatch(trimmed) else "NaN")
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT or number != number.to_integral_value():
        if not parameter.own and number.is_finite():
            raise Mismatch("a long", value, complaint=f"Expected a long but was {text}")
        if not parameter.own:
            raise PlainError(500, f'java.lang.NumberFormatException: For input string: "{text}"')
        raise PlainError(400, f"[{parameter.name}] field is excepted an int or long, but was [{text}].")
    return number


def _verify_boolean(parameter: Parameter, value: object) -> None:
    text = java_text(value)
    if text.lower() not in ("true", "false"):
        expected = f"[{text}] is not a valid boolean string[true, false]."
        raise PlainError(400, f"Invalid value for boolean field [{parameter.name}], {expected}")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.lower() == "true"  # as Java's parseBoolean
    raise Mismatch("a boolean", value)


def _string(value: object, *steps: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return java_text(value)
    raise Mismatch("a string", value, steps)


def _strings(value: object) -> list[str | None]:
    if not isinstance(value, list):
        raise Mismatch("BEGIN_ARRAY", value)
    return [None if one is None else _string(one, index) for index, one in enumerate(value)]


def _objects(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise Mismatch("BEGIN_ARRAY", value)
    for index, one in enumerate(value):
        if not isinstance(one, Mapping):
            raise Mismatch("BEGIN_OBJECT", one, (index,))
    return [dict(one) for one in value]


def _map(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise Mismatch("BEGIN_OBJECT", value)
    return dict(value)


def _top_level_tags(value: object) -> list[str | None]:
    if not isinstance(value, list):
        raise PlainError(500, f"{java_class(value)} cannot be cast to java.util.List")
    return [_top_level_tag(one) for one in value]


def _top_level_tag(value: object) -> str | None:
    """Return a tag; one that is not a string becomes a NotAString, since ZStack fails only when it reads it."""
    if value is None or isinstance(value, str):
        return value
    return NotAString(java_text(value), java_class(value))


class NotAString(str):
    """An element of a list of strings that a client sent as something else; `java_class` is its class in Java."""

    __slots__ = ("java_class",)
    java_class: str

    def __new__(cls, shown: str, java_class: str) -> NotAString:
        """Make one; `shown` is the value as Java prints it."""
        made = super().__new__(cls, shown)
        made.java_class = java_class
        return made

    @property
    def complaint(self) -> str:
        """Return the message of Java's exception where ZStack reads it as a string."""
        return f"{self.java_class} cannot be cast to java.lang.String"


def strings(values: Iterable[str]) -> Iterator[str]:
    """Yield the elements of a list of strings. Raise ApiError SYS.1000 at one that is not a string, as Java does."""
    for value in values:
        if isinstance(value, NotAString):
            raise internal_error(value.complaint)
        yield value


def _scalar(parameter: Parameter, given: Sequence[str]) -> object | None:
    if not given:
        return None
    if len(given) > 1:
        text = "only one value is allowed for the parameter but multiple values found"
        raise PlainError(400, f"Invalid query parameter[{parameter.name}], {text}")
    if parameter.kind is Kind.BOOLEAN:
        return given[0].lower() == "true"
    if parameter.kind is Kind.STRING:
        return given[0]
    return _through_double(parameter, given[0].strip(BLANKS))


def _through_double(parameter: Parameter, text: str) -> int:
    """Return a number of a query string: read as a Java double, then cut to the range of its field."""
    if not DOUBLE.fullmatch(text):
        raise PlainError(500, f'For input string: "{text}"' if text else "empty String")
    limit = LONG_MAX if parameter.kind is Kind.LONG else INT_MAX
    return int(max(-limit - 1, min(limit, float(text.rstrip(SUFFIXES)))))


def _list_of(name: str, pairs: Pairs) -> list[str]:
    indexed = re.compile(re.escape(name) + r"\.([0-9]+)")
    numbered = sorted(
        (int(match[1]), value) for key, value in pairs if (match := indexed.fullmatch(key)) and len(match[1]) < 10
    )
    return [value for key, value in pairs if key == name] + [value for _, value in numbered]


def _map_of(name: str, pairs: Pairs) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if not key.startswith(f"{name}."):
            continue
        if key.removeprefix(f"{name}.") in found:
            text = "there has been a parameter with the same map key"
            raise PlainError(400, f"duplicate map query parameter[{key}], {text}")
        found[key.removeprefix(f"{name}.")] = value
    return found
