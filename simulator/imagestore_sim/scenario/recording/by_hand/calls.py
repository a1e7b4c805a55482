"""The calls of clients as steps of a scenario, with names for uuids, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from imagestore_sim.backup_storage.image_events import ADDED, REMOVED, STATUS_CHANGED
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.faults import NODE_FAULTS, Layer
from imagestore_sim.lab_api.story import Call
from imagestore_sim.masking import MASK, is_secret_name
from imagestore_sim.rest.faulted_request import NO_STATUS
from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.journal import Entry
from imagestore_sim.scenario.format.api_steps import CLIENT
from imagestore_sim.scenario.recording.by_hand.actions import Action
from imagestore_sim.scenario.recording.by_hand.records import JobEnd, StoryRecords

PASSWORD = "password"  # noqa: S105 - the one of every host and account of a scenario
USERINFO = f"//{MASK}@"
"""How the user and the password in a URL are masked."""
PREFIXES = ("/zstack/v1/", "/v1/")
UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
WORD = re.compile(r"\$[A-Za-z0-9]")
ADDS = "APIAddImageStoreBackupStorageMsg"
LONGEST_WHO = 60
OK, ACCEPTED, FAILED = 200, 202, 503
OF_ANSWERS = (Layer.CONNECTION, Layer.ANSWER)
"""The layers of faults that may spoil an answer on its way: the journal has the status that was sent."""
OF_SESSIONS = "ID."
"""How the codes of errors begin that are about a session: a scenario's own is valid."""


