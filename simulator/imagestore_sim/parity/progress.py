"""Send the corpus to the emulator, count by group, and prune the list of open calls; `make parity` runs this.

An open call is one whose answer differs and has not been fixed yet. The list only shrinks: a call on no list must have
ZStack's answer (tests/parity).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from imagestore_sim.parity.corpus import CORPUS, FILES, Case, compared, read_cases, read_deviations, read_numbers
from imagestore_sim.parity.embedded import empty_lab
from imagestore_sim.parity.runner import Outcome, Runner
from imagestore_sim.parity.wire import Endpoint

OPEN = CORPUS / "open.txt"
EARLIER = (
    Case(
        0,
        "earlier",
        "PUT",
        "/accounts/login",
        {"logInByAccount": {"accountName": "admin", "password": "${SHA}"}},
        auth=None,
        save={"S": "inventory.uuid"},
    ),
    Case(0, "earlier", "DELETE", "/web-hooks/${SHA}", headers={"X-Job-UUID": "b1000000000040008000000000000001"}),
)
"""Calls that create what an earlier run of the recorder had left in ZStack: a job of that id. With it, call 465, which
gives the id to a new zone, is a duplicate, and later calls do not count that zone."""


async def outcomes(file: str, **store: Any) -> list[Outcome]:
    """Return the emulator's answers to the comparable calls of a corpus file; `store` as of `empty_lab`."""
    cases = read_cases(CORPUS / file)
    known = {case.id for case in compared(cases)}
    async with empty_lab(**store) as lab:
        runner = Runner(Endpoint.of(lab.url), lab.clock)
        for case in EARLIER:
            await runner.ask(case)
        return [outcome async for outcome in runner.run(cases) if outcome.case.id in known]


def different(found: list[Outcome]) -> frozenset[int]:
    """Return the numbers of the calls whose answers are not ZStack's."""
    return frozenset(outcome.case.id for outcome in found if not outcome.same)


async def _main() -> None:
    found = [outcome for file in FILES for outcome in await outcomes(file)]
    chosen = frozenset[int]().union(*(one.calls for one in read_deviations()))
    still_open = read_numbers(OPEN) & different(found) - chosen
    groups = {outcome.case.id: outcome.case.group for outcome in found}
    OPEN.write_text("".join(f"{number}  # {groups[number]}\n" for number in sorted(still_open)), encoding="utf-8")
    _print_counts(found)


def _print_counts(found: list[Outcome]) -> None:
    same = Counter(outcome.case.group for outcome in found if outcome.same)
    every = Counter(outcome.case.group for outcome in found)
    for group, count in every.items():
        print(f"{group:10} {same[group]:5} same {count - same[group]:5} different")
    print(f"{same.total()} of {every.total()} answers are ZStack's; {len(read_numbers(OPEN))} are open")


if __name__ == "__main__":
    asyncio.run(_main())
