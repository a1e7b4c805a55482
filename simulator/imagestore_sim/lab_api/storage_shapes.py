"""The shapes of probes, and of what a backup storage has been through, in `/lab/v1`."""

from __future__ import annotations

from pydantic import Field, JsonValue

from imagestore_sim.backup_storage.recent_probes import LastProbe
from imagestore_sim.lab_api.routes import Moment, Shape
from imagestore_sim.probe import Capacity, ProbeFailure, Reached, Reason


class StorageShape(Shape):
    """A backup storage at the moment."""

    uuid: str
    name: str
    type: str = Field(description="such as `ImageStoreBackupStorage`")
    hostname: str = Field(description="empty for a type without a host")
    status: str = Field(description="`Connecting`, `Connected` or `Disconnected`")
    tracked: bool = Field(description="whether it is pinged")


class ProbeShape(Shape):
    """A probe of the host of a backup storage."""

    time: float = Field(description="when it ended: seconds since the epoch, by the lab's clock")
    succeeded: bool = Field(description="whether the host gave its capacity")
    mode: str | None = Field(
        description="what the host was asked: `capacity`, `ssh`, `tcp` or `agent`; null: it failed"
    )
    reason: str | None = Field(description="why it failed, one word of a closed set; null: it did not")
    message: str | None = Field(description="why it failed, in a sentence")
    advice: str | None = Field(description="what to do about that")
    method: str | None = Field(description="how the capacity was read: `statvfs`, `df` or `stat`; null: it was not")
    total: int | None = Field(description="bytes")
    available: int | None = Field(description="bytes")
    free_inodes: int | None = Field(description="null: the file system does not count them, or it was not asked")
    read_only: bool | None = Field(description="whether the file system is; null: unknown")
    phases: dict[str, float] = Field(
        description="milliseconds of `resolve`, `tcp`, `kex`, `auth`, `channel`, `command`, as far as it came"
    )


class ProbeOfStorage(ProbeShape):
    """The latest probe of a backup storage."""

    storage_uuid: str = Field(description="the uuid of the storage")


class ProbesShape(Shape):
    """The latest probe of each backup storage that has been probed, by uuid."""

    at: float = Field(description="now: seconds since the epoch, by the lab's clock")
    probes: list[ProbeOfStorage] = Field(description="the latest of each storage")
    silent_nodes: list[str] = Field(
        [], description="uuids of management nodes that do not answer: their probes are left out"
    )


class ProbesQuery(Shape):
    """Which probes to list."""

    since: Moment = Field(0.0, description="only those from then on: seconds since the epoch")


class ProbeNow(Shape):
    """How to probe."""

    fresh: bool = Field(
        False, description="whether to log in afresh and measure the capacity, whatever `ping.mode` says"
    )


class PingShape(Shape):
    """What came of a ping."""

    status: str = Field(description="the status of the storage after it: Connected, Connecting or Disconnected")
    last_probe: ProbeShape | None = Field(description="null: none is remembered")


class StatusSpell(Shape):
    """A time for which a storage had one status."""

    status: str = Field(description="Connecting, Connected or Disconnected")
    since: float = Field(description="seconds since the epoch, here and below")
    until: float | None = Field(description="null: it has it still")
    correlation: str | None = Field(description="the uuid of the job, ping or reconnect that brought it; null: none")


class CapacityPoint(Shape):
    """A capacity that a storage had from a time on, in bytes."""

    time: float = Field(description="seconds since the epoch")
    total: int = Field(description="bytes")
    available: int = Field(description="bytes")


class FaultWindow(Shape):
    """A time for which a fault was on the host."""

    id: str = Field(description="names the fault in paths")
    kind: str = Field(description="the kind of fault")
    parameters: dict[str, JsonValue] = Field(description="those that differ from their defaults")
    since: float = Field(description="seconds since the epoch")
    until: float | None = Field(description="when it was healed; null: it is on the host still")
    heals_at: float | None = Field(description="when it heals by itself; null: it does not, or is healed")


class StopWindow(Shape):
    """A time for which the host was shut down by hand."""

    since: float = Field(description="seconds since the epoch")
    until: float | None = Field(description="null: it does not run")


class HistoryShape(Shape):
    """What a backup storage has been through. All times are seconds since the epoch, by the lab's clock."""

    storage_uuid: str = Field(description="the uuid of the storage")
    name: str = Field(description="its name")
    type: str = Field(description="its type")
    hostname: str = Field(description="empty for a type without a host")
    status: str = Field(description="its status now")
    tracked: bool = Field(description="whether it is pinged; one that is not stands as its record says")
    at: float = Field(description="now")
    since: float = Field(description="where the history begins: what was asked for, or what is known first")
    until: float = Field(description="seconds since the epoch")
    statuses: list[StatusSpell] = Field(description="one after the other, without gaps")
    capacities: list[CapacityPoint] = Field(
        description="each holds until the next; of more than `points`, the highest and lowest of each stretch of time"
    )
    probes: list[ProbeShape] = Field(description="the latest ones, and those that failed as far as they are stored")
    faults: list[FaultWindow] | None = Field(
        description="those that were on its simulated host, the latest 100 that are over and all others, by their"
        " beginning; null: it has no simulated host"
    )
    stops: list[StopWindow] = Field(description="when that host was shut down by hand")
    complete: bool = Field(description="whether everything since `since` is here: false if older statuses are left out")


class HistoryQuery(Shape):
    """Which time, and in how much detail."""

    since: Moment | None = Field(None, description="seconds since the epoch; an hour before `until` if unset")
    until: Moment | None = Field(None, description="seconds since the epoch; now if unset")
    points: int = Field(600, ge=10, le=2000, description="capacities at most")


def probe_shape(probe: LastProbe) -> ProbeShape:
    """Return a probe as the API shows it."""
    return ProbeShape(time=probe.time, **_fields_of(probe))


def probe_of_storage(uuid: str, probe: LastProbe) -> ProbeOfStorage:
    """Return the latest probe of a storage as the API shows it."""
    return ProbeOfStorage(storage_uuid=uuid, time=probe.time, **_fields_of(probe))


def failed_probe(time: float, reason: str, message: str, phases: dict[str, float]) -> ProbeShape:
    """Return a probe that failed, from its event."""
    return probe_shape(LastProbe(time, ProbeFailure(Reason(reason), message, phases)))


def _fields_of(probe: LastProbe) -> dict[str, JsonValue]:
    """Return what a shape says of an outcome."""
    outcome = probe.outcome
    fields: dict[str, JsonValue] = dict.fromkeys(
        ("mode", "reason", "message", "advice", "method", "total", "available", "free_inodes", "read_only")
    )
    fields["phases"] = {phase: round(spent, 3) for phase, spent in outcome.phases.items()}
    fields["succeeded"] = not isinstance(outcome, ProbeFailure)
    match outcome:
        case ProbeFailure():
            fields |= {"reason": outcome.reason, "message": outcome.message, "advice": outcome.advice}
        case Reached():
            fields["mode"] = outcome.mode
        case Capacity():
            fields |= {"mode": "capacity", "method": outcome.method, "read_only": outcome.read_only}
            fields |= {"total": outcome.total, "available": outcome.available}
            fields["free_inodes"] = outcome.inodes.available if outcome.inodes else None
    return fields
