"""JSON and dates as ZStack writes them (wire-protocol 4.3), and the `schema`: the Java class of each object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice

import orjson

from imagestore_sim.pieces import in_pieces
from imagestore_sim.tasks import BYTES_OF_A_ROW, LARGE
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
FEW = 16
"""The members of a list that are written one by one, since each may have long lists."""


def work_of(body: Mapping[str, object]) -> int:
    """Return how large an input is on which one works as long as on writing an answer, in bytes: its rows count."""
    rows = _rows_in(body)
    if isinstance(results := body.get("results"), list):  # one for each statement of a query language
        rows += sum([_rows_in(one) for one in results if isinstance(one, dict)])
    return rows * BYTES_OF_A_ROW


def _rows_in(members: Mapping[str, object]) -> int:
    return sum([len(value) for value in members.values() if isinstance(value, list)])


def to_json(body: Mapping[str, object]) -> bytes:
    """Return compact UTF-8 JSON with `< > & = '` escaped, as in success bodies and job results.

    Where that takes long, other threads may run meanwhile.
    """
    return _escaped(body) if work_of(body) < LARGE else b"".join(_pieces(body))


def _pieces(value: object) -> Iterator[bytes]:
    """Yield the JSON of a value, of which no piece takes long."""
    pieces: Iterator[Iterator[bytes]]
    if isinstance(value, (list, dict)) and len(value) > ROWS_OF_A_PIECE:
        pieces = (iter((_escaped(some)[1:-1],)) for some in _some_of(value))
    elif isinstance(value, dict):
        pieces = (chain((_escaped(name), b":"), _pieces(one)) for name, one in value.items())
    elif isinstance(value, list) and len(value) <= FEW:
        pieces = map(_pieces, value)
    else:
        yield _escaped(value)
        return
    begin, end = (b"[", b"]") if isinstance(value, list) else (b"{", b"}")
    yield begin
    for number, piece in enumerate(pieces):
        if number:
            yield b","
        yield from piece
    yield end


def _some_of(value: list[object] | dict[str, object]) -> Iterator[Sequence[object] | dict[str, object]]:
    if isinstance(value, list):
        yield from in_pieces(value, ROWS_OF_A_PIECE)
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
