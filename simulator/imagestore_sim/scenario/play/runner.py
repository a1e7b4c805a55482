"""Plays a scenario: its timeline step by step, its expectations beside, all in the time of one clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families

from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, DELETED, STATUS_CHANGED, Event
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.faults import AppliedFault, Effect, FaultProblem, Host
from imagestore_sim.node.errors import StartError
from imagestore_sim.scenario.format.expectations import ASKED, Condition, Invariant
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.format.reader import REFERENCE
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import (
    CallStep,
    FaultStep,
    HealStep,
    RestartNodeStep,
    StartStep,
    Step,
    StopStep,
)
from imagestore_sim.scenario.play.observer import ConditionWaiter, Evaluation, Inventory, ObservedState
from imagestore_sim.scenario.play.results import Lane, Request, Result, StepResult, Verdict, Window
from imagestore_sim.scenario.play.world import NewWorld, WorldProblem
from imagestore_sim.tasks import Tasks
from imagestore_sim.testing.client import Answer, CallFailed
from imagestore_sim.virtual_clock import VirtualClock

STORAGES = "/backup-storage"
NODE = "node"
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
Outcome = tuple[Verdict, str]
Progress = Callable[[StepResult], None]
NO_ANSWER = (aiohttp.ClientError, OSError, CallFailed, TimeoutError)
PROBLEMS = (FaultProblem, ValueError, StartError, WorldProblem, *NO_ANSWER)


async def play(
    scenario: Scenario,
    new_clock: Callable[[], Clock],
    new_world: NewWorld,
    *,
    file: str = "",
    seed: int = 0,
) -> Result:
    """Play a scenario to its end. Return what was seen so far when cancelled."""
    clock = new_clock()
    kind = "virtual" if isinstance(clock, VirtualClock) else "real"
    result = Result(file, scenario.title, scenario.description, seed, kind)
    began = time.monotonic()  # real: how long it took to play
    playing = _Play(scenario, clock, result, seed, new_world)
    try:
        await playing.run()
    except asyncio.CancelledError:
        result.interrupted = True
    except PROBLEMS as error:
        result.problem = str(error) or type(error).__name__
    playing.close()
    result.seconds = time.monotonic() - began  # real: see above
    return result


class _Play:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, clock: Clock, result: Result, seed: int, new_world: NewWorld) -> None:
        self.scenario = scenario
        self.clock = clock
        self.result = result
        self.world = new_world(scenario, clock, seed, self._heard)
        self.picture = ObservedState(self.world.storages)
        self.watching = ConditionWaiter(self.picture, clock, self._ask)
        self._began: float | None = None
        self._tasks = Tasks()
        self._applied: list[tuple[AppliedFault, Window]] = []
        self._stopped: dict[str, Window] = {}
        self._over = False
        self._keys: dict[str, int] = {}
        uuids = self.world.storages
        self._lanes = {
            uuids[one.name]: Lane(one.name, one.hostname, uuid=uuids[one.name]) for one in scenario.all_storages()
        }
        result.lanes = list(self._lanes.values())
        result.steps = [
            StepResult(number, step.kind, str(step), step.expects)
            for number, step in enumerate(scenario.timeline, start=1)
        ]
        result.invariants = [
            StepResult(number, "invariant", str(one), True) for number, one in enumerate(scenario.invariants, start=1)
        ]

    @property
    def now(self) -> float:
        """Seconds since the beginning, which is when every storage has been tried once."""
        return 0.0 if self._began is None else round(self.clock.monotonic() - self._began, 6)

    def _moment(self, seconds: float) -> float:
        """The clock's monotonic time so many seconds after the beginning."""
        assert self._began is not None
        return self._began + seconds

    async def run(self) -> None:
        """From the start of the hosts to the last verdict."""
        async with self.world:
            self._began = self.clock.monotonic()
            # Where it is played, a storage that was there already may have been taken for one of the scenario's.
            self._lanes = {self.world.storages[lane.name]: lane for lane in self.result.lanes}
            await self._refresh()
            watches = [
                self._begin(self._watch(one, found), f"invariant {found.number}")
                for one, found in zip(self.scenario.invariants, self.result.invariants, strict=True)
            ]
            try:
                await self._until_the_end()
                await self.world.settle()
                self._end_invariants(watches)
            finally:
                await self._tasks.close()
                self._over = True
                self._close_windows()

    async def _until_the_end(self) -> None:
        playing = self._timeline()
        if self.scenario.ends is None:
            await playing
            return
        try:
            await self.clock.wait_for(playing, self._moment(self.scenario.ends) - self.clock.monotonic())
        except TimeoutError:
            return
        await self._sleep_until(self.scenario.ends)

    def close(self) -> None:
        """Write down what has become of everything."""
        self._over = True
        for found in self.result.checks:
            if found.verdict is Verdict.UNKNOWN:
                found.seen = found.seen or ("it was begun, and not decided" if found.runs else "it was never evaluated")
            self._log("verdict", check=f"{found.kind} {found.number}", verdict=found.verdict, seen=found.seen)
        self.result.length = self.now

    # The timeline

    async def _timeline(self) -> None:
        before: asyncio.Task[None] | None = None
        tasks: list[asyncio.Task[None]] = []
        to_the_end: list[tuple[asyncio.Task[None], StepResult]] = []
        for step, found in zip(self.scenario.timeline, self.result.steps, strict=True):
            late = ""
            if step.at is not None:
                late = await self._sleep_until(step.at)
            else:
                if before is not None:
                    await asyncio.wait({before})
                await self.clock.sleep(step.after or 0)
            await self.world.settle()
            task = self._begin(self._run_step(step, found, late), f"step {found.number}")
            await asyncio.sleep(0)
            if step.never is not None and step.never.during is None:
                to_the_end.append((task, found))
            else:
                tasks.append(before := task)
        await asyncio.gather(*tasks)
        await self.world.settle()
        for task, found in to_the_end:
            if not task.done():
                found.verdict, found.ended = Verdict.HELD, self.now

    async def _sleep_until(self, moment: float) -> str:
        """Answers what is to be said of coming too late."""
        wait = self._moment(moment) - self.clock.monotonic()
        await self.clock.sleep(max(0.0, wait))
        # A call takes its time on the machine, in which a clock that is sped up goes further.
        room = max(1.0, self.clock.speed) if isinstance(self.clock, RealClock) else 1.0
        return f"it was due {-wait:g} s before: the steps above took longer" if wait < -room else ""

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self._tasks.begin(work, name)

    async def _run_step(self, step: Step, found: StepResult, late: str) -> None:
        found.began = self.now
        due = self.now
        while True:
            self._log("step", number=found.number, text=found.text)
            found.runs += 1
            verdict, seen = await self._outcome(step)
            if found.runs == 1 or found.verdict is Verdict.HELD:
                found.verdict, found.seen = verdict, self._steady(seen)
            due += step.every or 0
            if step.until is None or due > step.until:
                break
            await self._sleep_until(due)
            await self.world.settle()
        found.ended = self.now
        if late:
            found.verdict, found.seen = Verdict.FAILED, late

    async def _outcome(self, step: Step) -> Outcome:
        try:
            return await getattr(self, f"_do_{step.kind}")(step.what)  # type: ignore[no-any-return]
        except PROBLEMS as error:
            return Verdict.FAILED, str(error) or type(error).__name__

    # Actions

    def _hosts(self, patterns: tuple[str, ...]) -> list[Host]:
        return [self.world.hosts[name] for name in matching(patterns, self.world.hosts)]

    async def _do_fault(self, what: FaultStep) -> Outcome:
        text = str(what).replace(f" on {', '.join(what.host)}", "")
        for host in self._hosts(what.host):
            applied = await host.apply(what.fault)
            label = text if what.fixed is None else f"{what.fault.kind} {text}"
            window = Window(host.name, label, self.now)
            effect = what.fault.traits.effect
            if not applied.active or effect is Effect.INSTANT:
                window.ended = self.now
            elif effect is Effect.NEW_STATE and what.fault.lasts is None:
                window.ended = self.now + getattr(what.fault, "over", 0.0)
            self.result.windows.append(window)
            self._applied.append((applied, window))
        return Verdict.HELD, ""

    _do_fill = _do_fault
    _do_resize = _do_fault

    async def _do_heal(self, what: HealStep) -> Outcome:
        healed = 0
        for host in self._hosts(what.host):
            for applied in reversed(list(host.faults)):
                if what.kind in (None, applied.fault.kind):
                    await applied.heal()
                    healed += 1
        self._close_windows(healing=True)
        return (Verdict.HELD, "") if healed else (Verdict.FAILED, "there was no such fault to heal")

    async def _do_stop(self, what: StopStep) -> Outcome:
        for host in self._hosts(what.host):
            await host.stop()
            window = Window(host.name, "stopped", self.now)
            self._stopped[host.name] = window
            self.result.windows.append(window)
            if what.lasts is not None:
                self._begin(self._start_after(host, what.lasts), f"start {host.name}")
        return Verdict.HELD, ""

    async def _start_after(self, host: Host, seconds: float) -> None:
        await self.clock.sleep(seconds)
        await self._start(host)

    async def _do_start(self, what: StartStep) -> Outcome:
        for host in self._hosts(what.host):
            await self._start(host)
        return Verdict.HELD, ""

    async def _start(self, host: Host) -> None:
        await host.start()
        if (window := self._stopped.pop(host.name, None)) is not None:
            window.ended = self.now

    async def _do_restart_node(self, what: RestartNodeStep) -> Outcome:
        window = Window(NODE, "management node down", self.now)
        self.result.windows.append(window)
        await self.world.stop_node()
        await self.clock.sleep(what.down)
        await self.world.start_node()
        window.ended = self.now
        await self._refresh()
        return Verdict.HELD, ""

    async def _do_call(self, what: CallStep) -> Outcome:
        if what.known_as is not None:
            self.world.storages[what.known_as] = stable_uuid("made", what.known_as)
        answer = await self._request(what.method, self._filled(what.path), self._body(what))
        await self._refresh()
        return _judge_call(what, answer)

    def _filled(self, text: str) -> str:
        return REFERENCE.sub(lambda match: self._uuid_of(match[1]), text)

    def _uuid_of(self, name: str) -> str:
        """Of a storage or a zone."""
        return self.world.storages.get(name) or self.world.zones[name]

    def _body(self, what: CallStep) -> Any:
        if what.body is None:
            return None
        body: dict[str, Any] = orjson.loads(self._filled(orjson.dumps(what.body).decode()))
        if what.known_as is not None and isinstance(params := body.get("params"), dict):
            params.setdefault("resourceUuid", self.world.storages[what.known_as])
        return body

    async def _do_query(self, path: str) -> Outcome:
        answer = await self._request("GET", self._filled(path))
        return (Verdict.HELD if answer.status == 200 else Verdict.FAILED), f"{answer.status} {answer.text[:300]}"

    async def _do_settings(self, settings: dict[str, Any]) -> Outcome:
        for name, value in settings.items():
            path = f"/global-configurations/{OPTIONS[name].category}/{name}/actions"
            body = {"updateGlobalConfig": {"value": option_text(name, value)}}
            answer = await self._request("PUT", path, body)
            if answer.status != 200:
                return Verdict.FAILED, answer.text
        return Verdict.HELD, ""

    async def _do_wait(self, seconds: float) -> Outcome:
        await self.clock.sleep(seconds)
        return Verdict.HELD, ""

    async def _do_note(self, text: str) -> Outcome:
        return Verdict.HELD, ""

    # Expectations

    async def _do_expect(self, what: Condition) -> Outcome:
        if what.subject in ASKED:
            seen = await self._ask(what)
        else:
            if what.subject == "storage":
                await self._refresh(strictly=True)
            seen = self.picture.look(what, 0)
        return (Verdict.HELD if seen.all else Verdict.FAILED), seen.text

    async def _do_eventually(self, what: Any) -> Outcome:
        since = len(self.picture.events)
        seen = await self.watching.until(what, lambda seen: seen.all, what.within, since)
        if seen is not None:
            return Verdict.HELD, seen.text
        await self.world.settle()
        last = await self._ask(what) if what.subject in ASKED else self.picture.look(what, since)
        return (Verdict.HELD if last.all else Verdict.FAILED), last.text

    async def _do_stays(self, what: Any) -> Outcome:
        since = len(self.picture.events)
        broken = await self.watching.until(what, lambda seen: not seen.all, what.lasts, since)
        return (Verdict.HELD, "") if broken is None else (Verdict.FAILED, f"at {self.now:g} s: {broken.text}")

    async def _do_never(self, what: Any) -> Outcome:
        since = len(self.picture.events)
        broken = await self.watching.until(what, lambda seen: seen.any, what.during, since)
        return (Verdict.HELD, "") if broken is None else (Verdict.FAILED, f"at {self.now:g} s: {broken.text}")

    async def _watch(self, invariant: Invariant, found: StepResult) -> None:
        """Ends only when it is broken."""
        found.began = self.now

        def note() -> None:
            found.runs += 1

        if invariant.unchanged is not None:
            text = await self.watching.kept(invariant.unchanged, note)
        else:
            note()
            condition = invariant.never or invariant.always
            assert condition is not None
            test = (lambda seen: seen.any) if invariant.never is not None else (lambda seen: not seen.all)
            broken = await self.watching.until(condition, test, None, 0)
            assert broken is not None
            text = broken.text
        found.verdict, found.seen, found.ended = Verdict.FAILED, f"at {self.now:g} s: {text}", self.now

    def _end_invariants(self, watches: list[asyncio.Task[None]]) -> None:
        for found, watch in zip(self.result.invariants, watches, strict=True):
            if not watch.done() and found.runs:
                found.verdict, found.ended = Verdict.HELD, self.now
            elif not watch.done():
                found.seen = "there was never anything to watch"

    # What is asked, and what is heard

    async def _request(self, method: str, path: str, body: Any = None) -> Answer:
        began = self.now
        try:
            answer = await self.world.request(method, path, body)
        except NO_ANSWER as error:
            self._requested(Request(began, method, path, 0, str(error) or type(error).__name__))
            raise
        self._requested(Request(began, method, path, answer.status, _error_code(answer)))
        return answer

    def _requested(self, request: Request) -> None:
        self.result.requests.append(request)
        self._log("request", method=request.method, path=request.path, status=request.status, error=request.error)

    async def _refresh(self, *, strictly: bool = False) -> None:
        try:
            answer = await self.world.request("GET", STORAGES)
        except NO_ANSWER:
            if strictly:
                raise
            return
        everything: list[Inventory] = answer.body.get("inventories", [])
        inventories = [one for one in everything if self.world.concerns(one["uuid"])]
        self.picture.refresh(inventories)
        for one in inventories:
            lane = self._lanes.get(one["uuid"])
            if lane is None:
                lane = self._lanes[one["uuid"]] = Lane(one["name"], one.get("hostname", ""), uuid=one["uuid"])
                self.result.lanes.append(lane)
            self._draw(lane, one["status"], (one["totalCapacity"], one["availableCapacity"]))
        gone = set(self._lanes) - {one["uuid"] for one in inventories}
        for uuid in gone:
            self._draw(self._lanes[uuid], "", None)

    async def _ask(self, condition: Condition) -> Evaluation:
        """How the answer to a query stands, or a metric."""
        if condition.metric is not None:
            return await self._measure(condition)
        try:
            answer = await self._request("GET", self._filled(condition.query or ""))
        except NO_ANSWER as error:
            return Evaluation(False, False, f"no answer: {error}")
        if answer.status != 200:
            return Evaluation(False, False, f"{answer.status} {answer.text[:200]}")
        return _look_at_answer(condition, answer)

    async def _measure(self, condition: Condition) -> Evaluation:
        try:
            page = await self.world.page("/metrics")
        except NO_ANSWER as error:
            return Evaluation(False, False, f"no answer: {error}")
        samples = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == condition.metric
            and all(wanted.met(sample.labels.get(name), {}) for name, wanted in (condition.labels or {}).items())
        ]
        assert condition.value is not None
        met = condition.value.met(sum(samples), {})
        return Evaluation(met, met, f"value {sum(samples):g}" if samples else "no such sample, so 0")

    def _heard(self, event: Event) -> None:
        if self._over:
            return
        self._log("event", **event.to_json())
        lane = self._lanes.get(event.resource_uuid)
        content = event.content
        if lane is not None and event.path == STATUS_CHANGED:
            self._draw(lane, str(content["newStatus"]), None)
        elif lane is not None and event.path == DELETED:
            self._draw(lane, "", None)
        elif lane is not None and event.path == CAPACITY_CHANGED:
            self._draw(lane, None, (content["totalCapacity"], content["availableCapacity"]))  # type: ignore[arg-type]
        self.picture.hear(event)

    def _draw(self, lane: Lane, status: str | None, capacity: tuple[int, int] | None) -> None:
        if status is not None and (not lane.statuses or lane.statuses[-1][1] != status):
            lane.statuses.append((self.now, status))
        if capacity is not None and (not lane.capacities or lane.capacities[-1][1:] != capacity):
            lane.capacities.append((self.now, *capacity))

    def _close_windows(self, *, healing: bool = False) -> None:
        """Windows of what is healed end now, or when it healed by itself."""
        for applied, window in self._applied:
            if window.ended is None and not (healing and applied.active):
                ended = self.now
                if applied.expires_at is not None:
                    ended = min(ended, applied.expires_at - self._moment(0.0))
                window.ended = ended
        if not healing:
            for window in self.result.windows:
                window.ended = self.now if window.ended is None else window.ended

    def _log(self, kind: str, **values: object) -> None:
        entry = {"at": self.now, "kind": kind, **values}
        text = orjson.dumps(entry).decode()
        steady = self._steady(text)
        self.result.log.append(entry if steady == text else orjson.loads(steady))

    def _steady(self, text: str) -> str:
        """A text without what differs from run to run: where its files are, and keys, which each run makes anew."""

        def named(match: re.Match[str]) -> str:
            return f"SHA256:key-{self._keys.setdefault(match[0], len(self._keys) + 1)}"

        return FINGERPRINT.sub(named, text.replace(f"{self.world.folder}/", ""))


