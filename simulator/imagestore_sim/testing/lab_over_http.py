"""A lab in another process or a container, over its HTTP port, in the words of the kit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from imagestore_sim.bootstrap import BootstrapError
from imagestore_sim.faults import FaultProblem
from imagestore_sim.testing.client import PREFIX, login_of
from imagestore_sim.testing.lab_command import LabCommand
from imagestore_sim.testing.lab_connection import LabConnection, Refused, none_ended
from imagestore_sim.testing.requests_over_http import RequestsOverHttp
from imagestore_sim.testing.times import epoch_of, seconds_of
from imagestore_sim.testing.words import ACCOUNT, PASSWORD, HostFacts, LabError, SeenStorage, facts_of

POLL_SECONDS = 0.01
STEP_SECONDS = 5.0
NOT_THERE = "not there"
NO_STORAGE = "there is no backup storage "


class LabOverHttp:
    """A lab at a URL: each word is a call of it, and blocks until that is answered."""

    def __init__(self, url: str, token: str | None, *, paused: bool, command: LabCommand | None = None) -> None:
        """`command` runs it, and ends with it. `paused`: its clock is paused again after a reset."""
        self._connection = LabConnection(url, token, none_ended if command is None else command.ending)
        self._command = command
        self._paused = paused
        self.clock = _Clock(self._connection)

    @property
    def url(self) -> str:
        """The URL of the management node."""
        return self._connection.url

    @property
    def requests(self) -> RequestsOverHttp:
        """The requests that clients have made."""
        return RequestsOverHttp(self._connection)

    def host(self, name: str) -> _Host:
        """Return a host, whether there is one or not."""
        return _Host(self._connection, name)

    def host_names(self) -> list[str]:
        """Return the names of the hosts."""
        return [one["name"] for one in self._connection.lab("GET", "/hosts")["hosts"]]

    def log_in(self) -> str:
        """Log in as the administrator, and return the session's uuid."""
        login = self._connection.call("PUT", f"{PREFIX}/accounts/login", login_of(ACCOUNT, PASSWORD))
        return str(login["inventory"]["uuid"])

    def break_node(self, kind: str, parameters: Mapping[str, object]) -> _BrokenNode:
        """Let the management node fail. Raise FaultProblem."""
        return _BrokenNode(self._connection, kind, _fault(self._connection, "/node/faults", kind, parameters))

    def heal(self) -> None:
        """Heal the management node and all hosts of every fault."""
        self._connection.lab("POST", "/heal", {})

    def wait_for_status(self, storage: str, status: str, within: float) -> SeenStorage:
        """Return the storage of that name or uuid as soon as it has the status. Raise TimeoutError."""
        begin = self.clock.elapsed
        while True:
            seen = self._storage(storage)
            if seen is not None and seen.status == status:
                return seen
            left = within - (self.clock.elapsed - begin)
            if left <= 0:
                now = NOT_THERE if seen is None else seen.status
                raise TimeoutError(f"{storage} is {now}, and was not {status} within {within:g} s")
            self._let_pass(left)

    def snapshot(self) -> str:
        """Return all records as a bootstrap file."""
        return str(self._connection.lab("GET", "/snapshot"))

    def load(self, snapshot: str) -> None:
        """Replace all records by those of a snapshot. Raise BootstrapError."""
        try:
            self._connection.lab("PUT", "/snapshot?wait=true", snapshot)
        except Refused as refusal:
            raise BootstrapError(refusal.reason) if refusal.status == 400 else refusal from None

    def reset(self) -> None:
        """Go back to the start."""
        self._connection.lab("POST", "/reset?wait=true")
        if self._paused:
            self.clock.pause()

    def stop(self) -> None:
        """End the lab, if it was started here."""
        if self._command is not None:
            self._command.stop()

    def _storage(self, wanted: str) -> SeenStorage | None:
        """Ask the lab's API, which no fault of the node meets and the journal of requests does not list."""
        try:
            found = self._connection.lab("GET", f"/storages/{quote(wanted, safe='')}")
        except Refused as refusal:
            if refusal.status == 404 and refusal.reason.startswith(NO_STORAGE):
                return None
            raise
        return SeenStorage(found["uuid"], found["name"], found["status"])

    def _let_pass(self, left: float) -> None:
        if self.clock.paused:
            self.clock.step(min(left, STEP_SECONDS))
        else:
            time.sleep(POLL_SECONDS)  # real: the lab lives in another process


def _fault(connection: LabConnection, path: str, kind: str, parameters: Mapping[str, object]) -> str:
    """Set a fault, and return its id. Raise FaultProblem."""
    try:
        return str(connection.lab("POST", path, {"kind": kind, **parameters})["id"])
    except Refused as refusal:
        raise FaultProblem(refusal.reason) if refusal.status == 400 else refusal from None