@dataclass(slots=True)
class CallSteps:
    """Writes calls as steps. It gathers what later steps need to know."""

    records: StoryRecords
    names: Mapping[str, str]
    """The names of storages, images and zones in the scenario, by uuid."""
    added: Mapping[str, str]
    """The uuids of storages that were added, by the job that did."""
    faults: Sequence[tuple[float, float | None]]
    """When faults of the management plane were set, which count all requests of clients: from when to when."""
    left_out: list[str]
    accounts: set[str] = field(default_factory=set)
    """The names of accounts beside admin that make calls."""
    clients: dict[str, str | None] = field(default_factory=dict)
    """Clients that met faults, with the account of each."""
    _made: set[str] = field(default_factory=set)
    """Uuids of resources that calls of the story have made, which so stand for themselves."""

    def actions(self, calls: Sequence[Call]) -> Iterator[Action]:
        """Yield the steps of all calls, each at the time when it was sent."""
        polls: dict[str, Entry] = {
            one.entry.job: one.entry for one in calls if one.entry.api == POLLS and one.entry.job
        }
        for call in calls:
            entry = call.entry
            if entry.api == POLLS and entry.job is not None and self._is_of(entry.job, calls):
                continue
            if self._is_told_by_images(entry):
                continue
            step = self._step(call, polls.get(entry.job or ""))
            if step is not None:
                yield Action(call.time, step, is_call=True)

    def _is_of(self, job: str, calls: Sequence[Call]) -> bool:
        return any(one.entry.job == job and one.entry.api != POLLS for one in calls)

    def _is_told_by_images(self, entry: Entry) -> bool:
        """Return whether the steps of images tell of a call: of those that met no fault and changed images."""
        if "LongJob" in entry.api:
            return True
        if entry.job is None or entry.faults:
            return False
        paths = (ADDED, STATUS_CHANGED, REMOVED)
        changed = [one for one in self.records.recording.events if one.get("correlation") == entry.job]
        return any(one["path"] in paths for one in changed) and "Image" in entry.api.replace("ImageStore", "")

    def _step(self, call: Call, poll: Entry | None) -> dict[str, Any] | None:
        """Return the step of a call, None for one that cannot be told; say why in `left_out`."""
        entry = call.entry
        shown = f"{entry.method} {entry.path.partition('?')[0]}" + (f" ({entry.api})" if entry.api else "")
        prefix = next((one for one in PREFIXES if entry.path.startswith(one)), None)
        if prefix is None:
            self.left_out.append(f"{shown}: only calls of the REST API can be told")
            return None
        if entry.body is not None and not entry.body_is_whole:
            self.left_out.append(f"{shown}: its body was not kept")
            return None
        end = self.records.jobs.get(entry.job or "", JobEnd(False))
        is_client = bool(entry.faults or poll) or self._is_counted(call.time)
        outcome = self._outcome_of_client(entry, poll, end) if is_client else self._outcome(entry, end)
        if outcome is None:
            self.left_out.append(
                f"{shown}: it failed for its session, or without one of ZStack's errors ({entry.status})"
            )
            return None
        made = {ADDS: self.added.get(entry.job or "")}.get(entry.api)
        path, body = unquote(entry.path[len(prefix) - 1 :]), self._body(entry, end, made)
        text = path + orjson.dumps(body).decode()
        if WORD.search(text) or MASK in text:
            self.left_out.append(f"{shown}: it holds what a scenario cannot say")
            return None
        path, body = self._named(path), orjson.loads(self._named(orjson.dumps(body).decode()))
        unknown = set(UUID.findall(path + orjson.dumps(body).decode())) - self._made - {ADMIN_UUID}
        if unknown:
            self.left_out.append(f"{shown}: it names {min(unknown)}, which the scenario does not have")
            return None
        step: dict[str, Any] = {"method": entry.method, "path": path}
        if body is not None:
            step["body"] = body
        if made is not None:
            step["as"] = self.names[made]
        return self._as_step(entry, step | outcome, is_client=is_client)

    def _is_counted(self, at: float) -> bool:
        """Return whether a fault of the management plane was set, which counts this request, too."""
        return any(began <= at and (ended is None or at < ended) for began, ended in self.faults)

    def _as_step(self, entry: Entry, step: dict[str, Any], *, is_client: bool) -> dict[str, Any]:
        account = self._account(entry)
        if account is not None:
            step["account"] = account
            self.accounts.add(account)
        if not is_client:
            return {"call": step}
        who = dict(entry.headers).get("user-agent", CLIENT)[:LONGEST_WHO] or CLIENT
        if self.clients.setdefault(who, account) != account:
            who = f"{who} of {account}"
            self.clients[who] = account
        return {"client": step if who == CLIENT else {**step, "who": who}}

    def _account(self, entry: Entry) -> str | None:
        if entry.account in (None, ADMIN_UUID):
            return None
        return self.records.accounts.get(str(entry.account))

    # What came of it

    def _outcome(self, entry: Entry, end: JobEnd) -> dict[str, Any] | None:
        """Return what is expected of a call; None if a scenario cannot expect it."""
        error = end.error if entry.status == ACCEPTED else entry.error
        if error is None:
            return {} if entry.status in (OK, ACCEPTED) else None
        return None if error.startswith(OF_SESSIONS) else {"error": error}

    def _outcome_of_client(self, entry: Entry, poll: Entry | None, end: JobEnd) -> dict[str, Any]:
        """Return what is expected of a call that met a fault, or whose polls did."""
        if entry.error is not None:
            return {"status": entry.status, "error": entry.error}
        natural = entry.status
        if entry.status == ACCEPTED:
            natural = OK if end.error is None else FAILED
        statuses = [natural, *([] if poll is None or poll.status == ACCEPTED else [poll.status])]
        met = {*entry.faults, *(() if poll is None else poll.faults)}
        if any(NODE_FAULTS[one.rpartition("-")[0]].layer in OF_ANSWERS for one in met):
            statuses.append(NO_STATUS)  # it may have come in a form that no client can read
        found = list(dict.fromkeys(statuses))
        return {"status": found[0] if len(found) == 1 else found}

    # What it says

    def _body(self, entry: Entry, end: JobEnd, made: str | None) -> Any:
        """Return the body with a placeholder for each password, and with the uuid of what it makes."""
        if entry.body is None:
            return None
        body = orjson.loads(entry.body.replace(USERINFO, "//"))
        with_placeholders(body)
        params = body.get("params") if isinstance(body, dict) else None
        if isinstance(params, dict) and made is not None:
            params.pop("resourceUuid", None)
        elif isinstance(params, dict) and end.resource is not None and end.resource not in self.names:
            params["resourceUuid"] = end.resource
            self._made.add(end.resource)
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if value or name not in ("systemTags", "userTags")}
        return body

    def _named(self, text: str) -> str:
        return UUID.sub(lambda match: f"${self.names[match[0]]}" if match[0] in self.names else match[0], text)


def with_placeholders(value: object) -> None:
    """Put the password of scenarios in the place of each secret that is masked."""
    if isinstance(value, dict):
        for name, member in value.items():
            if member == MASK and is_secret_name(name):
                value[name] = PASSWORD
            else:
                with_placeholders(member)
    elif isinstance(value, list):
        for member in value:
            with_placeholders(member)
