"""The words of the kit, for a lab in this process (`lab_in_process`) and for one elsewhere (`lab_over_http`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from imagestore_sim.lab_api.request_shapes import NearMissShape, RequestShape

ACCOUNT = "admin"
PASSWORD = "password"  # noqa: S105 - ZStack's own default


class LabError(Exception):
    """A lab elsewhere could not be started or reached, or has ended, or the lab refused a call; the text says why."""


@dataclass(frozen=True, slots=True)
class SeenStorage:
    """A backup storage as the lab has it."""

    uuid: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is at the moment. Sizes are in bytes, None while the disk does not answer."""

    name: str
    listening: bool
    size: int | None
    used: int | None
    faults: tuple[str, ...]
    """Their kinds."""


def facts_of(host: Mapping[str, Any]) -> HostFacts:
    """Return the facts of a host as the lab's API shows it."""
    kinds = tuple(one["kind"] for one in host["faults"])
    return HostFacts(host["name"], host["listening"], host["size"], host["used"], kinds)


class BrokenHost(Protocol):
    """A fault on a host."""

    @property
    def id(self) -> str:
        """What the lab calls it, as a matcher of requests names it."""

    @property
    def kind(self) -> str:
        """Its kind, as in `docs/faults.md`."""

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""

    def heal(self) -> None:
        """Undo it, unless that has happened."""


class BrokenNode(Protocol):
    """A fault of the management node."""

    @property
    def id(self) -> str:
        """What the lab calls it, as a matcher of requests names it."""

    @property
    def kind(self) -> str:
        """Its kind, as in `docs/node-faults.md`."""

    @property
    def hits(self) -> int:
        """How many requests have met it, also after it was healed."""

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""

    def heal(self) -> None:
        """Undo it, unless that has happened."""


class LabHost(Protocol):
    """A simulated host of the lab, by its name."""

    @property
    def name(self) -> str:
        """Its name, such as `imagestore-1`."""

    @property
    def listening(self) -> bool:
        """Whether it runs."""

    def facts(self) -> HostFacts:
        """Return what it is at the moment: its disk, its faults."""

    def break_(self, kind: str, **parameters: object) -> BrokenHost:
        """Put a fault of `docs/faults.md` on the host, such as `break_("latency", delay="2s")`. Raise FaultProblem."""

    def heal(self) -> None:
        """Heal the host of every fault."""

    def stop(self) -> None:
        """Shut the host down: nothing answers at its address."""

    def start(self) -> None:
        """Let the host listen at its address again."""

    def resize(self, total: int | str | None = None, used: int | str | None = None) -> None:
        """Change the disk, such as `resize("1T", used="80%")`, until the lab is reset. Raise ValueError.

        What is left out stays. It is no fault: `heal` does not undo it, as it does for the fault `resize`.
        """


class LabClock(Protocol):
    """The lab's clock. Its time never goes back."""

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""

    @property
    def elapsed(self) -> float:
        """Seconds since the lab began, as in the header X-Lab-Time."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""

    def pause(self) -> None:
        """Let it stand still."""

    def resume(self) -> None:
        """Let it go on."""

    def set_speed(self, speed: float) -> None:
        """Let `speed` seconds pass in one of the machine's. Raise ValueError."""

    def step(self, duration: float | str | timedelta) -> bool:
        """Let a time pass at once, such as 90, "8h" or a timedelta, with all that falls due on the way.

        Return whether nothing was under way any more at its end. Raise ValueError.
        """

    def set(self, moment: float | str | datetime) -> bool:
        """Catch up with a later time: epoch seconds, ISO 8601 with an offset, or a datetime that has a time zone.

        Return as `step` does. Raise ValueError for a time that is past.
        """

    def following(self, now: Callable[[], float] = ...) -> AbstractContextManager[None]:
        """Follow a clock that the test moves during the block: by default the machine's, which it may fake.

        The lab's clock stands still but for that. Before each call of the lab it catches up with the seconds by which
        `now` has moved since the block began. A lab in this process does so before each request of any client, too; to
        one elsewhere, the client sends `headers()`.
        """

    def headers(self) -> dict[str, str]:
        """Return the headers by which a request of a client carries the time that is followed; else none."""


class Requests(Protocol):
    """The requests that clients have made (`docs/requests.md`). A matcher is a mapping, keywords, or both."""

    @property
    def last(self) -> int:
        """The number of the latest request, for `since`."""

    def clear(self) -> None:
        """Forget all requests."""

    def find(self, matcher: Mapping[str, object] = ..., **fields: Any) -> list[RequestShape]:
        """Return the requests that match, the oldest first. Raise ValueError for a matcher that is not valid."""

    def count(self, matcher: Mapping[str, object] = ..., **fields: Any) -> int:
        """Return how many requests match. Raise ValueError."""

    def near_misses(self, matcher: Mapping[str, object] = ..., *, most: int = 3, **fields: Any) -> list[NearMissShape]:
        """Return the requests that come closest without matching, the closest first. Raise ValueError."""

    def wait(
        self, matcher: Mapping[str, object] = ..., *, count: int = 1, within: float | str = 5.0, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match as soon as there are `count`. Raise TimeoutError and ValueError."""

    def assert_received(
        self, matcher: Mapping[str, object] = ..., *, times: int | None = None, **fields: Any
    ) -> list[RequestShape]:
        """Return the requests that match: at least one, or exactly `times`. Raise AssertionError and ValueError."""

    def assert_not_received(self, matcher: Mapping[str, object] = ..., **fields: Any) -> None:
        """Raise AssertionError if a request matches, or if that cannot be known. Raise ValueError."""

    def assert_sequence(
        self,
        matchers: Sequence[Mapping[str, object]],
        *,
        strict: bool = False,
        among: Mapping[str, object] = ...,
        **fields: Any,
    ) -> list[RequestShape]:
        """Return the requests that match the matchers, one each, in this order. Raise AssertionError and ValueError."""


class RunningLab(Protocol):
    """A lab that runs: what `Lab` is made of."""

    @property
    def url(self) -> str:
        """The URL of the management node."""

    @property
    def clock(self) -> LabClock:
        """The lab's clock."""

    @property
    def requests(self) -> Requests:
        """The requests that clients have made."""

    def host(self, name: str) -> LabHost:
        """Return a host, whether there is one or not."""

    def host_names(self) -> list[str]:
        """Return the names of the hosts."""

    def log_in(self) -> str:
        """Log in as the administrator, and return the session's uuid."""

    def break_node(self, kind: str, parameters: Mapping[str, object]) -> BrokenNode:
        """Let the management node fail. Raise FaultProblem."""

    def heal(self) -> None:
        """Heal the management node and all hosts of every fault."""

    def wait_for_status(self, storage: str, status: str, within: float) -> SeenStorage:
        """Return the storage of that name or uuid as soon as it has the status. Raise TimeoutError."""

    def snapshot(self) -> str:
        """Return all records as a bootstrap file."""

    def load(self, snapshot: str) -> None:
        """Replace all records by those of a snapshot. Raise BootstrapError."""

    def reset(self) -> None:
        """Go back to the start."""

    def stop(self) -> None:
        """End the lab, if it was started here."""
