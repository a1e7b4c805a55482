"""Parse and format durations, sizes, shares, paths and dates: `90s`, `1 TiB`, `55%`, `/Cloud_bs`, `2026-03-01`."""

from __future__ import annotations

import posixpath
import re
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)\s*"
_PARTS = re.compile(_PART, re.ASCII)
_DURATION = re.compile(rf"(?:{_PART})+", re.ASCII)
_BLANKS = string.whitespace
MOST_BYTES = 2**63 - 1
MOST_DIGITS = 20
"""Digits before the point of a size: more than the largest one has in bytes."""
MOST_SECONDS = 100 * 365.25 * 86400
SHOWN = 80
"""Characters of a value that an error shows at most."""
_UNITS = "KMGTPE"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DURATION_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGTPE])(iB|B|i)?|B)?", re.IGNORECASE | re.ASCII)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%", re.ASCII)


def parse_seconds(value: object) -> float:
    """Return the seconds in `90s`, `2m30s`, `1.5h`, `250ms`, or a number of seconds. Raise ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value  # an int as it is: float() raises OverflowError for one of 400 digits
    elif isinstance(value, str) and _DURATION.fullmatch(value.strip(_BLANKS)):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(value))
    else:
        raise ValueError(f"{shown(value)} is no duration, such as 90s, 2m30s or 1.5h")
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(
            f"{shown(value)} is no duration: it cannot be less than nothing, nor more than a hundred years"
        )
    return float(seconds)


def parse_signed_seconds(value: object) -> float:
    """Return the seconds of a duration that may be negative: `-20m`, -1200. Raise ValueError."""
    if isinstance(value, str) and value.strip(_BLANKS).startswith("-"):
        return -parse_seconds(value.strip(_BLANKS).removeprefix("-"))
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return -parse_seconds(-value)
    return parse_seconds(value)


def parse_bytes(value: object) -> int:
    """Return the bytes in `1 TiB`, `512M`, `10 GB` (KB, MB... are powers of 1000), or a number. Raise ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return _bounded(value, value)
    found = _SIZE.fullmatch(value.strip(_BLANKS)) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{shown(value)} is no size, such as 1 TiB, 512M or 1000000")
    number, letter, suffix = found.groups()
    unit = 1000 if (suffix or "").upper() == "B" else 1024
    exponent = _UNITS.index(letter.upper()) + 1 if letter else 0
    if len(number.partition(".")[0]) > MOST_DIGITS:  # int() refuses very long texts, and float() makes infinity of them
        raise _too_large(value)
    size = int(float(number) * unit**exponent) if "." in number else int(number) * unit**exponent
    return _bounded(size, value)


def _bounded(size: int, value: object) -> int:
    if size > MOST_BYTES:
        raise _too_large(value)
    return size


def _too_large(value: object) -> ValueError:
    return ValueError(f"{shown(value)} is more than {MOST_BYTES} bytes, which is the largest size")


def shown(value: object) -> str:
    """Return a value as an error shows it: its beginning, if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of bytes, or a share of a size: `share` of 1, or None and `size` in bytes."""

    text: str
    share: float | None
    size: int

    def __str__(self) -> str:
        return self.text

    def of(self, whole: int) -> int:
        """Return it in bytes, for a share of `whole` bytes."""
        return self.size if self.share is None else round(whole * self.share)


def parse_amount(value: object) -> Amount:
    """Return the amount in a share such as `55%`, or in a size as parse_bytes reads it. Raise ValueError."""
    if isinstance(value, Amount):
        return value
    found = _SHARE.fullmatch(value.strip(_BLANKS)) if isinstance(value, str) else None
    if found is not None:
        share = float(found[1]) / 100
        if share > 1:
            raise ValueError(f"{shown(value)} is more than 100%")
        return Amount(f"{found[1]}%", share, 0)
    try:
        return Amount(str(value), None, parse_bytes(value))
    except ValueError:
        raise ValueError(f"{shown(value)} is neither a share nor a size, such as 55% or 300 GiB") from None


