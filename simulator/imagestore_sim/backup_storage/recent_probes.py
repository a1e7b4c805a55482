"""The latest probes of each storage, in memory: thousands of storages with sixteen probes each need little of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from typing_extensions import override

from imagestore_sim.probe import Capacity, ProbeFailure, Reached

Outcome = Capacity | Reached | ProbeFailure
KEPT_PROBES = 16
"""Probes of a storage that are remembered, whatever came of them; those that failed are events as well."""


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


class RecentProbes(Mapping[str, LastProbe]):
    """The latest probe of each storage, by its uuid, and `of` those before it. They are in memory alone."""

    def __init__(self) -> None:
        self._by_storage: dict[str, deque[LastProbe]] = {}
        self._answered: dict[str, LastProbe] = {}
        self._measured: dict[str, Capacity] = {}

    @override
    def __getitem__(self, uuid: str) -> LastProbe:
        return self._by_storage[uuid][-1]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._by_storage)

    @override
    def __len__(self) -> int:
        return len(self._by_storage)

    def add(self, uuid: str, probe: LastProbe) -> None:
        """Remember a probe of a storage."""
        outcome = _compact(probe.outcome, self._measured.get(uuid))
        probe = replace(probe, outcome=outcome)
        kept = self._by_storage.get(uuid)
        if kept is None:
            kept = self._by_storage[uuid] = deque(maxlen=KEPT_PROBES)
        kept.append(probe)
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
        return list(self._by_storage.get(uuid, ()))

    def forget(self, uuid: str) -> None:
        """Forget those of a storage."""
        for kept in (self._by_storage, self._answered, self._measured):
            kept.pop(uuid, None)

    def clear(self) -> None:
        """Forget all."""
        for kept in (self._by_storage, self._answered, self._measured):
            kept.clear()


def _compact(outcome: Outcome, before: Capacity | None) -> Outcome:
    """Return an equal outcome that shares the numbers of the capacity before it, as far as they are the same."""
    if isinstance(outcome, ProbeFailure):
        return outcome
    times = Times(outcome.phases)
    if isinstance(outcome, Reached) or before is None:
        return replace(outcome, phases=times)
    return replace(
        outcome,
        phases=times,
        total=before.total if before.total == outcome.total else outcome.total,
        available=before.available if before.available == outcome.available else outcome.available,
        inodes=before.inodes if before.inodes == outcome.inodes else outcome.inodes,
    )
