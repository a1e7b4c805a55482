"""JSON values as Java has them: their text, their class, their length, their hash."""

from __future__ import annotations

from collections.abc import Mapping

from imagestore_sim.rest import gson
from imagestore_sim.rest.parameters import LONG_MAX

BLANKS = "".join(map(chr, range(ord(" ") + 1)))
"""What Java's trim() removes: all characters up to the blank, and no others."""
TREE_MAP = "com.google.gson.internal.LinkedTreeMap"


def java_text(value: object) -> str:
    """Return a JSON value as Java's toString() prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(java_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}={java_text(one)}' for name, one in value.items())}}}"
    if isinstance(value, float):
        return gson.write(value)
    return "null" if value is None else str(value)


def java_class(value: object) -> str:
    """Return the name of the Java class that Gson makes of a JSON value."""
    names = {list: "java.util.ArrayList", str: "java.lang.String", bool: "java.lang.Boolean", dict: TREE_MAP}
    return names.get(type(value), "java.lang.Long" if _is_long(value) else "java.lang.Double")


def _is_long(value: object) -> bool:
    return isinstance(value, int) and -LONG_MAX - 1 <= value <= LONG_MAX


def utf16_length(text: str) -> int:
    """Return the length of a text in Java: in UTF-16 units, of which some characters have two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def java_hash(text: str) -> int:
    """Return String.hashCode() of a text, as an unsigned number of 32 bits."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value