def parse_path(value: object) -> str:
    """Return an absolute path, normalised as os.path.normpath does. Raise ValueError."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{shown(value)} is no absolute path, such as /Cloud_bs")
    if not value.isprintable():
        raise ValueError(f"{shown(value)} holds characters that cannot be printed")
    return posixpath.normpath(value).replace("//", "/")


def parse_time(text: str) -> float:
    """Return the epoch seconds of an ISO 8601 time with an offset. Raise ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text[:100]!r} is no time with an offset, such as 2024-01-01T08:00:00Z")
    return moment.timestamp()


def parse_moment(text: str) -> float:
    """Return the epoch seconds of a date and time, in UTC without an offset, or of a time ago. Raise ValueError."""
    try:
        return time.time() - parse_seconds(text)  # real: it is about a node that lived in it
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        known = "2026-03-01 12:00:00, 2026-03-01T12:00:00+01:00, or how long ago: 2h"
        raise ValueError(f"{shown(text)} is no moment, such as {known}") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def write_date(moment: datetime) -> str:
    """Return a date as `Nov 14, 2017 10:20:57 PM`: English, only minutes and seconds padded, without a zone."""
    half = "AM" if moment.hour < 12 else "PM"
    month = _MONTHS[moment.month - 1]
    return f"{month} {moment.day}, {moment.year} {moment.hour % 12 or 12}:{moment.minute:02}:{moment.second:02} {half}"


def read_date(text: str) -> datetime:
    """Return the moment, without a zone, of a date as `write_date` writes it. Raise ValueError."""
    return datetime.strptime(text, "%b %d, %Y %I:%M:%S %p")  # noqa: DTZ007 - it has no zone


def duration_text(seconds: float) -> str:
    """Return seconds as `1h30m`, `2m30s` or `0.25s`, which `parse_seconds` reads."""
    rest = round(seconds, 3)
    parts: list[str] = []
    for size, unit in _DURATION_UNITS:
        whole, rest = divmod(rest, size)
        if whole:
            parts.append(f"{whole:.0f}{unit}")
    rest = round(rest, 3)
    if rest or not parts:
        parts.append(f"{rest:g}s")
    return "".join(parts)


def size_text(size: int) -> str:
    """Return bytes as `1 TiB`, or with two decimals where they are no whole units: `614.40 GiB`."""
    for exponent, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**exponent:
            number = size / 1024**exponent
            return f"{number:.0f} {unit}" if size % 1024**exponent == 0 else f"{number:.2f} {unit}"
    return f"{size} B"


def _schema(kinds: list[str], *examples: str, unit: str | None = None, **bounds: int) -> WithJsonSchema:
    """Return what a schema says of a value; `unit` is that of a bare number, and what forms read as well."""
    schema: dict[str, Any] = {"type": kinds if len(kinds) > 1 else kinds[0], "examples": list(examples), **bounds}
    return WithJsonSchema(schema if unit is None else {**schema, "x-unit": unit})


SECONDS, BYTES = "seconds", "bytes"


Seconds = Annotated[
    float, BeforeValidator(parse_seconds), _schema(["string", "number"], "90s", "2m30s", unit=SECONDS, minimum=0)
]
SignedSeconds = Annotated[
    float, BeforeValidator(parse_signed_seconds), _schema(["string", "number"], "20m", "-20m", unit=SECONDS)
]
Bytes = Annotated[
    int, BeforeValidator(parse_bytes), _schema(["string", "integer"], "1 TiB", "512M", unit=BYTES, minimum=0)
]
BytesOrShare = Annotated[
    Amount,
    PlainValidator(parse_amount),
    PlainSerializer(lambda amount: amount.text, return_type=str),
    _schema(["string", "integer"], "55%", "300 GiB", unit="bytes or %", minimum=0),
]
Path = Annotated[str, BeforeValidator(parse_path), _schema(["string"], "/Cloud_bs")]
Count = Annotated[int, Field(ge=0)]
CommandName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./+\[\]][A-Za-z0-9_./+\[\]-]{0,254}$")]
"""Safe in the shell scripts that put faults on containers."""
