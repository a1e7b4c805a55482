"""Finds vacuous expectations: those that can never be true, or never be false, and so check nothing.

Examples: a word that no field ever holds (`status: Disconected`), a bound that every number meets (`count: ">= 0"`), an
event without the field that is expected, a metric or path that does not exist, a time in which nothing can happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from urllib.parse import parse_qsl

import orjson

from imagestore_sim.api import all_handlers
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, SFTP_TYPE, SIMULATOR_TYPE, State, Status
from imagestore_sim.lab_api.metrics_manual import example_families
from imagestore_sim.query import Inventory
from imagestore_sim.query.inventories import Kind
from imagestore_sim.reasons import Reason
from imagestore_sim.rest.errors import DESCRIPTIONS, PlainError
from imagestore_sim.rest.routing import Router
from imagestore_sim.scenario.format.expectations import Condition, Eventually, Never, Stays, Unchanged
from imagestore_sim.scenario.format.matchers import CAPACITIES, Matcher
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import Problems, unknown
from imagestore_sim.scenario.format.steps import CallStep, Step
from imagestore_sim.units import duration_text, parse_amount

MOST = 2**63 - 1
STATUSES, STATES, REASONS = tuple(Status), tuple(State), tuple(Reason)
TYPES = (IMAGE_STORE_TYPE, SFTP_TYPE, SIMULATOR_TYPE)
WORDS: Mapping[str, Sequence[str]] = {
    "status": STATUSES,
    "oldStatus": STATUSES,
    "newStatus": STATUSES,
    "while": STATUSES,
    "state": STATES,
    "type": TYPES,
    "reason": REASONS,
}
"""The words that the fields of storages and events may hold."""
WORDS_OF_INVENTORIES: Mapping[tuple[str, str], Sequence[str]] = {
    ("backupstorage", "status"): STATUSES,
    ("backupstorage", "state"): STATES,
    ("backupstorage", "type"): TYPES,
    ("imagestorebackupstorage", "status"): STATUSES,
    ("imagestorebackupstorage", "state"): STATES,
    ("sftpbackupstorage", "status"): STATUSES,
    ("sftpbackupstorage", "state"): STATES,
    ("zone", "state"): STATES,
}
NUMBERS: Mapping[str, tuple[float, float]] = {
    "count": (0, MOST),
    "sshPort": (1, 65535),
    "totalCapacity": (0, MOST),
    "availableCapacity": (0, MOST),
    "value": (0, float("inf")),
}
"""The least and the greatest number that a field may hold."""
EVENT_FIELDS: Mapping[str, Sequence[str]] = {
    "status_changed": ("oldStatus", "newStatus"),
    "disconnected": ("reason",),
    "probe_failed": ("reason",),
}
FREE = ("name", "hostname", "url", "username", "description")
"""Fields that hold texts of the scenario's records or calls."""
CLOSED_LABELS = ("reason", "phase", "method", "state")
NEVER = "this can never be so"
ALWAYS = "this is always so, whatever happens"


def vacuous_expectations(scenario: Scenario) -> Problems:
    """Yield what can never be true, or never be false: its place in the file, and why."""
    texts = _free_texts(scenario)
    for number, step in enumerate(scenario.timeline):
        for place, text in _of_step(step, texts):
            yield ("timeline", number, step.kind, *place), text
    for number, invariant in enumerate(scenario.invariants):
        content = getattr(invariant, invariant.kind)
        if isinstance(content, Unchanged):
            problems = [*_of_words(content.while_, STATUSES, "while")]
        else:
            problems = [*_of_condition(content, texts)]
        if invariant.always is not None:
            problems += _at_the_beginning(invariant.always, "an invariant that is to hold always")
        elif invariant.never is not None:
            problems += _before_the_first_event(invariant.never)
        for place, text in problems:
            yield ("invariants", number, invariant.kind, *place), text
    yield from _times(scenario)


def _of_step(step: Step, texts: Mapping[str, str]) -> Problems:
    content = step.content
    if isinstance(content, Condition):
        yield from _of_condition(content, texts)
    if isinstance(content, Stays):
        yield from _at_the_beginning(content, "what stays")
    if isinstance(content, Never):
        yield from _before_the_first_event(content)
    if (
        isinstance(content, Eventually)
        and content.event is not None
        and content.count is not None
        and content.count.matches(0, {})
    ):
        yield ("count",), f"{ALWAYS}: only events from this step on count, and before the first there are none"
    for name, seconds in (
        ("within", getattr(content, "within", None)),
        ("for", content.lasts if isinstance(content, Stays) else None),
        ("during", getattr(content, "during", None)),
    ):
        if seconds is not None and seconds <= 0:
            yield (name,), "expected a time longer than none; what is so at one moment is for `expect`"
    if isinstance(content, CallStep):
        yield from _of_call(content)


