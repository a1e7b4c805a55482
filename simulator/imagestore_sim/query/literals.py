"""MariaDB's conversions of a condition's text to a number, a date or a boolean (query-semantics 3)."""

from __future__ import annotations

import re
from decimal import Decimal

NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
BLANKS = " \t\r\n\f"
"""The blanks of Hibernate's query language."""
INT64 = 2**63
ZERO_DATE = "0000-00-00 00:00:00"
MARK = r"[!-/:-@\[-`{-~]"
SEPARATED = re.compile(
    rf"\s*(\d{{2}}|\d{{4}}){MARK}(\d+){MARK}(\d+)"
    rf"(?:(?:T|(?:\s|{MARK})+)(\d+)(?:{MARK}(\d+)(?:{MARK}(\d+)(?:\.(\d{{1,6}}))?)?)?)?",
    re.ASCII,
)
COMPACT = re.compile(r"\s*(\d{14}|\d{12}|\d{8}|\d{6})(?!\d|\s+\d)(?:T(\d{6}))?(?:\.(\d{1,6}))?", re.ASCII)
# Year, month, day, hour, minute, second. MariaDB keeps days such as February 31st, which compare as text does.
RANGES = (range(10000), range(13), range(32), range(24), range(60), range(60))


def read_number(text: str) -> int | float:
    """Return the number that a text begins with, or 0."""
    found = NUMBER.match(text)
    if found is None:
        return 0
    number = float(found[1])
    if abs(number) > INT64 or number == 0:
        return number
    exact = Decimal(found[1])
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < INT64 else number


def read_date(text: str) -> str:
    """Return the date in a text in its stored form, `YYYY-MM-DD HH:MM:SS`, with six digits of a non-zero fraction.

    Return ZERO_DATE, which sorts before every other, if the text begins with no date. Ignore text after the date,
    such as a time zone.
    """
    if found := COMPACT.match(text):
        date, time, fraction = found.groups(default="")
        year, rest = (date[:4], date[4:] + time) if len(date) in (8, 14) else (date[:2], date[2:] + time)
        parts = [year, *(rest[at : at + 2] for at in range(0, 10, 2))]
    elif found := SEPARATED.match(text):
        *parts, fraction = found.groups(default="")
    else:
        return ZERO_DATE
    if any(len(part) > 4 for part in parts):
        return ZERO_DATE
    numbers = [int(part or 0) for part in parts]
    if len(parts[0]) == 2:
        numbers[0] += 2000 if numbers[0] < 70 else 1900
    if not all(number in allowed for number, allowed in zip(numbers, RANGES, strict=True)):
        return ZERO_DATE
    micro = fraction.ljust(6, "0")
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*numbers) + (f".{micro}" if int(micro) else "")


def read_boolean(text: str) -> int | float | None:
    """Read the keyword of a boolean's condition: true, false, null (None) or a number. Raise ValueError for others."""
    word = text.strip(BLANKS).lower()
    if word in ("true", "false"):
        return int(word == "true")
    if word == "null":
        return None
    if NUMBER.fullmatch(word):
        return read_number(word)
    raise ValueError(text)
