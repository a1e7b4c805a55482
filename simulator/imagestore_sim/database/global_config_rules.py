"""Validation of values of the global configuration, in ZStack's order and with ZStack's texts.

The facts are from ZStack's configuration files and its annotations GlobalConfigValidation and GlobalConfigDef; the
named rules in RULES are those that ZStack's services add in code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

INT_MAX, LONG_MAX = 2**31 - 1, 2**63 - 1
LIMITS: Mapping[str, int] = MappingProxyType({"Integer": INT_MAX, "Long": LONG_MAX})
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
DOUBLE = re.compile(r"[+-]?(NaN|Infinity|([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?)")
WITH_UNIT = re.compile(r"(-?[0-9]+)(.*)", re.DOTALL)
SIZE_UNITS: Mapping[str, int] = MappingProxyType({"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40})
DURATION_UNITS: Mapping[str, int] = MappingProxyType(
    {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
)
SHORTEST_API_TIMEOUT_MS = 5 * 60 * 1000
SHORTEST_LONG_JOB_SECONDS = 10800
HTTP_MODES = ("http-keep-alive", "http-server-close", "http-tunnel", "httpclose", "forceclose")
PASSWORD = re.compile(r"[a-zA-Z0-9][A-Za-z0-9\-_#]*")
JAVA_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
API_NAME = re.compile(r"\w+(Msg|Job)")


class InvalidOption(Exception):
    """A value that an option does not take, or an unknown option."""


class NullPointer(Exception):
    """A null that ZStack does not check for: it answers with an internal error that has no text."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """ZStack's declaration of an option: Java type, bounds, and the name of the rule that a service adds."""

    category: str
    name: str
    java_type: str = ""
    least: int | None = None
    most: int | None = None
    between: tuple[int, int] | None = None
    values: tuple[str, ...] = ()
    may_be_empty: bool = False
    rule: str = ""

    @property
    def canonical_name(self) -> str:
        """The option's name in most error texts."""
        return f"Global config[category: {self.category}, name: {self.name}]"

    @property
    def short_name(self) -> str:
        """The option's name in error texts about its type."""
        return f"GlobalConfig[category:{self.category}, name:{self.name}]"


def check(declaration: Declaration, value: str) -> None:
    """Raise InvalidOption for the first rule that `value` breaks: type, emptiness, bounds, choices, named rule."""
    _check_type(declaration, value)
    if not declaration.may_be_empty and not value.strip():
        raise InvalidOption(f"{declaration.canonical_name} cannot be empty string")
    _check_bounds(declaration, value)
    if declaration.values and value not in declaration.values:
        raise InvalidOption(f"{value} is not a valid value. Valid values are [{', '.join(declaration.values)}]")
    if declaration.rule:
        RULES[declaration.rule](declaration, value)


def check_type(declaration: Declaration, value: str) -> None:
    """Raise InvalidOption for a value of the wrong type or that breaks the named rule; check no bounds."""
    _check_type(declaration, value)
    if declaration.rule:
        RULES[declaration.rule](declaration, value)


def limits(declaration: Declaration) -> dict[str, object]:
    """Return the values that an option takes, in the form of ZStack's GlobalConfigOptions."""
    found: dict[str, object] = {}
    if declaration.values:
        found["validValue"] = list(declaration.values)
    low, high = declaration.least, declaration.most
    if declaration.between is not None and not declaration.values:
        low, high = declaration.between
    if (low, high) == (None, None):
        return found
    limit = LIMITS["Integer" if declaration.java_type == "Integer" else "Long"]
    filled = not declaration.values
    if low is not None or filled:
        found["numberGreaterThanOrEqual"] = -limit - 1 if low is None else low
    if high is not None or filled:
        found["numberLessThanOrEqual"] = limit if high is None else high
    return found


def _check_type(declaration: Declaration, value: str) -> None:
    kind = declaration.java_type
    if (kind in LIMITS and not _is_whole(value, LIMITS[kind])) or (
        kind == "Double" and not DOUBLE.fullmatch(value.strip())
    ):
        # "null" is the text of a Java exception that has none.
        text = f"is of type java.lang.{kind}, the value[{value}] cannot be converted to that type, null"
        raise InvalidOption(f"{declaration.short_name} {text}")
    if kind == "Boolean" and value.lower() not in ("true", "false"):
        raise InvalidOption(f"{declaration.short_name}'s value[{value}] is not a valid boolean string[true, false].")


def _check_bounds(declaration: Declaration, value: str) -> None:
    if (declaration.least, declaration.most, declaration.between) == (None, None, None):
        return
    if not _is_whole(value, LONG_MAX):
        raise InvalidOption(f"{value} is not a number or out of range of a Long type")
    number, name = int(value), declaration.canonical_name
    if declaration.most is not None and number > declaration.most:
        raise InvalidOption(f"{name} should not greater than {declaration.most}, but got {number}")
    if declaration.least is not None and number < declaration.least:
        raise InvalidOption(f"{name} should not less than {declaration.least}, but got {number}")
    if declaration.between is not None and not declaration.between[0] <= number <= declaration.between[1]:
        low, high = declaration.between
        raise InvalidOption(f"{name} must in range of [{low}, {high}]")


def _is_whole(value: str, limit: int) -> bool:
    """Return whether a text is a whole number from -limit - 1 to limit, as Java's Integer and Long are."""
    digits = value.lstrip("+-").lstrip("0")
    return bool(WHOLE_NUMBER.fullmatch(value)) and len(digits) <= len(str(limit)) and -limit - 1 <= int(value) <= limit


