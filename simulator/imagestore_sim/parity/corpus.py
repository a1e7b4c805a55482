"""The corpus: calls that were sent to ZStack 5.2.1, in order, and its answers.

One call a line, as JSON: `id`, `group`, `method`, `path` (below `/zstack/v1`, unless `rawpath`), `body`, `headers`,
`auth` (the Authorization header; null for none), `save` (a variable, and where its value stands in the answer), `scrub`
(members that are not compared), `unordered` (rows may come in any order) and `answers`: [status, text] of the call and,
after a 202, of its job. `${NAME}` is a variable. A call without answers is sent, since later ones build on it, but not
compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).with_name("corpus")
FILES = ("cases.jsonl", "cases-2.jsonl")
SESSION = "OAuth ${S}"
CHANCE = CORPUS / "chance.txt"
"""Numbers of calls that cannot be compared: their answers follow from the order of random ids."""
NOT_SENT = -1
"""The status of a call that the recording client refused to send."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, as text."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A call and ZStack's answers; `answers` is None if they are not known."""

    id: int
    group: str
    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: str | None = SESSION
    raw_path: bool = False
    typed: bool = True
    """Whether a Content-Type is sent with a body."""
    save: Mapping[str, str] = field(default_factory=dict)
    scrub: frozenset[str] = frozenset()
    unordered: bool = False
    answers: tuple[Answer, ...] | None = None

    @property
    def target(self) -> str:
        """The request target, with its variables unfilled."""
        return self.path if self.raw_path or not self.path.startswith("/") else f"/zstack/v1{self.path}"

    @property
    def sendable(self) -> bool:
        """Whether the target consists of characters that HTTP allows there: visible ASCII."""
        return all("!" <= character <= "~" for character in self.path)


@dataclass(frozen=True, slots=True)
class Deviation:
    """Calls whose answers differ from ZStack's by choice: why, and what a client sees instead."""

    calls: frozenset[int]
    reason: str
    status: str
    always: bool = True
    """Whether they differ on every machine: one may have what ZStack's had, such as its kernel."""


def read_cases(file: Path) -> list[Case]:
    """Return the calls of a corpus file, in order. Raise ValueError, which names the line."""
    cases = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            if "life" not in record:  # a record for readers: an agent outside the node takes part in it
                cases.append(_case(record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: line {number} is no call of a corpus: {error}") from None
    return cases


def _case(record: Mapping[str, Any]) -> Case:
    answers = record.get("answers")
    return Case(
        id=record["id"],
        group=record["group"],
        method=record["method"],
        path=record["path"],
        body=record.get("body"),
        headers=record.get("headers") or {},
        auth=record.get("auth", SESSION),
        raw_path=bool(record.get("rawpath")),
        typed=not record.get("noct"),
        save=record.get("save") or {},
        scrub=frozenset(record.get("scrub") or ()),
        unordered=bool(record.get("unordered")),
        answers=None if answers is None else tuple(Answer(status, text) for status, text in answers),
    )


def read_groups(groups: Collection[str]) -> list[Case]:
    """Return the calls of the whole corpus, or of some groups. Raise ValueError for a group that it does not have."""
    cases = [case for file in FILES for case in read_cases(CORPUS / file)]
    known = {case.group for case in cases}
    if unknown := sorted(set(groups) - known):
        raise ValueError(f"--group: there is no group {unknown[0]!r}, but {', '.join(sorted(known))}")
    return [case for case in cases if not groups or case.group in groups]


def read_deviations(file: Path = CORPUS / "deviations.yaml") -> list[Deviation]:
    """Return the deviations that the project chose. Raise ValueError for a call that is listed twice."""
    listed = [
        Deviation(frozenset(record["calls"]), record["reason"], record["status"], record.get("always", True))
        for record in yaml.safe_load(file.read_text(encoding="utf-8")) or ()
    ]
    seen: set[int] = set()
    for deviation in listed:
        if twice := seen & deviation.calls:
            raise ValueError(f"{file}: call {min(twice)} is listed twice")
        seen |= deviation.calls
    return listed


def read_numbers(file: Path) -> frozenset[int]:
    """Return the numbers of calls in a file: one on a line, with a comment after `#`."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return frozenset(int(line) for line in lines if line)


def compared(cases: Iterable[Case]) -> list[Case]:
    """Return the calls whose answers are known, are ZStack's own, and do not depend on random ids."""
    chance = read_numbers(CHANCE)
    return [
        case
        for case in cases
        if case.answers is not None and case.answers[0].status != NOT_SENT and case.id not in chance
    ]
