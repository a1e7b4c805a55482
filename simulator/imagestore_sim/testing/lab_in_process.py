"""A lab on a thread of this process (`lab_thread`), in the words of the kit."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast, overload

import aiohttp
from pydantic import ValidationError

from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.bootstrap import parse_bootstrap, write_snapshot
from imagestore_sim.clock import AdjustableClock
from imagestore_sim.faults import read_fault, read_node_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.hosts.applied_faults import SimulatedFault
from imagestore_sim.lab import Lab as AsyncLab
from imagestore_sim.lab_api import LabTime
from imagestore_sim.lab_api.guard import TOKEN_HEADER
from imagestore_sim.lab_api.host_shapes import fault_id, host_shape
from imagestore_sim.lab_api.lab_time import TIME_HEADER
from imagestore_sim.lab_api.routes import Refused
from imagestore_sim.lab_api.simulated_hosts import HostChange, change_disk
from imagestore_sim.rest.node_faults import AppliedNodeFault
from imagestore_sim.settings import Settings, token_of
from imagestore_sim.tasks import cancel_and_wait
from imagestore_sim.testing.client import PREFIX, CallFailed, Client, plain_reason
from imagestore_sim.testing.lab_thread import LabThread
from imagestore_sim.testing.times import epoch_of, seconds_of
from imagestore_sim.testing.words import ACCOUNT, PASSWORD, HostFacts, LabError, Requests, SeenStorage, facts_of
from imagestore_sim.validation_errors import first_problem

SNAPSHOT = "snapshot"
T = TypeVar("T")


class LabInProcess:
    """A lab on its own thread: each word runs there, and blocks until it is done."""

    def __init__(self, settings: Settings, *, virtual: bool) -> None:
        """Start the lab, and return when every storage has been tried once. Raise what a start raises."""
        self._thread = LabThread(settings, virtual=virtual).__enter__()
        self.token = token_of(settings)
        self.clock = _Clock(self)

    def stop(self) -> None:
        """Stop the lab, and delete what it kept."""
        self._thread.__exit__(None, None, None)

    @property
    def url(self) -> str:
        """The URL of the management node."""
        return self.inner.url

    @property
    def requests(self) -> Requests:
        """The requests that clients have made."""
        return cast(Requests, self._thread.stand_in(self.inner.requests))

    def host(self, name: str) -> _Host:
        """Return a host, whether there is one or not."""
        return _Host(self, name)

    def host_names(self) -> list[str]:
        """Return the names of the hosts."""
        return self.run(lambda: list(self.inner.network))

    def log_in(self) -> str:
        """Log in as the administrator, and return the session's uuid."""
        return self.run(self._log_in)

    def break_node(self, kind: str, parameters: Mapping[str, object]) -> _BrokenNode:
        """Let the management node fail. Raise FaultProblem."""
        fault = read_node_fault(kind, parameters)
        return _BrokenNode(self, self.run(lambda: self.inner.node.foundation.node_faults.apply(fault)))

    def heal(self) -> None:
        """Heal the management node and all hosts of every fault."""
        self.run(self._heal)

    def wait_for_status(self, storage: str, status: str, within: float) -> SeenStorage:
        """Return the storage of that name or uuid as soon as it has the status. Raise TimeoutError."""
        return self.run(self._wait_for_status, storage, status, within)

    def snapshot(self) -> str:
        """Return all records as a bootstrap file."""
        return write_snapshot(self.run(lambda: self.inner.node.changes.snapshot()))

    def load(self, snapshot: str) -> None:
        """Replace all records by those of a snapshot. Raise BootstrapError."""
        records = parse_bootstrap(snapshot.encode(), SNAPSHOT)
        self.run(lambda: self.inner.node.changes.replace(records, wait=True))

    def reset(self) -> None:
        """Go back to the start."""
        self.run(lambda: self.inner.node.changes.reset(wait=True))

    # For this module

    @property
    def inner(self) -> AsyncLab:
        """The lab itself, whose calls belong on its own thread: `run` them."""
        return self._thread.inner

    @overload
    def run(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T: ...

    @overload
    def run(self, work: Callable[..., T], *arguments: object) -> T: ...

    def run(self, work: Callable[..., Any], *arguments: object) -> Any:
        """Run `work`, asynchronous or not, on the lab's thread, and return its result. Raise what it raises."""
        __tracebackhide__ = True
        return self._thread.wait(self._on_time, work, *arguments)

    def run_at_once(self, work: Callable[..., Any], *arguments: object) -> Any:
        """Do the same without catching up with a clock that is followed."""
        return self._thread.wait(work, *arguments)

    async def _on_time(self, work: Callable[..., Any], *arguments: object) -> Any:
        await self.inner.node.http.lab_time.catch_up_with_followed()
        result = work(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def _log_in(self) -> str:
        """Log in over HTTP, as clients do. Raise LabError."""
        async with Client(self.inner.url, clock=self.inner.clock) as client:
            try:
                return await client.log_in(ACCOUNT, PASSWORD)
            except (CallFailed, aiohttp.ClientError, TimeoutError) as error:
                raise LabError(f"PUT {client.url}{PREFIX}/accounts/login: {plain_reason(error)}") from None

    async def _heal(self) -> None:
        lab = self.inner
        await lab.node.foundation.node_faults.heal_all()
        for name in list(lab.network):
            await lab.network[name].faults.heal_all()

    async def _wait_for_status(self, storage: str, status: str, within: float) -> SeenStorage:
        found = await self._found_in_time(storage, status, within)
        return SeenStorage(found.uuid, found.name, found.status)

    async def _found_in_time(self, storage: str, status: str, within: float) -> Storage:
        waiting = asyncio.ensure_future(self.inner.wait_for(storage, status, within=within))
        if not self.inner.node.http.lab_time.clock.paused:
            return await waiting
        stepping = asyncio.ensure_future(self.inner.node.http.lab_time.step(within, None))
        try:
            await asyncio.wait({waiting, stepping}, return_when=asyncio.FIRST_COMPLETED)
            if stepping.done():
                stepping.result()
            return await waiting
        finally:
            await cancel_and_wait(stepping, waiting)


class _BrokenHost:
    def __init__(self, lab: LabInProcess, fault: SimulatedFault) -> None:
        self._lab = lab
        self._fault = fault

    @property
    def id(self) -> str:
        return fault_id(self._fault)

    @property
    def kind(self) -> str:
        return self._fault.fault.kind

    @property
    def active(self) -> bool:
        return bool(self._lab.run(lambda: self._fault.active))

    def heal(self) -> None:
        self._lab.run(self._fault.heal)


class _BrokenNode:
    def __init__(self, lab: LabInProcess, fault: AppliedNodeFault) -> None:
        self._lab = lab
        self._fault = fault

    @property
    def id(self) -> str:
        return self._fault.id

    @property
    def kind(self) -> str:
        return self._fault.fault.kind

    @property
    def hits(self) -> int:
        return int(self._lab.run(lambda: self._fault.hits))

    @property
    def active(self) -> bool:
        return bool(self._lab.run(lambda: self._fault.active))

    def heal(self) -> None:
        self._lab.run(self._lab.inner.node.foundation.node_faults.heal, self._fault)


class _Host:
    def __init__(self, lab: LabInProcess, name: str) -> None:
        self._lab = lab
        self.name = name

    def __repr__(self) -> str:
        return f"LabHost({self.name!r})"

    @property
    def listening(self) -> bool:
        return bool(self._lab.run(lambda: self._host.listening))

    def facts(self) -> HostFacts:
        return facts_of(self._lab.run(self._state))

    def break_(self, kind: str, **parameters: object) -> _BrokenHost:
        fault = read_fault(kind, parameters)
        return _BrokenHost(self._lab, self._lab.run(lambda: self._host_to_change.apply(fault)))

    def heal(self) -> None:
        self._lab.run(lambda: self._host.faults.heal_all())

    def stop(self) -> None:
        self._lab.run(lambda: self._host_to_change.stop())

    def start(self) -> None:
        self._lab.run(lambda: self._host_to_change.start())

    def resize(self, total: int | str | None = None, used: int | str | None = None) -> None:
        try:
            change = HostChange.model_validate({"size": total, "used": used})
        except ValidationError as error:
            problem = first_problem(error, HostChange)
            raise ValueError(f"{problem.field}: {problem.text}") from None
        try:
            self._lab.run(lambda: change_disk(self._host_to_change.disk.storage_disk(), change))
        except Refused as refusal:
            raise LabError(str(refusal)) from None

    async def _state(self) -> dict[str, Any]:
        return host_shape(await self._host.state()).model_dump()

    @property
    def _host(self) -> SimulatedHost:
        return self._lab.inner.network[self.name]

    @property
    def _host_to_change(self) -> SimulatedHost:
        """The host, which the lab keeps until it is removed, though it was made on the spot."""
        host = self._host
        self._lab.inner.network.keep(self.name)
        return host


class _Clock:
    def __init__(self, lab: LabInProcess) -> None:
        self._lab = lab
        self._followed: Callable[[], float] | None = None

    @property
    def now(self) -> float:
        return float(self._lab.run(lambda: self._clock.time()))

    @property
    def elapsed(self) -> float:
        return float(self._lab.run(lambda: self._time.elapsed))

    @property
    def paused(self) -> bool:
        return bool(self._lab.run(lambda: self._clock.paused))

    def pause(self) -> None:
        self._lab.run(lambda: self._clock.pause())

    def resume(self) -> None:
        self._lab.run(lambda: self._clock.resume())

    def set_speed(self, speed: float) -> None:
        self._lab.run(lambda: self._clock.set_speed(speed))

    def step(self, duration: float | str | timedelta) -> bool:
        return self._lab.run(self._step, seconds_of(duration))

    def set(self, moment: float | str | datetime) -> bool:
        epoch = epoch_of(moment)
        return self._lab.run(lambda: self._set(epoch))

    @contextmanager
    def following(self, now: Callable[[], float] = time.time) -> Iterator[None]:  # real: the test's, which it may fake
        was_paused = self.paused
        self.pause()
        base, begin = self.elapsed, now()
        self._followed = lambda: base + max(0.0, now() - begin)
        self._lab.run(self._time.follow, self._followed)
        try:
            yield
        finally:
            self._followed = None
            self._lab.run_at_once(self._time.follow, None)
            if not was_paused:
                self.resume()

    def headers(self) -> dict[str, str]:
        if self._followed is None:
            return {}
        token = {} if self._lab.token is None else {TOKEN_HEADER: self._lab.token}
        return {TIME_HEADER: f"{self._followed():.6f}", **token}

    async def _step(self, seconds: float) -> bool:
        await self._time.step(seconds, None)
        return self._time.settled

    async def _set(self, epoch: float) -> bool:
        ahead = epoch - self._clock.time()
        if ahead < 0:
            raise ValueError(f"it is {-ahead:g} s before the lab's time, which never goes back")
        await self._time.catch_up(self._time.elapsed_at(epoch), None)
        return self._time.settled

    @property
    def _time(self) -> LabTime:
        return self._lab.inner.node.http.lab_time

    @property
    def _clock(self) -> AdjustableClock:
        return self._time.clock
