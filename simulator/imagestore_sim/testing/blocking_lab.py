"""A lab in one line, for unittest, scripts and any test that blocks, with the words of the kits of other languages.

    with Lab(hosts=3, seed=1, clock="paused") as lab:
        lab.host("imagestore-1").stop()
        lab.wait_for_status("imagestore-1", "Disconnected", within=60)

All calls block until they are done, on an event loop as well: the lab runs on its own thread, or in another process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from imagestore_sim.backup_storage.records import checked_status
from imagestore_sim.lab_api.request_shapes import RequestShape
from imagestore_sim.settings import PAUSED, REAL, token_of
from imagestore_sim.testing.client import login_of
from imagestore_sim.testing.kit_settings import VIRTUAL, settings_of_kit
from imagestore_sim.testing.words import (
    ACCOUNT,
    PASSWORD,
    BrokenNode,
    LabClock,
    LabError,
    LabHost,
    Requests,
    RunningLab,
    SeenStorage,
)
from imagestore_sim.units import parse_seconds

URL_VARIABLE = "IMAGESTORE_LAB_URL"
TOKEN_VARIABLE = "IMAGESTORE_LAB_TOKEN"  # noqa: S105 - the name of a variable
COMMAND_VARIABLE = "IMAGESTORE_SIM_COMMAND"
WITHIN = 120.0
"""Seconds of the lab's time that a status is waited for by default: hosts are pinged each minute at most."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login that the lab takes."""

    account_name: str
    password: str

    @property
    def sha512(self) -> str:
        """The password as ZStack's login wants it."""
        return str(login_of(self.account_name, self.password)["logInByAccount"]["password"])


class Lab:
    """A management node and simulated hosts: `start` and `stop` them, or use `with`.

    It runs on a thread of this process; with `image` in a container of that image, which the command line of Docker
    starts; with `command` or IMAGESTORE_SIM_COMMAND by that program, in a process of its own. With `url` or
    IMAGESTORE_LAB_URL it is one that runs already: the start resets it, and the stop leaves it.
    """

    def __init__(
        self,
        *,
        clock: str = REAL,
        url: str | None = None,
        image: str | None = None,
        command: str | None = None,
        **settings: Any,
    ) -> None:
        """`clock` is `real`, `paused`, a time at which it stands, or `virtual`: time jumps while the lab is waited for.

        `settings` are the options of `imagestore-sim lab` (`hosts=3, seed=1, zstack="5.4"`). By default each start
        takes a free port, and hosts are pinged each second in real time, else each minute. A lab that runs already
        keeps its settings, but for a clock that is to stand still; `hosts` has to be what it has. Raise
        ValueError for an option that there is not, or a value that it cannot have.
        """
        self._virtual = clock == VIRTUAL
        self._settings = settings_of_kit(clock, settings, ("url", "image", "command"))
        self._hosts: int | None = settings.get("hosts")
        self._url, self._image, self._command = url, image, command
        self._running: RunningLab | None = None

    def start(self) -> Self:
        """Start, and return when every storage has been tried once.

        Raise what a start raises, such as StartError; LabError for a lab that is not in this process.
        """
        if self._running is not None:
            raise RuntimeError("the lab runs already")
        self._running = self._start_elsewhere() or self._start_here()
        return self

    def stop(self) -> None:
        """Stop, and delete what the lab kept. May be called again; `start` then begins with a new lab."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

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
        return self._lab.url

    @property
    def credentials(self) -> Credentials:
        """The login of ZStack's administrator."""
        return Credentials(ACCOUNT, PASSWORD)

    def log_in(self) -> str:
        """Log in as the administrator, and return the session's uuid."""
        return self._lab.log_in()

    @property
    def clock(self) -> LabClock:
        """The lab's clock."""
        return self._lab.clock

    # What goes wrong

    @property
    def hosts(self) -> Mapping[str, LabHost]:
        """The hosts by their names."""
        return {name: self._lab.host(name) for name in self._lab.host_names()}

    def host(self, name: str) -> LabHost:
        """Return a host. Raise KeyError."""
        return self.hosts[name]

    def break_node(self, kind: str, *, when: Mapping[str, object] | None = None, **parameters: object) -> BrokenNode:
        """Let the management node fail (`docs/node-faults.md`) for requests that `when` describes. Raise FaultProblem.

        `break_node("answer_lost", when={"api": "AddImageStore*", "first": 1})`
        """
        return self._lab.break_node(kind, parameters if when is None else {"when": when, **parameters})

    def heal(self) -> None:
        """Heal the management node and all hosts of every fault."""
        self._lab.heal()

    # What comes of it

    def wait_for_status(self, storage: str, status: str, *, within: float | str = WITHIN) -> SeenStorage:
        """Return the storage of that name or uuid as soon as it has the status: Connected, Connecting or Disconnected.

        `within` is time of the lab, whose clock is stepped if it stands still. One that does not exist is waited for,
        too. Raise TimeoutError, whose text has the status at the time, and ValueError for another status.
        """
        return self._lab.wait_for_status(storage, checked_status(status), parse_seconds(within))

    @property
    def requests(self) -> Requests:
        """The requests that clients have made (`docs/requests.md`)."""
        return self._lab.requests

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
        if never:
            self.requests.assert_not_received(matcher)
            return []
        found = self.requests.assert_received(matcher, times=times)
        if len(found) < at_least and times is None:
            raise AssertionError(f"expected {at_least} requests at least: {matcher}\nreceived {len(found)}")
        return found

    # Records

    def snapshot(self) -> str:
        """Return all records as a bootstrap file (YAML), for `load` and `imagestore-sim lab --bootstrap`."""
        return self._lab.snapshot()

    def load(self, snapshot: str) -> None:
        """Replace all records by those of a snapshot; return when each storage has been tried. Raise BootstrapError."""
        self._lab.load(snapshot)

    def reset(self) -> None:
        """Go back to the records, hosts and clock of the start, and heal all; return when each storage was tried."""
        self._lab.reset()

    # Where it runs

    @property
    def _lab(self) -> RunningLab:
        if self._running is None:
            raise RuntimeError("the lab does not run: start it, or use `with`")
        return self._running

    def _start_here(self) -> RunningLab:
        from imagestore_sim.testing.lab_in_process import LabInProcess

        return LabInProcess(self._settings, virtual=self._virtual)

    def _start_elsewhere(self) -> RunningLab | None:
        url = self._url or os.environ.get(URL_VARIABLE)
        command = self._command or os.environ.get(COMMAND_VARIABLE)
        if not (url or self._image or command):
            return None
        if self._virtual:
            raise LabError(f"clock={VIRTUAL!r} needs a lab in the process of the tests; {PAUSED!r} does not")
        from imagestore_sim.testing import lab_command, lab_over_http

        paused, token = self._settings.clock != REAL, token_of(self._settings)
        if url:
            token = token or os.environ.get(TOKEN_VARIABLE)
            return lab_over_http.connect(url, token, hosts=self._hosts, paused=paused)
        run, what = (lab_command.run_image, self._image) if self._image else (lab_command.run_program, command)
        started = run(what or "", self._settings)
        return lab_over_http.LabOverHttp(started.url, token, paused=paused, command=started)
