"""Finds queries, calls and fields of answers that ZStack's API does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from urllib.parse import parse_qsl

from imagestore_sim.api import all_handlers
from imagestore_sim.query import Inventory
from imagestore_sim.query.inventories import Kind
from imagestore_sim.rest.errors import DESCRIPTIONS, PlainError
from imagestore_sim.rest.routing import Router
from imagestore_sim.scenario.format.api_steps import ApiStep, CallStep
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.format.matchers import CAPACITIES, Matcher
from imagestore_sim.scenario.format.schema import Problems, unknown
from imagestore_sim.scenario.format.vacuous_matchers import (
    IMAGE_STATUSES,
    NEVER,
    STATES,
    STATUSES,
    TYPES,
    problems_of_numbers,
    problems_of_words,
)
from imagestore_sim.suggestions import meant

WORDS_OF_INVENTORIES: Mapping[tuple[str, str], Sequence[str]] = {
    ("backupstorage", "status"): STATUSES,
    ("backupstorage", "state"): STATES,
    ("backupstorage", "type"): TYPES,
    ("imagestorebackupstorage", "status"): STATUSES,
    ("imagestorebackupstorage", "state"): STATES,
    ("sftpbackupstorage", "status"): STATUSES,
    ("sftpbackupstorage", "state"): STATES,
    ("zone", "state"): STATES,
    ("image", "status"): IMAGE_STATUSES,
    ("image", "state"): STATES,
}
"""The words that the fields of inventories may hold, by inventory and field."""


@cache
def _router() -> Router:
    return Router(all_handlers().by_message)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(one for one in path.partition("?")[0].split("/") if one)


def _near(path: str) -> str:
    """Return that no API has the path, with the nearest one that there is."""
    shapes = {f"/{'/'.join(_segments(path))}" for message in all_handlers().by_message for path in message.api.paths}
    return f"no API has the path {path}{meant(path, sorted(shapes))}"


def problems_of_query(condition: Condition) -> Problems:
    """Yield paths that are not queries, and words and fields that no inventory of the answer has."""
    path, _, question = str(condition.query).partition("?")
    try:
        slot = _router().find(_segments(path), path)
    except PlainError:
        yield ("query",), _near(path)
        return
    queried = [one.message for one in slot.candidates if one.message.api.method == "GET"]
    if not queried:
        yield ("query",), f"{path} is not asked with GET"
        return
    inventory = getattr(queried[0], "inventory", None)
    if not isinstance(inventory, Inventory):
        return
    for name, text in parse_qsl(question.replace("+", "%2B"), keep_blank_values=True):
        if name == "q":
            yield from _of_query_condition(inventory, text)
    for name, matcher in (condition.each or {}).items():
        yield from (((("each", name)), text) for text in _of_field(inventory, name, matcher))


def _of_query_condition(inventory: Inventory, text: str) -> Problems:
    """Yield the words in a condition `q=` that no row ever has."""
    for sign in ("!=", "?=", "="):
        field, found, value = text.partition(sign)
        if found and not field.endswith(("~", ">", "<", "!", "?")):
            words = WORDS_OF_INVENTORIES.get((inventory.target, field))
            for one in value.split(",") if sign == "?=" else [value]:
                if words is not None and one.lower() not in {word.lower() for word in words}:
                    yield ("query",), f"{field}: {unknown(one, [str(word) for word in words])}"
            return


def _of_field(inventory: Inventory, name: str, matcher: Matcher) -> Iterator[str]:
    field = inventory.field(name)
    children = [child.field(name) for child in inventory.children.values()]
    field = field or next((one for one in children if one is not None), None)
    if field is None:
        if inventory.collection(name) is None:
            yield unknown(name, sorted({one.name for each in (inventory, *inventory.children.values())
                                        for one in each.fields}))  # fmt: skip
        return
    words = WORDS_OF_INVENTORIES.get((inventory.target, name))
    if words is not None:
        yield from (text for _, text in problems_of_words(matcher, words, name))
    elif field.kind is Kind.NUMBER:
        yield from (text for _, text in problems_of_numbers(matcher, name, relative=name in CAPACITIES))
    elif any(one.sign not in ("=", "!=") for one in matcher.any_of):
        yield f"{NEVER}: {name} is a text, and texts are compared with = and != only"


def problems_of_error(step: ApiStep) -> Problems:
    """Yield an error code that does not exist."""
    for one in step.error.any_of if step.error is not None else ():
        if one.operand not in DESCRIPTIONS:
            yield ("error",), unknown(one.operand, sorted(DESCRIPTIONS))
            return


def problems_of_call(call: CallStep) -> Problems:
    """Yield calls that no API answers."""
    if call.says is not None:
        return  # it may be the very answer to a call that means no API
    path = call.path.partition("?")[0]
    try:
        slot = _router().find(_segments(path), path)
    except PlainError:
        yield ("path",), _near(path)
        return
    try:
        slot.choose(call.method, path, call.body)
    except PlainError as error:
        actions = sorted(one.message.api.action for one in slot.candidates if one.message.api.method == "PUT")
        known = f"; expected one of {', '.join(actions)}" if call.method == "PUT" and actions else ""
        yield ("body" if call.method == "PUT" else "method",), f"{error or 'a body is missing'}{known}"
