"""A lab in one line, for unittest, scripts and any test that blocks, with the words of the kits of other languages.

    with Lab(hosts=3, seed=1, clock="paused") as lab:
        lab.host("imagestore-1").stop()
        lab.wait_for_status("imagestore-1", "Disconnected", within=60)

All calls block until they are done, on an event loop as well: the lab runs on its own thread (`lab_thread`).
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, cast, overload

from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.bootstrap import parse_bootstrap, write_snapshot
from imagestore_sim.clock import AdjustableClock
from imagestore_sim.faults import read_fault, read_node_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.hosts.applied_faults import SimulatedFault
from imagestore_sim.lab import Lab as AsyncLab
from imagestore_sim.lab_api import LabTime
from imagestore_sim.lab_api.request_log import RequestLog
from imagestore_sim.lab_api.request_shapes import RequestShape
from imagestore_sim.rest.node_faults import AppliedNodeFault
from imagestore_sim.settings import Settings
from imagestore_sim.testing.client import Client, login_of
from imagestore_sim.testing.lab_thread import LabThread
from imagestore_sim.units import parse_seconds, parse_time

ACCOUNT = "admin"
PASSWORD = "password"  # noqa: S105 - ZStack's own default
SNAPSHOT = "snapshot"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login that the lab takes."""

    account_name: str
    password: str

    @property
    def sha512(self) -> str:
        """The password as ZStack's login wants it."""
        return str(login_of(self.account_name, self.password)["logInByAccount"]["password"])


class BrokenHost:
    """A fault on a host."""

    def __init__(self, lab: Lab, fault: SimulatedFault) -> None:
        self._lab = lab
        self._fault = fault

    @property
    def kind(self) -> str:
        """Its kind, as in `docs/faults.md`."""
        return self._fault.fault.kind

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""
        return bool(self._lab.run(lambda: self._fault.active))

    def heal(self) -> None:
        """Undo it, unless that has happened."""
        self._lab.run(self._fault.heal)


class BrokenNode:
    """A fault of the management node."""

    def __init__(self, lab: Lab, fault: AppliedNodeFault) -> None:
        self._lab = lab
        self._fault = fault

    @property
    def kind(self) -> str:
        """Its kind, as in `docs/node-faults.md`."""
        return self._fault.fault.kind

    @property
    def hits(self) -> int:
        """How many requests have met it."""
        return int(self._lab.run(lambda: self._fault.hits))

    def heal(self) -> None:
        """Undo it, unless that has happened."""
        self._lab.run(self._lab.inner.node.foundation.node_faults.heal, self._fault)


