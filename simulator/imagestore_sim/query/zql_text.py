"""Write REST's query parameters as one line of the query language, unescaped, as ZStack does (query-semantics 2)."""

from __future__ import annotations

from imagestore_sim.query.conditions import WITHOUT_VALUE, Condition, Operator, Query
from imagestore_sim.query.inventories import Inventory
from imagestore_sim.query.names import is_name

BUCKETS = 16
INT_BITS = 32


def is_plain(query: Query) -> bool:
    """Return whether the text would parse to the same query, so that no parser is needed.

    This holds if every name is valid and no value has an apostrophe, as in nearly all queries.
    """
    sort = query.sort is None or is_name(query.sort.text)
    fields = all("." not in name and is_name(name) for name in query.fields or ())
    return sort and fields and all("'" not in one.value and is_name(one.name) for one in query.conditions)


def zql_text(inventory: Inventory, query: Query) -> str:
    """Return the query as text of the query language."""
    text = f"{'count' if query.count else 'query'} {inventory.target}"
    if query.fields:
        text += f".{','.join(query.fields)}"
    if query.conditions:
        text += f" where {' and '.join(_in_java_order(list(map(_condition_text, query.conditions))))}"
    if query.reply_with_count and not query.count:
        text += " return with (total)"
    if query.sort is not None:
        text += f" order by {query.sort.text} {'desc' if query.sort.descending else 'asc'}"
    text += f" limit {query.limit}"
    return text if query.start is None else f"{text} offset {query.start}"


def _condition_text(condition: Condition) -> str:
    if condition.operator in WITHOUT_VALUE:
        return f"{condition.name} {condition.operator}"
    value = condition.value.replace("\\", "\\\\").replace("'", "\\'")
    if condition.operator in (Operator.IN, Operator.NOT_IN):
        quoted = "(" + ",".join(f"'{one}'" for one in value.split(",")) + ")"
    else:
        quoted = f"'{value}'"
    return f"{condition.name} {condition.operator} {quoted}"


def _in_java_order(texts: list[str]) -> list[str]:
    """Return the texts in the order of a Java HashSet: ZStack reports the first mistake in that order."""
    if len(texts) < 2:
        return texts
    buckets = BUCKETS
    while len(texts) > buckets * 3 // 4:
        buckets *= 2
    hashes = map(_java_hash, texts)
    places = ((hashed ^ hashed >> INT_BITS // 2) & (buckets - 1) for hashed in hashes)
    return [text for _, text in sorted(zip(places, texts, strict=True), key=lambda one: one[0])]


def _java_hash(text: str) -> int:
    hashed = 0
    for unit in memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H"):
        hashed = (hashed * 31 + unit) & 0xFFFFFFFF
    return hashed
