"""A small set of records as dictionaries, and a row-by-row evaluator of conditions over them (query-semantics 3-5).

It shares only `Condition` and `Operator` with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any

from imagestore_sim.query.conditions import Condition, Operator

Row = dict[str, Any]

# The data: names and descriptions that differ in case, accents, blanks and wildcards only.
TEXTS = ["", " ", "a", "A", "a ", " a", "é", "e", "E ", "ß", "s", "ss", "a_b", "azb", "A%b", "a\\b", "%", "_", "\\"]
TEXTS += ["中", "中文", "Б", "б", "null", "NULL", "10", "9", "a-b", "a b"]
NUMBERS = [0, 1, 10, 100, 1000, 1001, 2**53 + 1, 2**63 - 1]
DATES = [datetime(2017, 11, 14, 22, 20, 57), datetime(2017, 11, 14), datetime(2017, 11, 15), datetime(2018, 6, 1, 12)]


def uuid_of(kind: str, number: int) -> str:
    return f"{kind}{number:031}"


ZONES: list[Row] = [
    {
        "uuid": uuid_of("a", number),
        "name": name,
        "description": description,
        "state": "Enabled",
        "type": "zstack",
        "isDefault": number == 0,
        "createDate": DATES[number % 4],
        "lastOpDate": DATES[0],
    }
    for number, (name, description) in enumerate([("zone-é", None), ("Zone-E", "d"), ("z_3", "")])
]
STORAGES: list[Row] = [
    {
        "uuid": uuid_of("b", number),
        "name": TEXTS[number % len(TEXTS)],
        "description": [None, *TEXTS][number * 7 % (len(TEXTS) + 1)],
        "url": f"/zs/{number % 3}",
        "type": "ImageStoreBackupStorage",
        "state": "Enabled" if number % 3 else "Disabled",
        "status": ("Connected", "Connecting", "Disconnected")[number % 3],
        "totalCapacity": NUMBERS[number % len(NUMBERS)],
        "availableCapacity": NUMBERS[number * 3 % len(NUMBERS)],
        "createDate": DATES[number % 4],
        "lastOpDate": DATES[number * 3 % 4],
        "hostname": f"10.0.0.{number}",
        "username": "root",
        "sshPort": 22 if number % 2 else 2222,
    }
    for number in range(len(TEXTS) + 3)
]
ZONE_REFS: list[Row] = [
    {"id": number + 1, "backupStorageUuid": storage["uuid"], "zoneUuid": zone["uuid"], "createDate": DATES[0]}
    for number, (storage, zone) in enumerate(
        (storage, zone)
        for index, storage in enumerate(STORAGES)
        for place, zone in enumerate(ZONES)
        if index % 4 & (place + 1)
    )
]
IMAGES: list[Row] = [
    {"uuid": uuid_of("c", number), "name": name, "state": state, "description": None}
    for number, (name, state) in enumerate([("img-é", "Enabled"), ("IMG-2", "Disabled")])
]
IMAGE_REFS: list[Row] = [
    {"imageUuid": IMAGES[number % 2]["uuid"], "backupStorageUuid": storage["uuid"], "status": status}
    for number, (storage, status) in enumerate(zip(STORAGES[::3], ["Ready", "Deleted"] * len(STORAGES), strict=False))
]
SYSTEM_TAGS: list[Row] = [
    {"resourceUuid": storage["uuid"], "tag": tag}
    for number, storage in enumerate(STORAGES)
    for tag in [["remote"], ["allowbackup", "Remote"], [], ["é"]][number % 4]
]
USER_TAGS: list[Row] = [{"resourceUuid": row["uuid"], "tag": "gold", "tagPatternUuid": None} for row in STORAGES[::5]]
USER_TAGS += [{"resourceUuid": ZONES[0]["uuid"], "tag": "prod", "tagPatternUuid": "d" * 32}]

ACCENTS = {"é": "E", "É": "E", "ß": "S"}
NEGATED = {Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN, Operator.NOT_LIKE: Operator.LIKE}
COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: lambda a, b: bool(a == b),
    Operator.NOT_EQUAL: lambda a, b: bool(a != b),
    Operator.GREATER: lambda a, b: bool(a > b),
    Operator.LESS: lambda a, b: bool(a < b),
    Operator.AT_LEAST: lambda a, b: bool(a >= b),
    Operator.AT_MOST: lambda a, b: bool(a <= b),
}
NUMBER_FIELDS = {"totalCapacity", "availableCapacity", "sshPort", "id"}
DATE_FIELDS = {"createDate", "lastOpDate"}
ZERO = datetime(1, 1, 1)


def folded(text: str) -> str:
    return "".join(ACCENTS.get(one, one.upper()) for one in text)


def number_in(text: str) -> Fraction:
    """Return the longest prefix of the text that is a number, or 0."""
    text = text.lstrip(" \t")
    for end in range(len(text), 0, -1):
        begin = text[:end]
        if begin[-1] in "0123456789." and "_" not in begin and begin.isascii():
            try:
                return Fraction(begin)
            except ValueError:
                continue
    return Fraction(0)


def date_in(text: str) -> datetime | None:
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y/%m/%d", "%Y%m%d"):
        try:
            return datetime.strptime(text.removesuffix(".0").removesuffix("Z"), form)
        except ValueError:
            continue
    return None


def like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return like(text, pattern[1:]) or (text != "" and like(text[1:], pattern))
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and like(text[1:], pattern[2:])
    return text != "" and pattern[0] in ("_", text[0]) and like(text[1:], pattern[1:])


def passes(field: str, value: Any, operator: Operator, text: str) -> bool:
    """Return whether a value passes a condition. SQL's unknown is false here, since no caller negates the result."""
    if operator in (Operator.IS_NULL, Operator.NOT_NULL):
        return (value is None) is (operator is Operator.IS_NULL)
    if value is None:
        return False
    if operator in (Operator.LIKE, Operator.NOT_LIKE):
        return like(folded(str(value)), folded(text)) is (operator is Operator.LIKE)
    read: Callable[[str], Any] = lambda one: folded(one).rstrip(" ")  # noqa: E731
    if field in NUMBER_FIELDS:
        read = number_in
    elif field in DATE_FIELDS:
        read = lambda one: date_in(one) or ZERO  # noqa: E731
    mine = value if field in NUMBER_FIELDS | DATE_FIELDS else read(value)
    if operator in (Operator.IN, Operator.NOT_IN):
        return (mine in map(read, text.split(","))) is (operator is Operator.IN)
    return COMPARE[operator](mine, read(text))