# Conditions


def _of_condition(condition: Condition, texts: Mapping[str, str]) -> Problems:
    yield from _of_combination(condition)
    for name in NUMBERS:
        if (matcher := getattr(condition, name)) is not None:
            yield from _of_numbers(matcher, name, relative=name in CAPACITIES)
    for name, words in WORDS.items():
        if name != "while" and (matcher := getattr(condition, name)) is not None:
            yield from _of_words(matcher, words, name)
    for name in FREE:
        if (matcher := getattr(condition, name)) is not None:
            yield from _of_texts(matcher, name, texts[name])
    if condition.metric is not None:
        yield from _of_metric(condition)
    if condition.query is not None:
        yield from _of_query(condition)


def _of_combination(condition: Condition) -> Problems:
    """Yield keys that are possible alone, but not together."""
    if condition.exists is False and (said := [name for name, _ in condition.storage_matchers()]):
        yield ("exists",), f"{NEVER}: a storage that is not there has no {said[0]}"
    if condition.event is not None:
        fields = EVENT_FIELDS.get(condition.event, ())
        for name in ("reason", "oldStatus", "newStatus"):
            if getattr(condition, name) is not None and name not in fields:
                known = f"expected {', '.join(('storage', 'count', *fields))}"
                yield (name,), f"{NEVER}: an event {condition.event} has no {name}; {known}"
    old, new = condition.oldStatus, condition.newStatus
    if old is not None and new is not None and (one := _only(old, STATUSES)) and one == _only(new, STATUSES):
        yield ("newStatus",), f"{NEVER}: a change of status leads to another one"


def _only(matcher: Matcher, words: Sequence[str]) -> str | None:
    """Return the only word that matches, or None."""
    met = [one for one in words if matcher.matches(str(one), {})]
    return met[0] if len(met) == 1 else None


def _at_the_beginning(condition: Condition, what: str) -> Problems:
    if condition.event is not None and not (condition.count.matches(0, {}) if condition.count else False):
        text = f"{NEVER}: {what} has to be so at once, and there has been no such event then"
        yield ("event" if condition.count is None else "count",), text


def _before_the_first_event(condition: Condition) -> Problems:
    if condition.event is not None and condition.count is not None and condition.count.matches(0, {}):
        yield ("count",), f"{NEVER}: before the first such event there are none, which is what must not be"


def _of_words(matcher: Matcher, words: Sequence[str], name: str) -> Problems:
    for one in matcher.any_of:
        if one.operand not in words:
            yield (name,), unknown(one.operand, [str(word) for word in words])
            return
    yield from _of_outcomes([matcher.matches(str(word), {}) for word in words], name)


def _of_numbers(matcher: Matcher, name: str, *, relative: bool = False) -> Problems:
    """Try a matcher on the numbers around its operands; skip one that is relative to another capacity."""
    least, most = NUMBERS.get(name, (0, float("inf")))
    points = {least, least + 1, min(most, 2.0**80)}
    for one in matcher.any_of:
        try:
            amount = parse_amount(one.operand)
        except ValueError:
            return
        if amount.share is not None:
            if relative:
                return
            yield (name,), f"{one.operand} is a share, and {name} is a number"
            return
        points |= {amount.size + step for step in (-1, 0, 1)} | {amount.size * 0.98 - 1, amount.size * 1.02 + 1}
    yield from _of_outcomes([matcher.matches(int(one), {}) for one in points if least <= one <= most], name)


def _of_outcomes(met: Iterable[bool], name: str) -> Problems:
    outcomes = set(met)
    if outcomes == {False}:
        yield (name,), NEVER
    elif outcomes == {True}:
        yield (name,), ALWAYS


def _of_texts(matcher: Matcher, name: str, possible: str) -> Problems:
    for one in matcher.any_of:
        if one.operand != "null" and one.operand not in possible:
            what = NEVER if one.sign == "=" else ALWAYS
            yield (name,), f"{what}: no record and no call of this scenario gives a storage the {name} {one.operand}"
            return


