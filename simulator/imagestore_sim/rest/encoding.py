"""JSON and dates as ZStack writes them (wire-protocol 4.3), and the `schema`: the Java class of each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import orjson

from imagestore_sim.units import write_date

HTML_SAFE = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"=", b"\\u003d"),
    (b"'", b"\\u0027"),
)


def to_json(body: object) -> bytes:
    """Return compact UTF-8 JSON with `< > & = '` escaped, as in success bodies and job results."""
    encoded = orjson.dumps(body)
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
