"""Send calls of the corpus to a node and to an emulator beside it, and compare the answers.

A node has records that the emulator does not have. So only the members of an answer to a query, and their types, are
compared. Calls that change something are sent on demand only; what they created is deleted at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from imagestore_sim.clock import Clock
from imagestore_sim.parity.corpus import SESSION, Answer, Case
from imagestore_sim.parity.masks import comparable
from imagestore_sim.parity.runner import VARIABLE, Outcome, Runner
from imagestore_sim.parity.safety import Effect, effect_of
from imagestore_sim.parity.shapes import shape_differences

NOWHERE = "0123456789abcdef0123456789abcdef"
"""The uuid of no record: it replaces that of a record that was not created, so a query about it finds nothing."""
UUID = re.compile(r"\b[0-9a-f]{32}\b")
KINDS = ("zones", "backup-storage", "images", "web-hooks", "user-tags", "system-tags", "accounts", "management-nodes")
DELETED_AT = {"user-tags": "tags", "system-tags": "tags"}
LOG_IN, LOG_OUT = "/accounts/login", "/accounts/sessions/"


class Refused(Exception):
    """The node refuses the login; the text holds its answer."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A call, the answers of emulator and node, and how they differ: a line for each difference."""

    case: Case
    emulator: tuple[Answer, ...]
    node: tuple[Answer, ...]
    differs: tuple[str, ...]


class Comparison:
    """Sends the same calls to a node and an emulator; `write` allows calls that change something."""

    def __init__(self, node: Runner, emulator: Runner, clock: Clock, *, write: bool) -> None:
        self._node = node
        self._emulator = emulator
        self._clock = clock
        self._write = write
        self._made: list[tuple[str, str]] = []
        self._there_before: frozenset[str] = frozenset()
        self.asked = 0
        """How many calls have been handled, those not sent included."""
        self.not_sent = 0
        """How many calls were not sent: they may change something, or need a record that is missing."""

    async def begin(self) -> str:
        """Log in at both, and return the node's version. Raise Refused or Unreachable."""
        await self._log_in(self._emulator)
        await self._log_in(self._node)
        self._there_before = frozenset([uuid for kind in KINDS for uuid in await self._uuids(kind)])
        return await self._version()

    async def end(self) -> list[str]:
        """Delete what was created, end the session, and return the paths that could not be deleted."""
        left = []
        for kind, uuid in reversed(self._made):
            if uuid in await self._uuids(kind):
                path = f"/{DELETED_AT.get(kind, kind)}/{uuid}"
                answers = await self._node.answers(_call("DELETE", f"{path}?deleteMode=Enforcing"))
                left += [path] if answers[-1].status != 200 else []
        if "S" in self._node.variables:
            await self._node.answers(_call("DELETE", f"{LOG_OUT}{self._node.variables['S']}"))
        return left

    async def run(self, cases: Iterable[Case]) -> AsyncIterator[Compared]:
        """Compare call by call, in order. Raise Unreachable."""
        for case in cases:
            self.asked += 1
            filled = self._allowed(case)
            if filled is None:
                self.not_sent += 1
                continue
            ours, theirs = await self._emulator.ask(filled), await self._node.ask(filled)
            self._note(filled)
            yield Compared(case, ours.got, theirs.got, tuple(_differences(case, ours, theirs)))

    def _allowed(self, case: Case) -> Case | None:
        """Return the call as it may be sent, or None if it may not."""
        if not case.sendable or case.path.startswith(LOG_IN):
            return None
        text = case.path + json.dumps(case.body) + (case.auth or "")
        missing = {name for name in VARIABLE.findall(text) if name not in self._node.variables and name != "S"}
        if missing:
            if case.method != "GET":
                return None
            path = VARIABLE.sub(lambda found: NOWHERE if found[1] in missing else found[0], case.path)
            case = replace(case, path=path)
        effect = effect_of(case, self._node.fill(case.target), self._node.body_of(case))
        if effect is Effect.READS:
            return case
        return case if effect is Effect.WRITES and self._write and not self._touches_others(case) else None

    def _touches_others(self, case: Case) -> bool:
        """Return whether a call names a record that these calls did not create."""
        text = case.path + json.dumps(case.body)
        made = {uuid for _, uuid in self._made}
        named = {self._node.variables.get(name, "") for name in VARIABLE.findall(text)} - {self._node.variables["SHA"]}
        return bool(named - made) or bool(self._there_before & set(UUID.findall(self._node.fill(text))))

    def _note(self, case: Case) -> None:
        """Remember what a call has created, for end()."""
        kind = case.path.strip("/").split("/")[0].partition("?")[0]
        made = self._node.made if case.method == "POST" and kind in KINDS else None
        if made is not None and made not in self._there_before:
            self._made.append((kind, made))

    async def _log_in(self, runner: Runner) -> None:
        if runner.signs:
            return
        body = {"logInByAccount": {"accountName": runner.account, "password": "${SHA}"}}
        case = replace(_call("PUT", LOG_IN), body=body, auth=None, save={"S": "inventory.uuid"})
        answers = (await runner.ask(case)).got
        if "S" not in runner.variables:
            raise Refused(f"the node does not log {runner.account} in: {answers[-1].status} {answers[-1].text[:200]}")

    async def _uuids(self, kind: str) -> list[str]:
        [answer] = await self._node.answers(_call("GET", f"/{kind}?fields=uuid"))
        try:
            return [row["uuid"] for row in json.loads(answer.text)["inventories"]]
        except (ValueError, KeyError, TypeError):
            return []

    async def _version(self) -> str:
        case = replace(_call("PUT", "/management-nodes/actions"), body={"getVersion": {}}, auth=None)
        [answer, *_] = await self._node.answers(case)
        try:
            return str(json.loads(answer.text)["version"])
        except (ValueError, KeyError, TypeError):
            raise Refused(f"the node reports no version of ZStack: {answer.status} {answer.text[:200]}") from None


def _call(method: str, path: str) -> Case:
    return Case(0, "compare", method, path, auth=SESSION)


def _differences(case: Case, ours: Outcome, theirs: Outcome) -> Sequence[str]:
    """Return how the answers differ, as lines; successful ones by members and types alone."""
    pairs = [(comparable(one, case), comparable(other, case)) for one, other in zip(ours.got, theirs.got, strict=False)]
    if len(ours.got) == len(theirs.got) and all(one == other for one, other in pairs):
        return ()
    if len(ours.got) == len(theirs.got) and ours.got[-1].status == theirs.got[-1].status == 200:
        return shape_differences(_json(ours.got[-1]), _json(theirs.got[-1]))
    return ("the answers differ",)


def _json(answer: Answer) -> object:
    try:
        return json.loads(answer.text)
    except ValueError:
        return answer.text