def _free_texts(scenario: Scenario) -> Mapping[str, str]:
    """Return, for each free field, the text of all records and calls that may give it its value."""
    texts: dict[str, list[str]] = defaultdict(list)
    for record in scenario.all_storages():
        for name in FREE:
            texts[name].append(str(getattr(record, name)))
    for step in scenario.timeline:
        if isinstance(step.content, CallStep):
            said = orjson.dumps(step.content.body).decode() + "\n" + str(step.content.known_as)
            for name in FREE:
                texts[name] += [said, str(step.content.body)]
    return {name: "\n".join(texts[name]) for name in FREE}


# Metrics


@cache
def _metrics() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return the samples of /metrics by name: their labels, and the values that a label has on a new node."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in example_families():
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return {name: {label: frozenset(values) for label, values in labels.items()} for name, labels in found.items()}


def _of_metric(condition: Condition) -> Problems:
    name = str(condition.metric)
    labels = _metrics().get(name)
    if labels is None:
        yield ("metric",), unknown(name, sorted(_metrics()))
        return
    for label, matcher in (condition.labels or {}).items():
        if label not in labels:
            yield ("labels",), unknown(label, sorted(labels)) if labels else f"{name} has no labels"
        elif label in CLOSED_LABELS or (label == "status" and name.endswith("_backup_storages")):
            for _, text in _of_words(matcher, sorted(labels[label]), label):
                yield ("labels", label), text


# Queries and calls


@cache
def _router() -> Router:
    return Router(all_handlers().by_message)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(one for one in path.partition("?")[0].split("/") if one)


def _near(path: str) -> str:
    """Return that no API has the path, with the nearest one that there is."""
    shapes = {f"/{'/'.join(_segments(path))}" for message in all_handlers().by_message for path in message.api.paths}
    meant = unknown(path, sorted(shapes)).rpartition(" (did you mean ")
    return f"no API has the path {path}" + (f" (did you mean {meant[2]}" if meant[1] else "")


def _of_query(condition: Condition) -> Problems:
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
        yield from (text for _, text in _of_words(matcher, words, name))
    elif field.kind is Kind.NUMBER:
        yield from (text for _, text in _of_numbers(matcher, name, relative=name in CAPACITIES))
    elif any(one.sign not in ("=", "!=") for one in matcher.any_of):
        yield f"{NEVER}: {name} is a text, and texts are compared with = and != only"


def _of_call(call: CallStep) -> Problems:
    for one in call.error.any_of if call.error is not None else ():
        if one.operand not in DESCRIPTIONS:
            yield ("error",), unknown(one.operand, sorted(DESCRIPTIONS))
            return
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


# Times


def _times(scenario: Scenario) -> Problems:
    """Yield windows that reach beyond the end of the story, and those in which no time passes."""
    now, ends = 0.0, scenario.ends
    for number, step in enumerate(scenario.timeline):
        now = step.at if step.at is not None else now + (step.after or 0.0)
        window = _window(step)
        if ends is not None and window is not None and step.expects:
            name, seconds = window
            beyond = now >= ends if name == "within" else now + seconds > ends
            if beyond:
                text = f"the scenario ends at {duration_text(ends)}, so this could not be decided: expected "
                text += "a step before that" if now >= ends else f"no more than {duration_text(ends - now)}"
                yield ("timeline", number, step.kind, name), text
        if step.never is not None and step.never.during is None and not _passes(scenario, number, now):
            text = "this covers no time: it holds to the end of the scenario, and nothing after it takes any"
            yield ("timeline", number, "never"), f"{text}; expected during, or a later step"
    if scenario.invariants and not _passes(scenario, -1, 0.0):
        yield (
            ("invariants",),
            "these cover no time: no step of the timeline takes any; expected ends, or a step that does",
        )


def _window(step: Step) -> tuple[str, float] | None:
    if step.eventually is not None:
        return "within", step.eventually.within
    if step.stays is not None:
        return "for", step.stays.lasts
    if step.never is not None and step.never.during is not None:
        return "during", step.never.during
    return None


TAKE_TIME: Sequence[Callable[[Step], bool]] = (
    lambda step: bool(step.after or step.wait),
    lambda step: step.eventually is not None or step.stays is not None or step.restart_node is not None,
    lambda step: step.never is not None and step.never.during is not None,
    lambda step: step.call is not None or step.until is not None,
)


def _passes(scenario: Scenario, after: int, now: float) -> bool:
    """Return whether time passes after the step with index `after`, which is at `now`."""
    if scenario.ends is not None:
        return scenario.ends > now
    later = scenario.timeline[after + 1 :]
    return any(takes(step) for step in later for takes in TAKE_TIME) or any((one.at or 0.0) > now for one in later)
