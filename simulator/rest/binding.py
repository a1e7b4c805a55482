"""From what a client sent to the values of a message's fields: where they stand, which types pass (wire-protocol 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

import orjson

from simulator.rest import gson
from simulator.rest.errors import PlainError
from simulator.rest.parameters import INT_MAX, LONG_MAX, Api, Kind, Parameter

Values = dict[str, object]
Body = Mapping[str, object] | None
Pairs = Sequence[tuple[str, str]]
TAGS = ("systemTags", "userTags")
DOUBLE = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?")
MAX_EXPONENT = 400
FEW_NAMES = 4
TREE_MAP = "com.google.gson.internal.LinkedTreeMap"


def parse_body(raw: bytes) -> Body:
    """The body's object; None for an empty, blank or `null` one. Raises PlainError 500 (wire-protocol 1.4)."""
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
    """What Gson makes of a body that is not plainly the JSON of one object. Raises PlainError 500."""
    try:
        return gson.read_object(raw.decode("utf-8", "replace"))
    except gson.NotReadable as error:
        raise PlainError(500, str(error)) from None


def _may_repeat_a_name(raw: bytes, body: Mapping[str, object]) -> bool:
    """Whether a name of the object might stand there twice, which strict reading does not tell."""
    if b"\\" in raw or len(body) > FEW_NAMES:  # each name is looked for in all of the body
        return True
    return any(raw.count(orjson.dumps(name)) > 1 for name in body)


def _may_be_too_deep(raw: bytes) -> bool:
    """Whether values might be nested deeper than Gson is let go; strict reading goes deeper."""
    return raw.count(b"[") + raw.count(b"{") > gson.MAX_DEPTH


def bind_body(api: Api, body: Body, key: str) -> Values:
    """The values of a POST or PUT, which stand under `key`. Unknown names are passed over, and so is a null."""
    given = (body or {}).get(key)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise PlainError(500, f"{_java_class(given)} cannot be cast to java.util.Map")
    return _bind(given, api.parameters)


def bind_fields(api: Api, given: Mapping[str, object]) -> Values:
    """The values of the fields of a whole message, which only Gson looks at: its type errors are all its own."""
    return _bind(given, tuple(replace(parameter, own=False) for parameter in api.parameters))


def _bind(given: Mapping[str, object], parameters: Sequence[Parameter]) -> Values:
    values: Values = {}
    for parameter in parameters:
        value = given.get(parameter.name)
        if value is not None:
            values[parameter.name] = _convert(parameter, value)
    return values


def bind_tags(body: Body) -> Values:
    """The tags beside the parameters, which win over those among them (wire-protocol 5.1)."""
    return {tags: _top_level_tags(body[tags]) for tags in TAGS if body and body.get(tags) is not None}


def bind_query_string(api: Api, pairs: Pairs) -> Values:
    """The values of a GET or DELETE. Unknown names are passed over."""
    values: Values = {}
    for parameter in api.parameters:
        if parameter.kind is Kind.STRINGS:
            found: object | None = _list_of(parameter.name, pairs) or None
        elif parameter.kind is Kind.MAP:
            found = _map_of(parameter.name, pairs) or None
        else:
            found = _scalar(parameter, [value for name, value in pairs if name == parameter.name])
        if found is not None:
            values[parameter.name] = found
    return values


def bind_path(api: Api, variables: Mapping[str, str], values: Values) -> Values:
    """The values with those that stand in the path, which win over the body's (wire-protocol 1.2)."""
    known = {parameter.name: parameter for parameter in api.parameters}
    return values | {name: _convert(known[name], value) for name, value in variables.items() if name in known}


def _convert(parameter: Parameter, value: object) -> object:
    match parameter.kind:
        case Kind.INTEGER | Kind.LONG:
            return _whole_number(parameter, value)
        case Kind.BOOLEAN:
            return _boolean(parameter, value)
        case Kind.STRING:
            return _string(parameter.name, value)
        case Kind.STRINGS:
            return _strings(parameter.name, value)
        case Kind.MAP:
            return _map(parameter.name, value)


def _whole_number(parameter: Parameter, value: object) -> int:
    text = _java_text(value)
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT or number != number.to_integral_value():
        if not parameter.own:
            raise PlainError(500, f'java.lang.NumberFormatException: For input string: "{text}"')
        raise PlainError(400, f"[{parameter.name}] field is excepted an int or long, but was [{text}].")
    if parameter.kind is Kind.INTEGER and abs(number) > INT_MAX:
        raise PlainError(500, f"{int(number)} is Integer overflow, Integer.MAX_VALUE is {INT_MAX}")
    if abs(number) > LONG_MAX:
        raise PlainError(500, f"java.lang.NumberFormatException: Expected a long but was {text}")
    return int(number)


def _boolean(parameter: Parameter, value: object) -> bool:
    text = _java_text(value)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if parameter.own:
        expected = f"[{text}] is not a valid boolean string[true, false]."
        raise PlainError(400, f"Invalid value for boolean field [{parameter.name}], {expected}")
    if isinstance(value, str):
        return False  # what Java's parseBoolean makes of it
    raise PlainError(500, _expected("a boolean", _token(value), f"path $.{parameter.name}"))


def _string(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return _java_text(value)
    raise PlainError(500, _expected("a string", _token(value), f"path $.{name}"))


def _strings(name: str, value: object) -> list[str | None]:
    if not isinstance(value, list):
        raise PlainError(500, _expected("BEGIN_ARRAY", _token(value), f"path $.{name}"))
    return [None if one is None else _string(f"{name}[{index}]", one) for index, one in enumerate(value)]


def _map(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise PlainError(500, _expected("BEGIN_OBJECT", _token(value), f"path $.{name}"))
    return dict(value)


def _top_level_tags(value: object) -> list[str | None]:
    if not isinstance(value, list):
        raise PlainError(500, f"{_java_class(value)} cannot be cast to java.util.List")
    return [None if one is None else _java_text(one) for one in value]


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
    return _through_double(parameter, given[0].strip())


def _through_double(parameter: Parameter, text: str) -> int:
    """A number in a query string: whatever a Java double can hold, cut to what the field can."""
    if not DOUBLE.fullmatch(text):
        raise PlainError(500, f'For input string: "{text}"' if text else "empty String")
    limit = LONG_MAX if parameter.kind is Kind.LONG else INT_MAX
    return int(max(-limit - 1, min(limit, float(text.rstrip("dDfF")))))


def _list_of(name: str, pairs: Pairs) -> list[str]:
    indexed = re.compile(re.escape(name) + r"\.(\d+)")
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


def _java_text(value: object) -> str:
    """What Java's toString() prints of a JSON value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_java_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}={_java_text(one)}' for name, one in value.items())}}}"
    return "null" if value is None else str(value)


def _java_class(value: object) -> str:
    names = {list: "java.util.ArrayList", str: "java.lang.String", bool: "java.lang.Boolean", dict: TREE_MAP}
    return names.get(type(value), "java.lang.Double")


def _token(value: object) -> str:
    """What Gson calls the beginning of a value."""
    names = {list: "BEGIN_ARRAY", dict: "BEGIN_OBJECT", str: "STRING", bool: "BOOLEAN"}
    return names.get(type(value), "NUMBER")


def _expected(wanted: str, found: str, where: str) -> str:
    return f"java.lang.IllegalStateException: Expected {wanted} but was {found} at {where}"
