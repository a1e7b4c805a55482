"""ZWatch, ZStack's monitoring: the capacity of backup storages over time (domain 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from imagestore_sim.api.services import Services
from imagestore_sim.backup_storage.capacity import CapacityReading
from imagestore_sim.backup_storage.capacity_series import CapacitySeries, SampleTimes, read_capacity_series
from imagestore_sim.globs import glob_matcher, shortest_match
from imagestore_sim.query import Inventory
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import ApiError, ErrorCode, invalid_argument
from imagestore_sim.rest.messages import Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import INT_MAX, LONG_MAX, Rule
from imagestore_sim.units import SHOWN

PACKAGE = "org.zstack.zwatch.api"
NAMESPACE = "ZStack/BackupStorage"
UUID_LABEL, TYPE_LABEL = "BackupStorageUuid", "BackupStorageType"
DRIVER = "PrometheusDatabaseDriver"
DEFAULT_SECONDS = 60
DEFAULT_POINTS = 360
SHORTEST_DEFAULT_PERIOD = 10
LABEL = re.compile(r"\s*(\w+)\s*(=~|=)(.*)", re.DOTALL)
PATTERN = re.compile(r"(?:[\w|-]|\.\*)*")
BLOCK = "zwatch"
MEMBER = re.compile(r"(?<!\w)(?P<name>\w++)=(?P<value>'[^']*'|\"[^\"]*\"|[^,\s}]+)")
"""A member of the block `zwatch{resultName='used',metricName='…',offsetAheadOfCurrentTime=60,period=10}`."""
NUMBERS_OF_A_BLOCK: Mapping[str, int] = {
    "startTime": LONG_MAX,
    "endTime": LONG_MAX,
    "offsetAheadOfCurrentTime": LONG_MAX,
    "period": INT_MAX,
}
"""The members of a block that are numbers, each with the largest one."""
ANY_TEXT = re.compile(r"(?:\.\*)+")
MOST_PATTERNS = 100
"""Alternatives with `.*` of one condition on a label."""
LONGEST_LABEL = 255
"""Characters of the longest value of a label: an alternative that requires more matches nothing."""
Point = dict[str, object]
handlers = Handlers[Services]()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a number computed from the capacity of each storage, or from the sum of all."""

    name: str
    value: Callable[[CapacityReading], float]
    of_each: bool

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of its points."""
        return (UUID_LABEL, TYPE_LABEL) if self.of_each else ()


def _percent(part: int, capacity: CapacityReading) -> float:
    return 100.0 * part / capacity.total if capacity.total else 0.0


def _used(capacity: CapacityReading) -> int:
    return capacity.total - capacity.available


NUMBERS: Mapping[str, Callable[[CapacityReading], float]] = {
    "AvailableCapacityInBytes": lambda one: float(one.available),
    "AvailableCapacityInPercent": lambda one: _percent(one.available, one),
    "UsedCapacityInBytes": lambda one: float(_used(one)),
    "UsedCapacityInPercent": lambda one: _percent(_used(one), one),
}
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for name, value in NUMBERS.items()
    for metric in (Metric(name, value, of_each=True), Metric(f"Total{name}", value, of_each=False))
}


class DataPoint(TypedDict):
    """The value of a metric at a time."""

    value: float
    """The value; bytes or percent, as the metric's name says."""
    time: int
    """Seconds since the epoch."""
    labels: dict[str, str]
    """What it is the value of."""


class MetricDescription(TypedDict):
    """A metric."""

    namespace: str
    """The namespace of the metric."""
    name: str
    """Its name."""
    description: str
    """Its name, again."""
    driver: str
    """What ZStack stores it in."""
    labelNames: list[str]
    """The labels of its points."""


