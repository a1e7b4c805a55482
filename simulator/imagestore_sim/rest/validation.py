"""Check parameters against their rules, in ZStack's order (wire-protocol 5.2)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache

from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.errors import ApiError, NothingToDo, invalid_argument, missing_resource, not_found
from imagestore_sim.rest.java_values import java_hash, utf16_length
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.parameters import Api, Kind, Parameter

FindMissing = Callable[[str, Sequence[str]], Awaitable[Sequence[str]]]
"""Returns those of the given uuids that no resource of a type (the name of a VO) has."""

# ZStack prints the validator's class instead of the message's (wire-protocol 5.2).
VALIDATOR = "org.zstack.header.message.ApiMessageParamValidator"
JAVA_BLANKS = "".join(map(chr, range(ord(" ") + 1)))
MOST_ELEMENTS = 5000
"""How many elements a list may have: each may become a row, all of them in one transaction."""
UUID = re.compile(r"[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}")
UUID_REGEX = "[0-9a-f]{8}[0-9a-f]{4}[1-5][0-9a-f]{3}[89ab][0-9a-f]{3}[0-9a-f]{12}"


async def validate(api: Api, values: Values, missing: FindMissing, leniency: Leniency = LENIENT) -> None:
    """Check `values`, trimming its strings in place. Report the first rule that is broken.

    Raise ApiError (SYS.1007, SYS.1003) or NothingToDo.
    """
    for parameter in _in_order(api):
        value = _trimmed(parameter, values.get(parameter.name))
        if value == 0 and parameter.rule.zero_is_unset and leniency.zero_is_unset:
            value = None
        values[parameter.name] = value
        if value is None:
            del values[parameter.name]
        broken = _broken_rule(parameter, value)
        if broken is not None:
            raise invalid_argument(broken)
        if parameter.rule.resource and value is not None:
            await _require_resource(parameter, parameter.rule.resource, value, missing)


def check_resource_uuid(values: Values, leniency: Leniency) -> None:
    """Raise ApiError SYS.1007 if the uuid that a client chose has a form that ZStack refuses."""
    value = values.get("resourceUuid")
    if value is None or (not value and leniency.empty_resource_uuid) or UUID.fullmatch(str(value)):
        return
    raise _invalid_uuid(str(value))


@cache
def _in_order(api: Api) -> tuple[Parameter, ...]:
    return in_java_order(api.parameters)


def in_java_order(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Return the parameters in the order of a java.util.HashMap with their names as keys."""
    size = 16
    while len(parameters) > 0.75 * size:
        size *= 2
    return tuple(sorted(parameters, key=lambda one: (java_hash(one.name) ^ java_hash(one.name) >> 16) & (size - 1)))


def _trimmed(parameter: Parameter, value: object) -> object:
    return value.strip(JAVA_BLANKS) if isinstance(value, str) and parameter.rule.trim else value


def _broken_rule(parameter: Parameter, value: object) -> str | None:
    name, rule = parameter.name, parameter.rule
    of_message = f"field[{name}] of message[{VALIDATOR}]"
    if value is None:
        return f"{of_message} is mandatory, can not be null" if parameter.required else None
    if isinstance(value, str):
        length = utf16_length(value)
        if rule.max_length is not None and length > rule.max_length:
            limits = f"expected was <= {rule.max_length}, actual was {length}"
            return f"{of_message} exceeds max length of string. {limits}"
        if rule.min_length is not None and length < rule.min_length:
            limits = f"expected was >= {rule.min_length}, actual was {length}"
            return f"{of_message} less than the min length of string. {limits}"
    if broken := _too_many(parameter, value):
        return broken
    for one in _elements(parameter, value):
        if rule.valid_values and one not in rule.valid_values:
            return f"valid value for {of_message} are [{', '.join(rule.valid_values)}], but {one} found"
    if rule.valid_regex and not re.fullmatch(rule.valid_regex, str(value)):
        return f"valid regex value for {of_message} are {rule.valid_regex}, but {value} found"
    return _broken_list(parameter, value) or _broken_text_or_number(parameter, value)


def _too_many(parameter: Parameter, value: object) -> str | None:
    if not isinstance(value, list) or len(value) <= MOST_ELEMENTS:
        return None
    return f"field[{parameter.name}] cannot have more than {MOST_ELEMENTS} elements, but {len(value)} got"


def _elements(parameter: Parameter, value: object) -> Iterable[object]:
    return value if isinstance(value, list) and parameter.kind is Kind.STRINGS else (value,)


def _broken_list(parameter: Parameter, value: object) -> str | None:
    if not isinstance(value, list):
        return None
    if parameter.rule.nonempty and not value:
        return f"field[{parameter.name}] must be a nonempty list"
    if not parameter.rule.null_elements and None in value:
        return f"field[{parameter.name}] cannot contain a NULL element"
    if not parameter.rule.empty_string and "" in value:
        return f"field[{parameter.name}] cannot contain any empty string"
    return None


def _broken_text_or_number(parameter: Parameter, value: object) -> str | None:
    if not parameter.rule.empty_string and value == "":
        return f"field[{parameter.name}] cannot be an empty string"
    if parameter.rule.number_range and isinstance(value, int):
        low, high = parameter.rule.number_range
        if not low <= value <= high:
            return f"field[{parameter.name}] must be in range of [{low}, {high}]"
    return None


async def _require_resource(parameter: Parameter, resource: str, value: object, missing: FindMissing) -> None:
    uuids = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    absent = await missing(resource, uuids)
    if not absent:
        return
    if isinstance(value, list):
        raise not_found(
            f"invalid field[{parameter.name}], resource[uuids:[{', '.join(absent)}], type:{resource}] not found"
        )
    if not parameter.rule.missing_is_done:
        raise missing_resource(parameter.name, value, resource)
    if not UUID.fullmatch(str(value)):
        raise not_found(f"invalid value[{value}] of field [{parameter.name}]")
    raise NothingToDo


def _invalid_uuid(value: str) -> ApiError:
    return invalid_argument(
        f"resourceUuid[{value}] is not a valid uuid. A valid uuid is a UUID(v4 recommended) with '-' stripped."
        " see http://en.wikipedia.org/wiki/Universally_unique_identifier for format of UUID,"
        f" the regular expression uses to validate a UUID is '{UUID_REGEX}'"
    )
