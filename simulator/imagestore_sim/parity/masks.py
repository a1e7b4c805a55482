"""What of an answer is compared: ids, dates and times taken differ from run to run, and are masked."""

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
"""How long an error took to explain; in the legacy API's answers it stands in a string, its quotes escaped."""
CAST = re.compile(r"class (java\.[\w.]+) cannot be cast to class (java\.[\w.]+) \([^)]*\)")
NAMED = re.compile(r"<\w+>")
PAGE = re.compile(r"\s*<!doctype html", re.IGNORECASE)
KEPT = ("<base>", "<date>")


def masked(text: str, url: str) -> str:
    """The text of an answer from the node at `url`, as the corpus has it."""
    if PAGE.match(text):  # each container writes pages of its own
        found = re.search(r"HTTP Status (\d+)", text)
        return f"HTML {found[1] if found else ''}"
    text = UUID.sub("<id>", DATE.sub("<date>", text.replace(url, "<base>")))
    text = CAST.sub(r"\1 cannot be cast to \2", COST.sub("", text))
    return NAMED.sub(lambda found: found[0] if found[0] in KEPT else "<id>", text)


def comparable(answer: Answer, case: Case) -> tuple[int, object]:
    """The status, and the text: JSON without what is hidden; rows in any order where no order was asked for."""
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
