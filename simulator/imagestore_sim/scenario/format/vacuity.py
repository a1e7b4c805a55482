"""Finds vacuous expectations: those that can never be true, or never be false, and so check nothing.

Examples: a word that no field ever holds (`status: Disconected`), a bound that every number meets (`count: ">= 0"`), an
event without the field that is expected, a metric or path that does not exist, a time in which nothing can happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import orjson

from imagestore_sim.lab_api.example_metrics import example_families
from imagestore_sim.scenario.format.api_steps import ApiStep, CallStep
from imagestore_sim.scenario.format.expectations import OF_IMAGES, Condition, Eventually, Never, Stays, Unchanged
from imagestore_sim.scenario.format.matchers import CAPACITIES
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import Problems, unknown
from imagestore_sim.scenario.format.steps import Step
from imagestore_sim.scenario.format.vacuous_api import problems_of_call, problems_of_error, problems_of_query
from imagestore_sim.scenario.format.vacuous_matchers import (
    ALWAYS,
    IMAGE_STATUSES,
    NEVER,
    NUMBERS,
    STATUSES,
    WORDS,
    WORDS_OF_IMAGES,
    only_match,
    problems_of_numbers,
    problems_of_texts,
    problems_of_words,
)
from imagestore_sim.scenario.format.vacuous_times import problems_of_times

EVENT_FIELDS: Mapping[str, Sequence[str]] = {
    "status_changed": ("oldStatus", "newStatus"),
    "disconnected": ("reason",),
    "probe_failed": ("reason",),
    "image_status_changed": ("oldStatus", "newStatus"),
}
FREE = ("name", "hostname", "url", "username", "description")
"""Fields that hold texts of the scenario's records or calls."""
NO_OWNER = "none"
"""The owner of a storage that no node pings."""
CLOSED_LABELS = ("reason", "phase", "method", "state", "outcome")


def vacuous_expectations(scenario: Scenario) -> Problems:
    """Yield what can never be true, or never be false: its place in the file, and why."""
    texts = _free_texts(scenario)
    for number, step in enumerate(scenario.timeline):
        for place, text in _of_step(step, texts, scenario.all_nodes()):
            yield ("timeline", number, step.kind, *place), text
    for number, invariant in enumerate(scenario.invariants):
        content = getattr(invariant, invariant.kind)
        if isinstance(content, Unchanged):
            problems = [*problems_of_words(content.while_, STATUSES, "while")]
        else:
            problems = [*_of_condition(content, texts, scenario.all_nodes())]
        if invariant.always is not None:
            problems += _at_the_beginning(invariant.always, "an invariant that is to hold always")
        elif invariant.never is not None:
            problems += _before_the_first_event(invariant.never)
        for place, text in problems:
            yield ("invariants", number, invariant.kind, *place), text
    yield from problems_of_times(scenario)


def _of_step(step: Step, texts: Mapping[str, str], nodes: Sequence[str]) -> Problems:
    content = step.content
    if isinstance(content, Condition):
        yield from _of_condition(content, texts, nodes)
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
            yield (name,), "expected a time above 0; use `expect` for one moment"
    if isinstance(content, ApiStep):
        yield from problems_of_error(content)
    if isinstance(content, CallStep):
        yield from problems_of_call(content)


# Conditions


def _of_condition(condition: Condition, texts: Mapping[str, str], nodes: Sequence[str]) -> Problems:
    yield from _of_combination(condition)
    if condition.owner is not None:
        yield from problems_of_words(condition.owner, [*nodes, NO_OWNER], "owner")
    for name in NUMBERS:
        if (matcher := getattr(condition, name)) is not None:
            yield from problems_of_numbers(matcher, name, relative=name in CAPACITIES)
    for name, words in (WORDS_OF_IMAGES if _is_about_images(condition) else WORDS).items():
        if name != "while" and (matcher := getattr(condition, name)) is not None:
            yield from problems_of_words(matcher, words, name)
    for name in FREE:
        if (matcher := getattr(condition, name)) is not None:
            yield from problems_of_texts(matcher, name, texts[name])
    if condition.metric is not None:
        yield from _of_metric(condition)
    if condition.query is not None:
        yield from problems_of_query(condition)


def _is_about_images(condition: Condition) -> bool:
    return condition.subject == "image" or condition.event in OF_IMAGES


def _of_combination(condition: Condition) -> Problems:
    """Yield keys that are possible alone, but not together."""
    about_images = _is_about_images(condition)
    of_record = {name for name, _ in condition.image_matchers()} - {"copies", "onDisk"}
    said = sorted(of_record) if about_images else [name for name, _ in condition.storage_matchers()]
    if condition.exists is False and said:
        what = "an image" if about_images else "a storage"
        yield ("exists",), f"{NEVER}: {what} that is not there has no {said[0]}"
    if condition.event is not None:
        subjects = ("image", "storage") if about_images else ("storage",)
        fields = EVENT_FIELDS.get(condition.event, ())
        for name in ("image", "reason", "oldStatus", "newStatus"):
            if getattr(condition, name) is not None and name not in (*subjects, *fields):
                known = f"expected {', '.join((*subjects, 'count', *fields))}"
                yield (name,), f"{NEVER}: an event {condition.event} has no {name}; {known}"
    old, new = condition.oldStatus, condition.newStatus
    words = IMAGE_STATUSES if about_images else STATUSES
    if old is not None and new is not None and (one := only_match(old, words)) and one == only_match(new, words):
        yield ("newStatus",), f"{NEVER}: a change of status leads to another one"


def _at_the_beginning(condition: Condition, what: str) -> Problems:
    if condition.event is not None and not (condition.count.matches(0, {}) if condition.count else False):
        text = f"{NEVER}: {what} has to be true at once, and there has been no such event then"
        yield ("event" if condition.count is None else "count",), text


def _before_the_first_event(condition: Condition) -> Problems:
    if condition.event is not None and condition.count is not None and condition.count.matches(0, {}):
        yield ("count",), f"{NEVER}: before the first such event there are none, which it forbids"


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
        elif label in CLOSED_LABELS or (
            label == "status" and name.endswith(("_backup_storages", "_backup_storage_status", "_images"))
        ):
            for _, text in problems_of_words(matcher, sorted(labels[label]), label):
                yield ("labels", label), text
