"""JSON and dates as ZStack writes them (wire-protocol 4.3), and the `schema`: the Java class of each object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import TypeGuard

import orjson

from imagestore_sim.tasks import BYTES_OF_A_ROW
from imagestore_sim.units import write_date

HTML_SAFE = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"=", b"\\u003d"),
    (b"'", b"\\u0027"),
)


ROWS_OF_A_PIECE = 1000
"""The members of a long list that are written in one go: orjson lets no other thread run meanwhile."""


def work_of(body: Mapping[str, object]) -> int:
    """Return how large an input is on which one works as long as on writing an answer, in bytes: its lists count."""
    return BYTES_OF_A_ROW * sum([len(value) for value in body.values() if isinstance(value, list)])


def to_json(body: Mapping[str, object]) -> bytes:
    """Return compact UTF-8 JSON with `< > & = '` escaped, as in success bodies and job results.

    Where that takes long, other threads may run meanwhile.
    """
    if not any(map(_is_long, body.values())):
        return _escaped(body)
    members = (b"%b:%b" % (_escaped(name), b"".join(_pieces(value))) for name, value in body.items())
    return b"{%b}" % b",".join(members)


def _pieces(value: object) -> Iterator[bytes]:
    """Yield the JSON of a value: in pieces, if it is a long list or mapping."""
    if not _is_long(value):
        yield _escaped(value)
        return
    begin, end = (b"[", b"]") if isinstance(value, list) else (b"{", b"}")
    mark = begin
    for some in _some_of(value):
        yield mark
        yield _escaped(some)[1:-1]
        mark = b","
    yield end


def _is_long(value: object) -> TypeGuard[list[object] | dict[str, object]]:
    return isinstance(value, (list, dict)) and len(value) > ROWS_OF_A_PIECE


def _some_of(value: list[object] | dict[str, object]) -> Iterator[list[object] | dict[str, object]]:
    if isinstance(value, list):
        for first in range(0, len(value), ROWS_OF_A_PIECE):
            yield value[first : first + ROWS_OF_A_PIECE]
        return
    items = iter(value.items())
    while some := dict(islice(items, ROWS_OF_A_PIECE)):
        yield some


def _escaped(value: object) -> bytes:
    encoded = orjson.dumps(value)
    # In JSON these five occur only inside strings, so that bytes can be replaced.
    for plain, escaped in HTML_SAFE:
        encoded = encoded.replace(plain, escaped)
    return encoded


def to_plain_json(body: object) -> bytes:
    """Return compact UTF-8 JSON without that escaping, as in the errors of synchronous calls."""
    return orjson.dumps(body)


def without_nulls(members: Mapping[str, object]) -> dict[str, object]:
    """Return an object's members without those that are None: ZStack never writes a null."""
    return {name: value for name, value in members.items() if value is not None}


@lru_cache(maxsize=65536)
def write_stored_date(text: str) -> str:
    """Return a date in that form, given as it is stored: `YYYY-MM-DD HH:MM:SS`."""
    return write_date(datetime.fromisoformat(text))


def list_schema(key: str, java_classes: Sequence[str]) -> dict[str, str]:
    """Return the schema of the list `key`: last element first, as ZStack writes it (wire-protocol 4.2)."""
    return {f"{key}[{index}]": java_classes[index] for index in reversed(range(len(java_classes)))}


JAVA_CLASSES: Mapping[type, str] = {
    str: "java.lang.String",
    int: "java.lang.Long",
    float: "java.lang.Double",
    bool: "java.lang.Boolean",
}


def with_elements(body: Mapping[str, object], schema: Mapping[str, str]) -> Mapping[str, str]:
    """Return the schema with the plain elements of top-level lists (wire-protocol 4.2).

    No other plain values have an entry in a schema.
    """
    plain: dict[str, str] = {}
    for key, value in body.items():
        if isinstance(value, list) and value and type(value[0]) in JAVA_CLASSES:
            plain |= list_schema(key, [JAVA_CLASSES[type(one)] for one in value])
    return {**plain, **schema} if plain else schema