class APIGetMetricDataMsg(
    SyncMessage,
    method="GET",
    path="/zwatch/metrics",
    package=PACKAGE,
    reply={"data": list[DataPoint]},
    for_everyone=True,
    deviation="capacities of backup storages only, recorded at each change; functions and valueConditions are not "
    "emulated; a pattern of a label may have only literal text, alternatives and `.*`",
):
    """Get a metric over time. Times are epoch seconds, `period` is in seconds.

    `offsetAheadOfCurrentTime` selects that many seconds up to now.
    """

    namespace: str
    """`ZStack/BackupStorage`."""
    metricName: str
    """The name of the metric, such as `AvailableCapacityInBytes`."""
    startTime: Annotated[int | None, Rule(long=True, number_range=(0, LONG_MAX))] = None
    """Seconds since the epoch; a minute before the end by default."""
    endTime: Annotated[int | None, Rule(long=True, number_range=(0, LONG_MAX))] = None
    """Seconds since the epoch; now by default."""
    offsetAheadOfCurrentTime: Annotated[int | None, Rule(long=True, number_range=(0, LONG_MAX))] = None
    """Seconds up to now, in place of start and end."""
    period: Annotated[int | None, Rule(number_range=(0, INT_MAX))] = None
    """Seconds between points; by default so that there are 360 at most."""
    labels: list[str] | None = None
    """Conditions, such as `BackupStorageUuid=b1…` or `BackupStorageType=~Image.*`."""
    valueConditions: list[str] | None = None
    """Not emulated."""
    functions: list[str] | None = None
    """Not emulated."""


@handlers.handles
async def get_metric_data(services: Services, message: APIGetMetricDataMsg, call: Call) -> Reply:
    """Return the points, storage by storage: one for each period in which the capacity is known."""
    data = await _data(services, message)
    return Reply({"data": data}, list_schema("data", ["org.zstack.zwatch.datatype.Datapoint"] * len(data)))


async def return_metrics(
    services: Services, target: Inventory, uuids: Sequence[str], blocks: Sequence[tuple[str, str]]
) -> dict[str, object]:
    """Return the points that each `zwatch{…}` block of ZQL asks about backup storages, by the block's `resultName`.

    Other resources have no points, and other blocks no result. Raise ApiError for a metric that is not emulated.
    """
    results: dict[str, object] = {}
    for block in (text for name, text in blocks if name == BLOCK):
        asked = {found["name"]: found["value"].strip("'\"") for found in MEMBER.finditer(block)}
        metric = asked.get("metricName", "")
        points: list[Point] = []
        if uuids and target.entity.endswith("BackupStorageVO"):
            known = METRICS.get(metric)
            of_these = [f"{UUID_LABEL}=~{'|'.join(uuids)}"] if known is None or known.of_each else []
            numbers = dict(_numbers_of(asked))
            lists = {name: [asked[name]] for name in ("functions", "valueConditions") if name in asked}
            lists["labels"] = [*of_these, *([asked["labels"]] if "labels" in asked else [])]
            values: dict[str, Any] = {**numbers, **lists}
            message = APIGetMetricDataMsg(namespace=NAMESPACE, metricName=metric, **values)
            points = await _data(services, message)
        results[asked.get("resultName", metric)] = points
    return results