def related(row: Row, step: str) -> list[Row]:
    """Return the rows that one step of a path leads to."""
    uuid = row.get("uuid")
    match step:
        case "zoneRef":
            return [ref for ref in ZONE_REFS if ref["backupStorageUuid"] == uuid]
        case "imageRef":
            return [ref for ref in IMAGE_REFS if ref["backupStorageUuid"] == uuid]
        case "zone":
            wanted = {ref["zoneUuid"] for ref in related(row, "zoneRef")}
            return [zone for zone in ZONES if zone["uuid"] in wanted]
        case "image":
            wanted = {ref["imageUuid"] for ref in related(row, "imageRef")}
            return [image for image in IMAGES if image["uuid"] in wanted]
    wanted = {ref["backupStorageUuid"] for ref in ZONE_REFS if ref["zoneUuid"] == uuid}
    return [storage for storage in STORAGES if storage["uuid"] in wanted]


def holds(row: Row, condition: Condition) -> bool:
    *steps, field = condition.name.split(".")
    if steps:
        rest = Condition(".".join([*steps[1:], field]), condition.operator, condition.value)
        return any(holds(one, rest) for one in related(row, steps[0]))
    operator, text = condition.operator, condition.value
    if field == "attachedZoneUuids":
        return any(passes("zoneUuid", ref["zoneUuid"], operator, text) for ref in related(row, "zoneRef"))
    if field.startswith("__"):
        tags = {"__systemTag__": SYSTEM_TAGS}.get(field, USER_TAGS)
        column = "tagPatternUuid" if field == "__tagUuid__" else "tag"
        positive = NEGATED.get(operator, operator)
        found = any(passes(column, one[column], positive, text) for one in tags if one["resourceUuid"] == row["uuid"])
        return found is (positive is operator)
    return passes(field, row[field], operator, text)


def in_order(rows: list[Row], field: str, *, descending: bool) -> list[Row]:
    def key(row: Row) -> tuple[bool, Any]:
        value = row[field]
        return value is not None, folded(value).rstrip(" ") if isinstance(value, str) else value or 0

    def at(row: Row) -> Any:
        present, value = key(row)
        return (present, value) if present else (present,)

    return sorted(rows, key=at, reverse=descending)
