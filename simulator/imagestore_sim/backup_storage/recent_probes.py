"""The latest probes of each storage, in memory: thousands of storages with sixteen probes each need little of it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from typing_extensions import override

from imagestore_sim.probe import Capacity, ProbeFailure, Reached

Outcome = Capacity | Reached | ProbeFailure
KEPT_PROBES = 16
"""Probes of a storage that are remembered, whatever came of them; those that failed are events as well."""
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LastProbe:
    """The outcome of a probe of a storage, its time (epoch seconds), and the job, ping or reconnect that it was for."""

    time: float
    outcome: Outcome
    correlation: str | None = None


class Times(Mapping[str, float]):
    """The milliseconds of the phases of a probe, in half the memory of a dictionary."""

    __slots__ = ("_milliseconds", "_names")
    _kept_names: dict[tuple[str, ...], tuple[str, ...]] = {}  # noqa: RUF012 - there are few combinations of phases

    def __init__(self, phases: Mapping[str, float]) -> None:
        names = tuple(phases)
        self._names = Times._kept_names.setdefault(names, names)
        self._milliseconds = tuple(phases.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the phases, in their order."""
        return self._names

    @override
    def values(self) -> tuple[float, ...]:  # type: ignore[override]  # faster than Mapping's view
        """Return the milliseconds, in the order of the phases."""
        return self._milliseconds

    @override
    def __getitem__(self, name: str) -> float:
        if name not in self._names:
            raise KeyError(name)
        return self._milliseconds[self._names.index(name)]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return len(self._names)


class _Alike(NamedTuple):
    """What probes that follow each other mostly have alike: all but their times, and which ids they have."""

    kind: Callable[..., Capacity | Reached]
    found: tuple[object, ...]
    """What each of them found, as `kind` takes it before the phases."""
    phases: tuple[str, ...]
    has_id: bool

    @classmethod
    def of(cls, outcome: Capacity | Reached, has_id: bool) -> _Alike:
        return cls(type(outcome), _found(outcome), tuple(outcome.phases), has_id)


def _found(outcome: Capacity | Reached) -> tuple[object, ...]:
    """Return what a probe has found, without its phases, as its class takes it."""
    if isinstance(outcome, Reached):
        return (outcome.mode,)
    return outcome.total, outcome.available, outcome.inodes, outcome.read_only, outcome.method


def _packed_id(probe: LastProbe) -> bytes | None:
    """Return the bytes of what a probe ran for, none without it; None if it is no uuid."""
    if probe.correlation is None:
        return b""
    return bytes.fromhex(probe.correlation) if _ID.fullmatch(probe.correlation) else None


class _Run:
    """Probes that follow each other and are alike, in 24 bytes each and 8 for each phase."""

    __slots__ = ("_alike", "_packed")

    def __init__(self, alike: _Alike, packed: bytes) -> None:
        self._alike = alike
        self._packed = packed

    @classmethod
    def of(cls, probe: LastProbe) -> _Run | None:
        """Return a run of one probe; None for one that is kept as it is."""
        outcome, given = probe.outcome, _packed_id(probe)
        if isinstance(outcome, ProbeFailure) or given is None:
            return None
        alike = _Alike.of(outcome, bool(given))
        return cls(alike, _record(len(alike.phases)).pack(probe.time, given, *outcome.phases.values()))

    def take(self, probe: LastProbe) -> bool:
        """Take a probe to its end, if it is like the others; return whether it is."""
        outcome, given = probe.outcome, _packed_id(probe)
        kind, found, names, has_id = self._alike
        if isinstance(outcome, ProbeFailure) or type(outcome) is not kind or given is None or bool(given) is not has_id:
            return False
        phases = outcome.phases
        if (names != phases.names if isinstance(phases, Times) else names != tuple(phases)) or found != _found(outcome):
            return False
        self._packed += _record(len(names)).pack(probe.time, given, *phases.values())
        return True

    def shorten(self) -> bool:
        """Forget the first probe; return whether others are left."""
        self._packed = self._packed[_record(len(self._alike.phases)).size :]
        return bool(self._packed)

    def __iter__(self) -> Iterator[LastProbe]:
        kind, found, names, has_id = self._alike
        for time, given, *milliseconds in _record(len(names)).iter_unpack(self._packed):
            phases = Times(dict(zip(names, milliseconds, strict=True)))
            yield LastProbe(time, kind(*found, phases), given.hex() if has_id else None)