def _error_code(answer: Answer) -> str:
    error = answer.body.get("error") if answer.status != 200 else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _judge_call(what: CallStep, answer: Answer) -> Outcome:
    code = _error_code(answer)
    seen = f"{answer.status} {code}".strip() if code else f"{answer.status}"
    if answer.status != 200:
        seen += f": {answer.text[:300]}"
    as_wanted = answer.status == 200 if what.error is None else bool(code) and what.error.met(code, {})
    if what.says is not None and what.says not in answer.text:
        as_wanted = False
        seen = f"{answer.status}: {answer.text[:300]}"
    return (Verdict.HELD if as_wanted else Verdict.FAILED), seen


def _look_at_answer(condition: Condition, answer: Answer) -> Evaluation:
    body = answer.body
    inventories = body.get("inventories", [])
    shown: list[str] = []
    met = True
    if condition.count is not None:
        count = body.get("total", len(inventories))
        met = met and condition.count.met(count, {})
        shown.append(f"count {count}")
    for name, wanted in (condition.each or {}).items():
        values = [one.get(name) for one in inventories]
        met = met and all(wanted.met(value, one) for value, one in zip(values, inventories, strict=True))
        shown.append(f"{name} " + (", ".join(str(value) for value in values[:5]) or "of none"))
    for name, wanted in (condition.answer or {}).items():
        met = met and wanted.met(body.get(name), body)
        shown.append(f"{name} {body.get(name)}")
    return Evaluation(met, met, ", ".join(shown))