class LabHost:
    """A simulated host of the lab, by its name."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab = lab
        self.name = name

    def __repr__(self) -> str:
        return f"LabHost({self.name!r})"

    def break_(self, kind: str, **parameters: object) -> BrokenHost:
        """Put a fault of `docs/faults.md` on the host, such as `break_("latency", delay="2s")`. Raise FaultProblem."""
        fault = read_fault(kind, parameters)
        return BrokenHost(self._lab, self._lab.run(lambda: self._host.apply(fault)))

    def heal(self) -> None:
        """Heal the host of every fault."""
        self._lab.run(lambda: self._host.faults.heal_all())

    def stop(self) -> None:
        """Shut the host down: nothing answers at its address."""
        self._lab.run(lambda: self._host.stop())

    def start(self) -> None:
        """Let the host listen at its address again."""
        self._lab.run(lambda: self._host.start())

    def resize(self, total: int | str | None = None, used: int | str | None = None) -> None:
        """Give the disk another size, or let it fill, such as `resize("1T", used="80%")`, until the host is healed."""
        if total is not None:
            self.break_("resize", size=total)
        if used is not None:
            self.break_("fill", to=used)

    @property
    def listening(self) -> bool:
        """Whether it runs."""
        return bool(self._lab.run(lambda: self._host.listening))

    @property
    def _host(self) -> SimulatedHost:
        return self._lab.inner.network[self.name]


class LabClock:
    """The lab's clock. Its time never goes back."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return float(self._lab.run(lambda: self._clock.time()))

    @property
    def elapsed(self) -> float:
        """Seconds since the lab began, as in the header X-Lab-Time."""
        return float(self._lab.run(lambda: self._time.elapsed))

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return bool(self._lab.run(lambda: self._clock.paused))

    def pause(self) -> None:
        """Let it stand still."""
        self._lab.run(lambda: self._clock.pause())

    def resume(self) -> None:
        """Let it go on."""
        self._lab.run(lambda: self._clock.resume())

    def set_speed(self, speed: float) -> None:
        """Let `speed` seconds pass in one of the machine's. Raise ValueError."""
        self._lab.run(lambda: self._clock.set_speed(speed))

    def step(self, duration: float | str | timedelta) -> bool:
        """Let a time pass at once, such as 90, "8h" or a timedelta, with all that falls due on the way.

        Return whether nothing was under way any more at its end. Raise ValueError.
        """
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else parse_seconds(duration)
        return self._lab.run(self._step, seconds)

    def set(self, moment: float | str | datetime) -> bool:
        """Catch up with a later time: epoch seconds, ISO 8601 with an offset, or a datetime that has a time zone.

        Return as `step` does. Raise ValueError for a time that is past.
        """
        if isinstance(moment, datetime):
            moment = moment.isoformat()
        epoch = parse_time(moment) if isinstance(moment, str) else moment
        return self._lab.run(lambda: self._set(epoch))

    @contextmanager
    def following(self, now: Callable[[], float] = time.time) -> Iterator[None]:  # real: the test's, which it may fake
        """Follow a clock that the test moves during the block, such as the machine's under `time_machine.travel`.

        The lab's clock stands still but for that: before each request, and each call of the lab, it catches up with
        the seconds by which `now` has moved since the block began.
        """
        was_paused = self.paused
        self.pause()
        base, begin = self.elapsed, now()
        self._lab.run(lambda: self._time.follow(lambda: base + now() - begin))
        try:
            yield
        finally:
            self._lab.running.wait(self._time.follow, None)
            if not was_paused:
                self.resume()

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


