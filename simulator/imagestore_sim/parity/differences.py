"""The difference between two answers to a call, as text for people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence

from imagestore_sim.parity.corpus import Answer, Case
from imagestore_sim.parity.masks import comparable

MOST_CHARACTERS = 300
CONTEXT_LINES = 1


def describe(case: Case, expected: Sequence[Answer], got: Sequence[Answer], sides: tuple[str, str]) -> str:
    """Return a unified diff of two answers to a call, below a line with the call; `sides` name the two."""
    lines = [f"#{case.id} {case.group}: {case.method} {_short(case.path)}"]
    if case.body is not None:
        lines.append(f"  body {_short(case.body if isinstance(case.body, str) else json.dumps(case.body))}")
    changes = difflib.unified_diff(
        list(_lines(case, expected)), list(_lines(case, got)), *sides, lineterm="", n=CONTEXT_LINES
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
