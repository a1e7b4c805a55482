"""How an outcome that is not the expected one is shown to people: one block a call, line by line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence

from imagestore_sim.parity.corpus import Answer, Case
from imagestore_sim.parity.masks import comparable

MOST_CHARACTERS = 300
CONTEXT_LINES = 1


def describe(case: Case, wanted: Sequence[Answer], got: Sequence[Answer], sides: tuple[str, str]) -> str:
    """What differs between two answers to a call; `sides` name whose each is."""
    lines = [f"#{case.id} {case.group}: {case.method} {_short(case.path)}"]
    if case.body is not None:
        lines.append(f"  body {_short(case.body if isinstance(case.body, str) else json.dumps(case.body))}")
    changes = difflib.unified_diff(
        list(_lines(case, wanted)), list(_lines(case, got)), *sides, lineterm="", n=CONTEXT_LINES
    )
    lines += [f"  {_short(line)}" for line in changes]
    return "\n".join(lines)


def _lines(case: Case, answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        _, value = comparable(answer, case)
        yield f"status {answer.status}"
        yield from (value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)).splitlines()


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
