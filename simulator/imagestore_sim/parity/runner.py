"""Send the calls of a corpus to a node, in order, and follow each to its end."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from imagestore_sim.clock import Clock
from imagestore_sim.parity.corpus import SESSION, Answer, Case
from imagestore_sim.parity.masks import comparable, masked
from imagestore_sim.parity.wire import BROKEN, Endpoint, send
from imagestore_sim.rest.authentication import sign

VARIABLE = re.compile(r"\$\{(\w+)\}")
FIRST_POLL_SECONDS = 0.002
LONGEST_POLL_SECONDS = 0.25
JOB_SECONDS = 50.0
ENDS_SESSIONS = ("/identity/session.timeout/actions", {"updateGlobalConfig": {"value": "0"}})
"""A call that ends sessions with the current second. It is sent as a second begins, so that the calls after it have
time, as they had when they were recorded."""

PAUSE, PAUSE_SECONDS = "/longjobs?limit=0", 0.05
"""A call between two others whose only use was to let time pass, for long jobs to end; ours is sent this much later."""

WAITS = {10935: 7.0}
"""Seconds between a call and the one before it, where ZStack has given up an upload meanwhile."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call that was sent, and the node's answers, with ids and dates masked."""

    case: Case
    got: tuple[Answer, ...]

    @property
    def same(self) -> bool:
        """Whether the answers are ZStack's."""
        expected = self.case.answers or ()
        return [comparable(one, self.case) for one in self.got] == [comparable(one, self.case) for one in expected]


class Runner:
    """Sends calls to the node at `endpoint`, and keeps the variables that their answers set."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        *,
        account: str = "admin",
        password: str = "password",  # noqa: S107 - ZStack's own
        key: tuple[str, str] | None = None,
    ) -> None:
        """Sign each call with `key`, id and secret of an access key, or log in as `account` if it is None."""
        self.account = account
        self.variables: dict[str, str] = {"SHA": hashlib.sha512(password.encode()).hexdigest()}
        self.made: str | None = None
        """The uuid of the record that the latest call has created, if any."""
        self._endpoint = endpoint
        self._clock = clock
        self._key = key

    @property
    def signs(self) -> bool:
        """Whether calls are signed with an access key."""
        return self._key is not None

    async def run(self, cases: Iterable[Case]) -> AsyncIterator[Outcome]:
        """Send each call that can be sent, and yield its outcome. Raise Unreachable."""
        for case in cases:
            if case.sendable:
                yield await self.ask(case)

    async def ask(self, case: Case) -> Outcome:
        """Send one call, follow its job, and keep the variables that it sets. Raise Unreachable."""
        if case.path.endswith(ENDS_SESSIONS[0]) and case.body == ENDS_SESSIONS[1]:
            await self._clock.sleep(1 - self._clock.time() % 1)
        if (pause := PAUSE_SECONDS if case.path == PAUSE else WAITS.get(case.id)) is not None:
            await self._clock.sleep(pause)
        answers = await self.answers(case)
        self._save(case.save, answers[-1].text)
        made = _at("inventory.uuid", answers[-1].text) if answers[-1].status == 200 else None
        self.made = made if isinstance(made, str) else None
        return Outcome(case, tuple(Answer(one.status, masked(one.text, self._endpoint.url)) for one in answers))

    async def answers(self, case: Case) -> list[Answer]:
        """Return the answer to a call and, after a 202, that of the poll which found its job ended."""
        body = self.body_of(case)
        headers = self._authorization(case)
        headers += [(name, self.fill(value)) for name, value in case.headers.items()]
        if body is not None and case.typed and "Content-Type" not in case.headers:
            headers.append(("Content-Type", "application/json; charset=utf-8"))
        answer = await send(self._endpoint, case.method, self.fill(case.target), headers, body)
        if answer.status == 202:
            return [answer, await self._end_of_job(answer)]
        await self._end_of_legacy_job(answer)
        return [answer]

    async def _end_of_legacy_job(self, answer: Answer) -> None:
        """Wait for a job of the legacy API, since later calls depend on what it does."""
        job = _at("uuid", answer.text) if _at("state", answer.text) == "Processing" else None
        deadline = self._clock.monotonic() + JOB_SECONDS
        while isinstance(job, str) and self._clock.monotonic() < deadline:
            polled = await send(self._endpoint, "GET", f"/zstack/api/result/{job}")
            if _at("state", polled.text) != "Processing":
                return
            await self._clock.sleep(FIRST_POLL_SECONDS)

    async def _end_of_job(self, accepted: Answer) -> Answer:
        try:
            path = urlsplit(json.loads(accepted.text)["location"]).path
        except (ValueError, KeyError, TypeError):
            return Answer(BROKEN, "an accepted call without a location")
        deadline, pause = self._clock.monotonic() + JOB_SECONDS, FIRST_POLL_SECONDS
        while True:
            polled = await send(self._endpoint, "GET", path)
            if polled.status != 202 or self._clock.monotonic() > deadline:
                return polled
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def _authorization(self, case: Case) -> list[tuple[str, str]]:
        if case.auth is None:
            return []
        if self._key is None or case.auth != SESSION:
            return [("Authorization", self.fill(case.auth))]
        date = format_datetime(datetime.fromtimestamp(self._clock.time(), UTC), usegmt=True)
        path = unquote(self.fill(case.target).partition("?")[0]).removeprefix("/zstack")
        signature = sign(self._key[1], case.method, date, path)
        return [("Authorization", f"ZStack {self._key[0]}:{signature}"), ("Date", date)]

    def body_of(self, case: Case) -> bytes | None:
        """Return the body of a call, with values in place of variables; None if it has none."""
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
        """Return the text with values in place of variables; one that was never set becomes `MISSING_NAME`."""
        return VARIABLE.sub(lambda found: self.variables.get(found[1], f"MISSING_{found[1]}"), text)

    def _save(self, save: Mapping[str, str], text: str) -> None:
        for name, place in save.items():
            value = _at(place, text)
            if isinstance(value, str):
                self.variables[name] = value


def _at(place: str, text: str) -> object:
    """Return the value at a place such as `inventories.0.uuid` in a JSON text, or None."""
    try:
        value = json.loads(text)
        for key in place.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return value
