"""Sends the calls of a corpus to a node, in order, each to its end, and compares the answers with ZStack's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from simulator.clock import Clock
from simulator.parity.corpus import Answer, Case
from simulator.parity.masks import comparable, masked
from simulator.parity.wire import BROKEN, Endpoint, send

VARIABLE = re.compile(r"\$\{(\w+)\}")
FIRST_POLL_SECONDS = 0.002
LONGEST_POLL_SECONDS = 0.25
JOB_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call that was sent: what the node answered, with ids and dates masked."""

    case: Case
    got: tuple[Answer, ...]

    @property
    def same(self) -> bool:
        """Whether the node answered what ZStack answered."""
        wanted = self.case.answers or ()
        return [comparable(one, self.case) for one in self.got] == [comparable(one, self.case) for one in wanted]


class Runner:
    """Sends calls to the node at `endpoint`, and keeps the variables that their answers set."""

    def __init__(self, endpoint: Endpoint, clock: Clock, *, password: str = "password") -> None:  # noqa: S107 - ZStack's
        self.variables: dict[str, str] = {"SHA": hashlib.sha512(password.encode()).hexdigest()}
        self._endpoint = endpoint
        self._clock = clock

    async def run(self, cases: Iterable[Case]) -> AsyncIterator[Outcome]:
        """The outcome of each call that can be sent. Raises Unreachable."""
        for case in cases:
            if case.sendable:
                yield await self.ask(case)

    async def ask(self, case: Case) -> Outcome:
        """Send one call and follow its job. Raises Unreachable."""
        answers = await self.answers(case)
        self._save(case.save, answers[-1].text)
        return Outcome(case, tuple(Answer(one.status, masked(one.text, self._endpoint.url)) for one in answers))

    async def answers(self, case: Case) -> list[Answer]:
        """What the node answers to a call and, after a 202, to the poll that found its job ended."""
        body = self._body(case)
        headers = [] if case.auth is None else [("Authorization", self.fill(case.auth))]
        headers += [(name, self.fill(value)) for name, value in case.headers.items()]
        if body is not None and case.typed and "Content-Type" not in case.headers:
            headers.append(("Content-Type", "application/json; charset=utf-8"))
        answer = await send(self._endpoint, case.method, self.fill(case.target), headers, body)
        if answer.status == 202:
            return [answer, await self._end_of_job(answer)]
        await self._end_of_legacy_job(answer)
        return [answer]

    async def _end_of_legacy_job(self, answer: Answer) -> None:
        """Wait for a job that the legacy API began: what it does is part of what later calls find."""
        job = _at("uuid", answer.text) if _at("state", answer.text) == "Processing" else None
        until = self._clock.monotonic() + JOB_SECONDS
        while isinstance(job, str) and self._clock.monotonic() < until:
            polled = await send(self._endpoint, "GET", f"/zstack/api/result/{job}")
            if _at("state", polled.text) != "Processing":
                return
            await self._clock.sleep(FIRST_POLL_SECONDS)

    async def _end_of_job(self, accepted: Answer) -> Answer:
        try:
            path = urlsplit(json.loads(accepted.text)["location"]).path
        except (ValueError, KeyError, TypeError):
            return Answer(BROKEN, "an accepted call without a location")
        until, pause = self._clock.monotonic() + JOB_SECONDS, FIRST_POLL_SECONDS
        while True:
            polled = await send(self._endpoint, "GET", path)
            if polled.status != 202 or self._clock.monotonic() > until:
                return polled
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def _body(self, case: Case) -> bytes | None:
        match case.body:
            case None:
                return None
            case str(text):
                return self.fill(text).encode()
            case {"latin1": str(text), **others} if not others:
                return text.encode("latin-1")
            case value:
                return self.fill(json.dumps(value, ensure_ascii=False)).encode()

    def fill(self, text: str) -> str:
        """The text with values in place of variables; one that was never set reads `MISSING_NAME`."""
        return VARIABLE.sub(lambda found: self.variables.get(found[1], f"MISSING_{found[1]}"), text)

    def _save(self, save: Mapping[str, str], text: str) -> None:
        for name, place in save.items():
            value = _at(place, text)
            if isinstance(value, str):
                self.variables[name] = value


def _at(place: str, text: str) -> object:
    """What stands at a place such as `inventories.0.uuid`; None where there is none."""
    try:
        value = json.loads(text)
        for key in place.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return value