@lru_cache(maxsize=16)
def _record(phases: int) -> struct.Struct:
    """Return how a probe of that many phases is packed: its time, its id, and the milliseconds of the phases."""
    return struct.Struct(f"=d16s{phases}d")


class _Earlier:
    """The probes of a storage before the latest one: KEPT_PROBES - 1 at most."""

    __slots__ = ("_count", "_runs")

    def __init__(self) -> None:
        self._runs: list[_Run | LastProbe] = []
        self._count = 0

    def add(self, probe: LastProbe) -> None:
        """Remember a probe, in place of the oldest one if there are as many as are kept."""
        last = self._runs[-1] if self._runs else None
        if not isinstance(last, _Run) or not last.take(probe):
            self._runs.append(_Run.of(probe) or probe)
        self._count += 1
        if self._count == KEPT_PROBES:
            self._count -= 1
            first = self._runs[0]
            if not isinstance(first, _Run) or not first.shorten():
                del self._runs[0]

    def __iter__(self) -> Iterator[LastProbe]:
        for one in self._runs:
            if isinstance(one, _Run):
                yield from one
            else:
                yield one


class RecentProbes(Mapping[str, LastProbe]):
    """The latest probe of each storage, by its uuid, and `of` those before it. They are in memory alone."""

    def __init__(self) -> None:
        self._latest: dict[str, LastProbe] = {}
        self._earlier: dict[str, _Earlier] = {}
        self._answered: dict[str, LastProbe] = {}
        self._measured: dict[str, Capacity] = {}

    @override
    def __getitem__(self, uuid: str) -> LastProbe:
        return self._latest[uuid]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._latest)

    @override
    def __len__(self) -> int:
        return len(self._latest)

    def add(self, uuid: str, probe: LastProbe) -> None:
        """Remember a probe of a storage."""
        outcome = _compact(probe.outcome, self._measured.get(uuid))
        probe = LastProbe(probe.time, outcome, probe.correlation)
        before = self._latest.get(uuid)
        if before is not None:
            self._earlier.setdefault(uuid, _Earlier()).add(before)
        self._latest[uuid] = probe
        if not isinstance(outcome, ProbeFailure):
            self._answered[uuid] = probe
        if isinstance(outcome, Capacity):
            self._measured[uuid] = outcome

    def answered(self, uuid: str) -> LastProbe | None:
        """Return the latest probe that the host of a storage answered, None if none was."""
        return self._answered.get(uuid)

    def measured(self, uuid: str) -> Capacity | None:
        """Return the latest capacity that a probe of a storage has found, None if none has."""
        return self._measured.get(uuid)

    def of(self, uuid: str) -> list[LastProbe]:
        """Return the latest KEPT_PROBES of a storage, the oldest first."""
        latest = self._latest.get(uuid)
        return [] if latest is None else [*self._earlier.get(uuid, ()), latest]

    def forget(self, uuid: str) -> None:
        """Forget those of a storage."""
        for kept in self._kept:
            kept.pop(uuid, None)

    def clear(self) -> None:
        """Forget all."""
        for kept in self._kept:
            kept.clear()

    @property
    def _kept(self) -> Iterator[dict[str, Any]]:
        yield from (self._latest, self._earlier, self._answered, self._measured)


def _compact(outcome: Outcome, before: Capacity | None) -> Outcome:
    """Return an equal outcome that shares the numbers of the capacity before it, as far as they are the same."""
    if isinstance(outcome, ProbeFailure):
        return outcome
    times = Times(outcome.phases)
    if isinstance(outcome, Reached):
        return Reached(outcome.mode, times)
    if before is None:
        return replace(outcome, phases=times)
    return Capacity(
        before.total if before.total == outcome.total else outcome.total,
        before.available if before.available == outcome.available else outcome.available,
        before.inodes if before.inodes == outcome.inodes else outcome.inodes,
        outcome.read_only,
        outcome.method,
        times,
    )