class Lab:
    """A management node and simulated hosts on a thread of their own: `start` and `stop` it, or use `with`."""

    def __init__(self, *, clock: str = "real", **settings: Any) -> None:
        """`clock` is `real`, `paused`, a time at which it stands, or `virtual`: time jumps while the lab is waited for.

        `settings` are the options of `imagestore-sim lab` (`hosts=3, seed=1, zstack="5.3.0"`). By default each start
        takes a free port, and in real time hosts are pinged each second. Raise ValidationError.
        """
        self._virtual = clock == "virtual"
        often = {"ping_interval": 1} if clock == "real" else {}
        self._settings = Settings(**{"port": 0, "clock": "real" if self._virtual else clock, **often, **settings})
        self._thread: LabThread | None = None
        self.clock = LabClock(self)

    def start(self) -> Self:
        """Start, and return when every storage has been tried once. Raise what a start raises, such as StartError."""
        if self._thread is not None:
            raise RuntimeError("the lab runs already")
        self._thread = LabThread(self._settings, virtual=self._virtual).__enter__()
        return self

    def stop(self) -> None:
        """Stop, and delete what the lab kept. May be called again; `start` then begins with a new lab."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a client needs

    @property
    def url(self) -> str:
        """The URL of the management node, `http://HOST:PORT`."""
        return self.inner.url

    @property
    def credentials(self) -> Credentials:
        """The login of ZStack's administrator."""
        return Credentials(ACCOUNT, PASSWORD)

    def log_in(self) -> str:
        """Log in as the administrator, and return the session's uuid."""
        return self.run(self._log_in)

    # What goes wrong

    @property
    def hosts(self) -> Mapping[str, LabHost]:
        """The hosts by their names."""
        return {name: LabHost(self, name) for name in self.run(lambda: list(self.inner.network))}

    def host(self, name: str) -> LabHost:
        """Return a host. Raise KeyError."""
        return self.hosts[name]

    def break_node(self, kind: str, *, when: Mapping[str, object] | None = None, **parameters: object) -> BrokenNode:
        """Let the management node fail (`docs/node-faults.md`) for requests that `when` describes. Raise FaultProblem.

        `break_node("answer_lost", when={"api": "AddImageStore*", "first": 1})`
        """
        fault = read_node_fault(kind, parameters if when is None else {"when": when, **parameters})
        return BrokenNode(self, self.run(lambda: self.inner.node.foundation.node_faults.apply(fault)))

    def heal(self) -> None:
        """Heal the management node and all hosts of every fault."""
        self.run(self._heal)

    # What comes of it

    def wait_for_status(self, storage: str, status: str, *, within: float | str = 5.0) -> Storage:
        """Return the storage of that name or uuid as soon as it has the status.

        `within` is time of the lab. A clock that stands still is stepped until then. Raise TimeoutError, whose text
        has the status at the time.
        """
        return self.run(self._wait_for_status, storage, status, parse_seconds(within))

    @property
    def requests(self) -> RequestLog:
        """The requests that clients have made (`docs/requests.md`)."""
        return cast(RequestLog, self.running.stand_in(self.inner.requests))

    def assert_requested(
        self,
        matcher: Mapping[str, object],
        *,
        times: int | None = None,
        at_least: int = 1,
        never: bool = False,
    ) -> list[RequestShape]:
        """Return the requests that match. Raise AssertionError, which shows the closest, if they are fewer or more.

        `assert_requested({"api": "AddImageStore*", "body": {"params": {"name": "gold"}}}, times=1)`
        """
        __tracebackhide__ = True
        requests = self.inner.requests
        if never:
            self.run(lambda: requests.assert_not_received(matcher))
            return []
        found: list[RequestShape] = self.run(lambda: requests.assert_received(matcher, times=times))
        if len(found) < at_least and times is None:
            raise AssertionError(f"expected {at_least} requests at least: {matcher}\nreceived {len(found)}")
        return found

    # Records

    def snapshot(self) -> str:
        """Return all records as a bootstrap file (YAML), for `load` and `imagestore-sim lab --bootstrap`."""
        return write_snapshot(self.run(lambda: self.inner.node.changes.snapshot()))

    def load(self, snapshot: str) -> None:
        """Replace all records by those of a snapshot; return when each storage has been tried. Raise BootstrapError."""
        records = parse_bootstrap(snapshot.encode(), SNAPSHOT)
        self.run(lambda: self.inner.node.changes.replace(records, wait=True))

    def reset(self) -> None:
        """Go back to the records, hosts and clock of the start, and heal all; return when each storage was tried."""
        self.run(lambda: self.inner.node.changes.reset(wait=True))

    # For this module

    @property
    def inner(self) -> AsyncLab:
        """The lab itself, whose calls belong on its own thread: `run` them. Raise RuntimeError if it does not run."""
        return self.running.inner

    @overload
    def run(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T: ...

    @overload
    def run(self, work: Callable[..., T], *arguments: object) -> T: ...

    def run(self, work: Callable[..., Any], *arguments: object) -> Any:
        """Run `work`, asynchronous or not, on the lab's thread, and return its result. Raise what it raises."""
        __tracebackhide__ = True
        return self.running.wait(self._on_time, work, *arguments)

    async def _on_time(self, work: Callable[..., Any], *arguments: object) -> Any:
        await self.inner.node.http.lab_time.catch_up_with_followed()
        result = work(*arguments)
        return await result if inspect.isawaitable(result) else result

    @property
    def running(self) -> LabThread:
        """The thread of the lab. Raise RuntimeError if it does not run."""
        if self._thread is None:
            raise RuntimeError("the lab does not run: start it, or use `with`")
        return self._thread

    async def _log_in(self) -> str:
        async with Client(self.inner.url, clock=self.inner.clock) as client:
            return await client.log_in(ACCOUNT, PASSWORD)

    async def _heal(self) -> None:
        lab = self.inner
        await lab.node.foundation.node_faults.heal_all()
        for name in list(lab.network):
            await lab.network[name].faults.heal_all()

    async def _wait_for_status(self, storage: str, status: str, within: float) -> Storage:
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
            stepping.cancel()
            waiting.cancel()
            await asyncio.wait({stepping, waiting})
