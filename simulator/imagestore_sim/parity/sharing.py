"""A node's answers as lines of a corpus, with its owner's names, addresses and paths masked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from imagestore_sim.parity.corpus import SESSION, Answer, Case

OWN = frozenset(
    ("name", "description", "hostname", "hostName", "username", "url", "managementIp", "mgmtIp", "fsid", "tag", "value")
)
RECORDS = ("inventories", "inventory")
SECRET = re.compile("password|secret|token|privatekey", re.IGNORECASE)
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}\b")


def corpus_line(case: Case, answers: Iterable[Answer], version: str) -> str:
    """Return a call and a node's answers as a line of a corpus file; `version` is ZStack's."""
    record: dict[str, object] = {"id": case.id, "group": case.group, "method": case.method, "path": case.path}
    if case.body is not None:
        record["body"] = case.body
    if case.headers:
        record["headers"] = dict(case.headers)
    if case.auth != SESSION:
        record["auth"] = case.auth
    if case.raw_path:
        record["rawpath"] = 1
    if not case.typed:
        record["noct"] = 1
    if case.save:
        record["save"] = dict(case.save)
    if case.scrub:
        record["scrub"] = sorted(case.scrub)
    if case.unordered:
        record["unordered"] = True
    sent = f"{case.path} {json.dumps(case.body, ensure_ascii=False)}"
    record["answers"] = [[answer.status, without_private_values(answer.text, sent)] for answer in answers]
    record["version"] = version
    return json.dumps(record, ensure_ascii=False)


def without_private_values(text: str, sent: str) -> str:
    """Return an answer with its owner's values masked, except those that the call itself `sent`."""
    try:
        value = json.loads(text)
    except ValueError:
        return ADDRESS.sub("<address>", text)
    return ADDRESS.sub("<address>", json.dumps(_masked(value, sent), ensure_ascii=False, separators=(",", ":")))


def _masked(value: object, sent: str, *, within_record: bool = False) -> object:
    if isinstance(value, dict):
        return {
            name: _own(name, one, sent, within_record=within_record or name in RECORDS) for name, one in value.items()
        }
    if isinstance(value, list):
        return [_masked(one, sent, within_record=within_record) for one in value]
    return value


def _own(name: str, value: object, sent: str, *, within_record: bool) -> object:
    if SECRET.search(name) and value is not None:
        return "<secret>"
    if within_record and name in OWN and isinstance(value, str):
        return value if value and value in sent else f"<{name}>"
    return _masked(value, sent, within_record=within_record)