def _numbers_of(asked: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield the numbers among the members of a block. Raise ApiError SYS.1007 for one that is too large."""
    for name, most in NUMBERS_OF_A_BLOCK.items():
        text = asked.get(name, "")
        if not (text.isascii() and text.isdecimal()):
            continue
        if len(text) > len(str(most)) or int(text) > most:
            raise invalid_argument(f"{name}[{text[:SHOWN]}] of {BLOCK} is more than {most}")
        yield name, int(text)


async def _data(services: Services, message: APIGetMetricDataMsg) -> list[Point]:
    metric = _metric(message.namespace, message.metricName)
    for name in ("functions", "valueConditions"):
        if getattr(message, name):
            details = f"not emulated: {name} of APIGetMetricDataMsg, see docs/fidelity.md"
            raise ApiError(ErrorCode("SYS.1014", details))
    conditions = [_condition(metric, label) for label in message.labels or ()]
    times = _times(message, int(services.clock.time()))

    def matches(uuid: str, kind: str) -> bool:
        values = {UUID_LABEL: uuid, TYPE_LABEL: kind}
        return all(holds(values) for holds in conditions)

    series = await read_capacity_series(services.database, times, matches)
    return list(_of_each(metric, series, times) if metric.of_each else _of_all(metric, series, times))


def _metric(namespace: str, name: str) -> Metric:
    """Return the metric of that name. Raise ApiError SYS.1007 for one that is not emulated."""
    if namespace != NAMESPACE:
        raise invalid_argument(f"namespace[{namespace}] has no metrics here, only {NAMESPACE} has")
    metric = METRICS.get(name)
    if metric is None:
        known = ", ".join(METRICS)
        raise invalid_argument(f"metric[{name}] is not measured in namespace[{NAMESPACE}], which has {known}")
    return metric


def _times(message: APIGetMetricDataMsg, now: int) -> SampleTimes:
    """Return the times of the points: by default the last minute, and never the future."""
    end = now if message.endTime is None else message.endTime
    start = max(0, end - DEFAULT_SECONDS) if message.startTime is None else message.startTime
    if message.offsetAheadOfCurrentTime is not None:
        start, end = max(0, now - message.offsetAheadOfCurrentTime), now
    elif message.startTime is not None and message.endTime is not None and start > end:
        raise invalid_argument(f"startTime[{start}] is later than endTime[{end}]; both are seconds since the epoch")
    end = min(end, now)
    period = message.period or max(SHORTEST_DEFAULT_PERIOD, -(-(end - start) // DEFAULT_POINTS))
    return SampleTimes(start, end, period)


def _condition(metric: Metric, text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return the condition on labels that `NAME=VALUE` or `NAME=~PATTERN` expresses. Raise ApiError SYS.1007."""
    found = LABEL.fullmatch(text or "")
    if found is None:
        raise invalid_argument(f"label[{text}] must be NAME=VALUE, or NAME=~PATTERN")
    name, operator, value = found[1], found[2], found[3].strip()
    if name not in metric.labels:
        has = f"has {' and '.join(metric.labels)}" if metric.labels else "has none"
        raise invalid_argument(f"metric[{metric.name}] has no label[{name}], it {has}")
    if operator == "=":
        return lambda values: values[name] == value
    if not PATTERN.fullmatch(value):
        raise invalid_argument(f"label[{text}]: a pattern may have letters, digits, `_`, `-`, `.*` and `|` here")
    matches = _one_of(text, value.split("|"))
    return lambda values: matches(values[name])


def _one_of(label: str, alternatives: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a text is one of the alternatives. ZQL asks for each of its storages by name.

    Raise ApiError SYS.1007 for too many with `.*`: each of them is tried for each storage.
    """
    plain = frozenset(one for one in alternatives if ".*" not in one)
    globs = {ANY_TEXT.sub("*", one) for one in alternatives if ".*" in one}
    if len(globs) > MOST_PATTERNS:
        many = f"{len(globs)} alternatives with `.*`, and {MOST_PATTERNS} at most are tried"
        raise invalid_argument(f"label[{label[:SHOWN]}] has {many}")
    patterns = [glob_matcher(one) for one in globs if shortest_match(one) <= LONGEST_LABEL]
    return lambda text: text in plain or any(matches(text) for matches in patterns)


def _of_each(metric: Metric, series: Iterable[CapacitySeries], times: SampleTimes) -> Iterator[Point]:
    for one_series in series:
        labels = {UUID_LABEL: one_series.uuid, TYPE_LABEL: one_series.type}
        yield from _points(metric, one_series.values, times, labels)


def _of_all(metric: Metric, series: Sequence[CapacitySeries], times: SampleTimes) -> Iterator[Point]:
    sums = [_sum(together) for together in zip(*(one_series.values for one_series in series), strict=True)]
    return _points(metric, sums, times, {})


def _sum(capacities: Iterable[CapacityReading | None]) -> CapacityReading | None:
    known = [one for one in capacities if one is not None]
    return CapacityReading(sum(one.total for one in known), sum(one.available for one in known)) if known else None


def _points(
    metric: Metric, values: Iterable[CapacityReading | None], times: SampleTimes, labels: Mapping[str, str]
) -> Iterator[Point]:
    for time, capacity in zip(times, values, strict=False):
        if capacity is not None:
            yield {"value": metric.value(capacity), "time": time, "labels": labels}


class APIGetAllMetricMetadataMsg(
    SyncMessage,
    method="GET",
    path="/zwatch/metrics/meta-data",
    package=PACKAGE,
    reply={"metrics": list[MetricDescription]},
    for_everyone=True,
    deviation="lists only the metrics that are emulated",
):
    """List the metrics."""

    namespace: str | None = None
    """The namespace of the metrics; every one by default."""
    name: str | None = None
    """The name of a metric; all by default."""


@handlers.handles
async def get_all_metric_metadata(services: Services, message: APIGetAllMetricMetadataMsg, call: Call) -> Reply:
    """Return the names and labels of the metrics."""
    metrics = [
        {
            "namespace": NAMESPACE,
            "name": metric.name,
            "description": metric.name,
            "driver": DRIVER,
            "labelNames": list(metric.labels),
        }
        for metric in METRICS.values()
        if message.namespace in (None, NAMESPACE) and message.name in (None, metric.name)
    ]
    return Reply({"metrics": metrics}, list_schema("metrics", [f"{PACKAGE}.MetricStruct"] * len(metrics)))
