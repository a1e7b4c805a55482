"""Evaluates conditions about the answer to a query, or about the page of metrics."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.plain_reasons import plain_reason
from imagestore_sim.scenario.format.expectations import Condition
from imagestore_sim.scenario.play.observed_state import Evaluation
from imagestore_sim.testing.client import Answer

EXPIRED = "ID.1001"
"""The code of the error for a session that has ended."""


def error_code(answer: Answer) -> str:
    """Return the code of the error that an answer holds, such as SYS.1002, or ''."""
    error = answer.body.get("error") if answer.status != 200 else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def evaluate_query(condition: Condition, answer: Answer) -> Evaluation:
    """Evaluate a condition about the answer to its query."""
    if answer.status != 200:
        return Evaluation(False, False, f"{answer.status} {answer.text[:200]}")
    body = answer.body
    inventories = body.get("inventories", [])
    shown: list[str] = []
    met = True
    if condition.count is not None:
        count = body.get("total", len(inventories))
        met = met and condition.count.matches(count, {})
        shown.append(f"count {count}")
    for name, matcher in (condition.each or {}).items():
        values = [one.get(name) for one in inventories]
        met = met and all(matcher.matches(value, one) for value, one in zip(values, inventories, strict=True))
        shown.append(f"{name} " + (", ".join(str(value) for value in values[:5]) or "of none"))
    for name, matcher in (condition.answer or {}).items():
        met = met and matcher.matches(body.get(name), body)
        shown.append(f"{name} {body.get(name)}")
    return Evaluation(met, met, ", ".join(shown))


def evaluate_metric(condition: Condition, page: str) -> Evaluation:
    """Evaluate a condition about the sum of a metric's samples; without a sample, it is 0."""
    samples = [
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == condition.metric
        and all(matcher.matches(sample.labels.get(name), {}) for name, matcher in (condition.labels or {}).items())
    ]
    assert condition.value is not None
    met = condition.value.matches(sum(samples), {})
    return Evaluation(met, met, f"value {sum(samples):g}" if samples else "no such sample, so 0")


def reason_of(error: BaseException) -> str:
    """Return why a call got no answer: without the port of the node, which is another one in each run."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return plain_reason(error)
    return str(error) or type(error).__name__
