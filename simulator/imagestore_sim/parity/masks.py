"""Mask the parts of an answer that differ from run to run: ids, dates and durations."""

from __future__ import annotations

import json
import re

from imagestore_sim.parity.corpus import Answer, Case

HIDDEN = frozenset({"createDate", "lastOpDate", "expiredDate", "location"})
DATE = re.compile(
    r"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d{2}:\d{2} [AP]M|\b\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?"
)
UUID = re.compile(r"\b[0-9a-f]{32}\b")
COST = re.compile(r',?(\\?)"cost\1":\1"\d+ms\1"')
"""The time that an error took; the legacy API's answers have it inside a string, with its quotes escaped."""
CAST = re.compile(r"class (java\.[\w.]+) cannot be cast to class (java\.[\w.]+) \([^)]*\)")
NAMED = re.compile(r"<\w+>")
PAGE = re.compile(r"\s*<!doctype html", re.IGNORECASE)
KEPT = ("<base>", "<date>")


def masked(text: str, url: str) -> str:
    """Return the text of an answer of the node at `url`, masked as in the corpus."""
    if PAGE.match(text):  # each servlet container writes its own error pages
        found = re.search(r"HTTP Status (\d+)", text)
        return f"HTML {found[1] if found else ''}"
    text = UUID.sub("<id>", DATE.sub("<date>", text.replace(url, "<base>")))
    text = CAST.sub(r"\1 cannot be cast to \2", COST.sub("", text))
    return NAMED.sub(lambda found: found[0] if found[0] in KEPT else "<id>", text)


def comparable(answer: Answer, case: Case) -> tuple[int, object]:
    """Return the status and the body as values to compare: hidden members masked, unordered rows sorted."""
    text = COST.sub("", NAMED.sub(lambda found: found[0] if found[0] in KEPT else "<id>", answer.text))
    try:
        value = json.loads(text)
    except ValueError:
        return answer.status, text
    value = _clean(value, HIDDEN | case.scrub)
    if isinstance(value, dict) and case.unordered and isinstance(value.get("inventories"), list):
        value["inventories"].sort(key=lambda row: json.dumps(row, sort_keys=True))
        if isinstance(value.get("schema"), dict):
            value["schema"] = sorted(map(str, value["schema"].values()))
    return answer.status, value


def _clean(value: object, hidden: frozenset[str]) -> object:
    if isinstance(value, dict):
        return {key: "<x>" if key in hidden else _clean(one, hidden) for key, one in value.items()}
    return [_clean(one, hidden) for one in value] if isinstance(value, list) else value