def size_in_bytes(value: str) -> int | None:
    """Return the bytes that a text such as `512M` or `1G` stands for; None for an invalid size."""
    found = WITH_UNIT.fullmatch(value)
    if found is None or not _is_whole(found[1], LONG_MAX):
        return None
    number, unit = int(found[1]), found[2].strip().upper()
    return None if number < 0 or unit not in SIZE_UNITS else number << SIZE_UNITS[unit]


def _size(declaration: Declaration, value: str) -> None:
    if size_in_bytes(value) is None:
        raise InvalidOption(
            f"{value} is not a size string; a size string consists of a number ending with suffix B/K/M/G/T or"
            " without suffix; for example, 512M, 1G"
        )


def _size_up_to_1t(declaration: Declaration, value: str) -> None:
    found = size_in_bytes(value)
    if found is None:
        text = "A size string is a number with suffix 'T/t/G/g/M/m/K/k/B/b' or without suffix, but got"
        raise InvalidOption(f"{declaration.canonical_name} only allows a size string. {text} {value}")
    if found > 1 << SIZE_UNITS["T"]:
        raise InvalidOption(f"Value {declaration.canonical_name}  cannot be greater than the 1TB but got {value}")


def _milliseconds(value: str) -> int | None:
    """Return the milliseconds that a text such as `5m` or `300000` stands for; None for an invalid duration."""
    found = WITH_UNIT.fullmatch(value)
    if found is None or not _is_whole(found[1], LONG_MAX):
        return None
    unit = found[2].strip().lower()
    if not unit:
        return int(found[1])
    return None if unit not in DURATION_UNITS else int(found[1]) * DURATION_UNITS[unit] * 1000


def _duration(declaration: Declaration, value: str) -> None:
    if _milliseconds(value) is None:
        raise InvalidOption(
            f"{value} is not a valid format string; a format string consists of a number ending with suffix"
            " s/S/m/M/h/H/d/D/w/W/y/Y or without suffix; for example, 3h, 1y"
        )


def _api_timeout(declaration: Declaration, value: str) -> None:
    if (_milliseconds(value) or 0) < SHORTEST_API_TIMEOUT_MS:
        raise InvalidOption("api timeout cannot be set smaller than 5m")


def _long_job_timeout(declaration: Declaration, value: str) -> None:
    if int(value) < SHORTEST_LONG_JOB_SECONDS:
        raise InvalidOption(f"long job timeout must be larger than {SHORTEST_LONG_JOB_SECONDS}s")


def _filters(declaration: Declaration, value: str) -> None:
    if any(one not in ("blacklist", "whitelist") for one in _split(value, ";")):
        raise InvalidOption(f"{value} is not in [blacklist, whitelist]")


def _paths(declaration: Declaration, value: str) -> None:
    if any(not one.startswith("/") for one in _split(value, ";")):
        raise InvalidOption(f"invalid value: {value}, path must separated by ';' and start with '/'")


def _router_password(declaration: Declaration, value: str) -> None:
    if not PASSWORD.fullmatch(value):
        raise InvalidOption(
            "the vrouter password's first character must be a letter or number, besides no characters other than"
            " letters, numbers and these special characters: -_#"
        )


def _ports(declaration: Declaration, value: str) -> None:
    ports = _split(value, "-")
    if len(ports) != 2:
        raise InvalidOption(f"{declaration.name} must be this format port-port")
    if not all(_is_whole(one, LONG_MAX) for one in ports):
        raise InvalidOption(f"{ports[0]} {ports[1]} is not a number or out of range of a Long type")
    low, high = map(int, ports)
    if not (1024 <= low <= high <= 65535 or low == high == 0):
        # The misspelling is ZStack's.
        name = declaration.name
        raise InvalidOption(
            f"can not update {name}:[{ports[0]},{ports[1]}],beacause {name} must in range in [1024, 65535],"
        )


def _http_mode(declaration: Declaration, value: str) -> None:
    if value not in HTTP_MODES:
        raise InvalidOption(f"{declaration.name} must be in {', '.join(HTTP_MODES)}")


def _absolute_path(declaration: Declaration, value: str) -> None:
    if not value.startswith("/"):
        raise InvalidOption(f"{declaration.canonical_name} must be an absolute path starting with '/'")


def _retention(declaration: Declaration, value: str) -> None:
    if int(value) == 0:
        raise InvalidOption("the value cant not be 0")
    if int(value) < -1:
        raise InvalidOption("the value is less than -l")


def _classes(declaration: Declaration, value: str) -> None:
    for one in _split(value, ",") if value else ():
        # The classes of a ZStack node are not known here, so only what cannot be a class name is refused.
        if not JAVA_NAME.fullmatch(one.strip()) or "." not in one:
            raise InvalidOption(f"no API found for {one.strip()}")


def _api_names(declaration: Declaration, value: str) -> None:
    if unknown := [one for one in _split(value, ",") if not API_NAME.fullmatch(one)]:
        raise InvalidOption(f"Failed to find api class name: [{', '.join(unknown)}]")


def _split(value: str, separator: str) -> Sequence[str]:
    """Split a text like Java's String.split, which drops empty strings at the end."""
    words = value.split(separator)
    while words and not words[-1]:
        words.pop()
    return words


RULES: Mapping[str, Callable[[Declaration, str], None]] = MappingProxyType(
    {
        "absolute_path": _absolute_path,
        "api_names": _api_names,
        "api_timeout": _api_timeout,
        "classes": _classes,
        "duration": _duration,
        "filters": _filters,
        "http_mode": _http_mode,
        "long_job_timeout": _long_job_timeout,
        "paths": _paths,
        "ports": _ports,
        "retention": _retention,
        "router_password": _router_password,
        "size": _size,
        "size_up_to_1t": _size_up_to_1t,
    }
)
"""The rules that services add, by the names that `zstack_global_config.json` gives them."""