def _heal(connection: LabConnection, path: str) -> None:
    """Heal a fault, unless that has happened."""
    try:
        connection.lab("DELETE", path)
    except Refused as refusal:
        if refusal.status != 404:
            raise


class _BrokenHost:
    def __init__(self, connection: LabConnection, kind: str, host: str, identity: str) -> None:
        self._connection = connection
        self._host = host
        self.id = identity
        self.kind = kind

    @property
    def active(self) -> bool:
        return any(one["id"] == self.id for one in self._connection.lab("GET", self._host)["faults"])

    def heal(self) -> None:
        _heal(self._connection, f"{self._host}/faults/{self.id}")


class _BrokenNode:
    def __init__(self, connection: LabConnection, kind: str, identity: str) -> None:
        self._connection = connection
        self._path = f"/node/faults/{identity}"
        self.id = identity
        self.kind = kind

    @property
    def hits(self) -> int:
        return int(self._connection.lab("GET", self._path)["hits"])

    @property
    def active(self) -> bool:
        return any(one["id"] == self.id for one in self._connection.lab("GET", "/node/faults")["faults"])

    def heal(self) -> None:
        _heal(self._connection, self._path)


class _Host:
    def __init__(self, connection: LabConnection, name: str) -> None:
        self._connection = connection
        self._path = f"/hosts/{quote(name, safe='')}"
        self.name = name

    def __repr__(self) -> str:
        return f"LabHost({self.name!r})"

    @property
    def listening(self) -> bool:
        return self.facts().listening

    def facts(self) -> HostFacts:
        return facts_of(self._connection.lab("GET", self._path))

    def break_(self, kind: str, **parameters: object) -> _BrokenHost:
        identity = _fault(self._connection, f"{self._path}/faults", kind, parameters)
        return _BrokenHost(self._connection, kind, self._path, identity)

    def heal(self) -> None:
        self._connection.lab("POST", f"{self._path}/heal", {})

    def stop(self) -> None:
        self._connection.lab("POST", f"{self._path}/stop")

    def start(self) -> None:
        self._connection.lab("POST", f"{self._path}/start")

    def resize(self, total: int | str | None = None, used: int | str | None = None) -> None:
        given = {"size": total, "used": used}
        try:
            self._connection.lab("PATCH", self._path, {name: one for name, one in given.items() if one is not None})
        except Refused as refusal:
            raise ValueError(refusal.reason) if refusal.status == 400 else refusal from None


class _Clock:
    def __init__(self, connection: LabConnection) -> None:
        self._connection = connection

    @property
    def now(self) -> float:
        return float(self._read()["time"])

    @property
    def elapsed(self) -> float:
        return float(self._read()["elapsed"])

    @property
    def paused(self) -> bool:
        return bool(self._read()["paused"])

    def pause(self) -> None:
        self._change({"paused": True})

    def resume(self) -> None:
        self._change({"paused": False})

    def set_speed(self, speed: float) -> None:
        self._change({"speed": speed})

    def step(self, duration: float | str | timedelta) -> bool:
        return bool(self._ask("POST", "/clock/step", {"seconds": seconds_of(duration)})["settled"])

    def set(self, moment: float | str | datetime) -> bool:
        return bool(self._change({"time": epoch_of(moment)})["settled"])

    @contextmanager
    def following(self, now: Callable[[], float] = time.time) -> Iterator[None]:  # real: the test's, which it may fake
        was_paused = self.paused
        self.pause()
        base, begin = self.elapsed, now()
        self._connection.followed = lambda: base + max(0.0, now() - begin)
        try:
            yield
        finally:
            self._connection.followed = None
            if not was_paused:
                self.resume()

    def headers(self) -> dict[str, str]:
        return {} if self._connection.followed is None else self._connection.headers()

    def _read(self) -> Any:
        return self._connection.lab("GET", "/clock")

    def _change(self, change: Mapping[str, object]) -> Any:
        return self._ask("PUT", "/clock", change)

    def _ask(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        try:
            return self._connection.lab(method, path, body)
        except Refused as refusal:
            raise ValueError(refusal.reason) if refusal.status == 400 else refusal from None


def connect(url: str, token: str | None, *, hosts: int | None, paused: bool) -> LabOverHttp:
    """Reset the lab that runs at a URL, and return it. Raise LabError, also if it has another number of hosts."""
    lab = LabOverHttp(url, token, paused=paused)
    lab.reset()
    there = len(lab.host_names())
    if hosts is not None and hosts != there:
        raise LabError(f"the lab at {url} has {there} hosts, and the test wants {hosts}")
    return lab
