"""What the text of a condition's value means to a number, a moment or a truth: MariaDB's conversions, which never fail
(query-semantics 3)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
INT64 = 2**63
ZERO_DATE = "0000-00-00 00:00:00"
MARK = r"[!-/:-@\[-`{-~]+"
SEPARATED = re.compile(
    rf"\s*(\d{{1,4}}){MARK}(\d{{1,2}}){MARK}(\d{{1,2}})"
    rf"(?:(?:[Tt]|\s+)(\d{{1,2}})(?:{MARK}(\d{{1,2}})(?:{MARK}(\d{{1,2}})(?:\.(\d{{1,6}}))?)?)?)?",
    re.ASCII,
)
COMPACT = re.compile(r"\s*(\d{14}|\d{12}|\d{8}|\d{6})(?!\d)(?:\.(\d{1,6}))?", re.ASCII)


def read_number(text: str) -> int | float:
    """The number that a text begins with, 0 if it begins with none."""
    found = NUMBER.match(text)
    if found is None:
        return 0
    number = float(found[1])
    if abs(number) >= INT64 or number == 0:
        return number
    exact = Decimal(found[1])
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < INT64 else number


def read_moment(text: str) -> str:
    """The moment in a text as it is stored, `YYYY-MM-DD HH:MM:SS` with a fraction if there is one; the zero date, which
    is before every other, if there is none in it. What follows a moment, such as a zone, is passed over."""
    if found := COMPACT.match(text):
        digits, fraction = found[1], found[2]
        year, rest = (digits[:4], digits[4:]) if len(digits) in (8, 14) else (digits[:2], digits[2:])
        parts = [year, *(rest[at : at + 2] for at in range(0, len(rest), 2))]
    elif found := SEPARATED.match(text):
        *parts, fraction = found.groups(default="")
    else:
        return ZERO_DATE
    year, month, day, hour, minute, second = (int(part or 0) for part in (*parts, *[""] * (6 - len(parts))))
    if len(parts[0]) <= 2:
        year += 2000 if year < 70 else 1900
    try:
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the node's wall clock has no zone
    except ValueError:
        return ZERO_DATE
    micro = (fraction or "").ljust(6, "0")
    return f"{moment:%Y-%m-%d %H:%M:%S}" + (f".{micro}" if int(micro) else "") if year >= 1000 else ZERO_DATE


def read_truth(text: str) -> int | float | None:
    """The keyword of a boolean's condition: true, false, null or a number. Raises ValueError for any other word."""
    word = text.lower()
    if word in ("true", "false"):
        return int(word == "true")
    if word == "null":
        return None
    if NUMBER.fullmatch(text):
        return read_number(text)
    raise ValueError(text)
