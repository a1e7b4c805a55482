"""From what a client sent to the values of a message's fields: where they stand, which types pass (wire-protocol 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import orjson

from simulator.rest.errors import PlainError
from simulator.rest.parameters import INT_MAX, LONG_MAX, Api, Kind, Parameter

Values = dict[str, object]
Body = Mapping[str, object] | None
Pairs = Sequence[tuple[str, str]]
TAGS = ("systemTags", "userTags")


def parse_body(raw: bytes) -> Body:
    """The body's object; None for an empty, blank or `null` one. Raises PlainError 500 (wire-protocol 1.4)."""
    if not raw.strip():
        return None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise PlainError(500, _malformed(raw, error)) from None
    if body is None or isinstance(body, dict):
        return body
    if body == []:
        return {}
    found = {list: "BEGIN_ARRAY", str: "STRING", bool: "BOOLEAN"}.get(type(body), "NUMBER")
    raise PlainError(500, _expected("BEGIN_OBJECT", found, "line 1 column 1 path $"))


def bind_body(api: Api, body: Body) -> Values:
    """The values of a POST or PUT. Unknown keys are passed over, and so is a null."""
    given = (body or {}).get(api.body_key)
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise PlainError(500, f"{_java_class(given)} cannot be cast to java.util.Map")
    values: Values = {}
    for parameter in api.parameters:
        value = given.get(parameter.name)
        if value is not None:
            values[parameter.name] = _convert(parameter, value)
    for tags in TAGS:
        if body and body.get(tags) is not None:
            values[tags] = _top_level_tags(body[tags])
    return values


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
            return _boolean(parameter.name, value)
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
    if not number.is_finite() or abs(number.adjusted()) > 400 or number != number.to_integral_value():
        if not parameter.own:
            raise PlainError(500, f'java.lang.NumberFormatException: For input string: "{text}"')
        raise PlainError(400, f"[{parameter.name}] field is excepted an int or long, but was [{text}].")
    if parameter.kind is Kind.INTEGER and abs(number) > INT_MAX:
        raise PlainError(500, f"{int(number)} is Integer overflow, Integer.MAX_VALUE is {INT_MAX}")
    if abs(number) > LONG_MAX:
        raise PlainError(500, f"java.lang.NumberFormatException: Expected a long but was {text}")
    return int(number)


def _boolean(name: str, value: object) -> bool:
    text = _java_text(value)
    if text.lower() not in ("true", "false"):
        raise PlainError(
            400, f"Invalid value for boolean field [{name}], [{text}] is not a valid boolean string[true, false]."
        )
    return text.lower() == "true"


def _string(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return _java_text(value)
    found = "BEGIN_ARRAY" if isinstance(value, list) else "BEGIN_OBJECT"
    raise PlainError(500, _expected("a string", found, f"path $.{name}"))


def _strings(name: str, value: object) -> list[str | None]:
    if not isinstance(value, list):
        found = "BEGIN_OBJECT" if isinstance(value, Mapping) else "STRING"
        raise PlainError(500, _expected("BEGIN_ARRAY", found, f"path $.{name}"))
    return [None if one is None else _string(f"{name}[{index}]", one) for index, one in enumerate(value)]


def _map(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        found = "BEGIN_ARRAY" if isinstance(value, list) else "STRING"
        raise PlainError(500, _expected("BEGIN_OBJECT", found, f"path $.{name}"))
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
    try:
        return int(float(given[0]))
    except (ValueError, OverflowError):
        raise PlainError(500, f'For input string: "{given[0]}"') from None


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
    if isinstance(value, (list, Mapping)):
        return orjson.dumps(value).decode()
    return str(value)


def _java_class(value: object) -> str:
    names = {list: "java.util.ArrayList", str: "java.lang.String", bool: "java.lang.Boolean", dict: "java.util.Map"}
    return names.get(type(value), "java.lang.Double")


def _expected(wanted: str, found: str, where: str) -> str:
    return f"java.lang.IllegalStateException: Expected {wanted} but was {found} at {where}"


def _malformed(raw: bytes, error: orjson.JSONDecodeError) -> str:
    """Gson's words for the same mistake: the text ended too soon, is no object at all, or has a slip in it."""
    where = f"line {error.lineno} column {error.colno} path $"
    if raw.lstrip()[:1] not in (b"{", b"["):
        return _expected("BEGIN_OBJECT", "STRING", "line 1 column 1 path $")
    if error.pos >= len(error.doc.rstrip()):
        return f"java.io.EOFException: End of input at {where}."
    return f"com.google.gson.stream.MalformedJsonException: {error.msg} at {where}."
