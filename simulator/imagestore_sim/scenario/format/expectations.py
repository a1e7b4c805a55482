"""The expectations of a scenario: about storages, images, the answer to a query, events, or metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from imagestore_sim.backup_storage import image_events
from imagestore_sim.backup_storage.events import (
    ADDED,
    CAPACITY_CHANGED,
    DELETED,
    DISCONNECTED,
    PROBE_FAILED,
    STATUS_CHANGED,
)
from imagestore_sim.scenario.format.matchers import (
    AnyMatcher,
    CapacityMatcher,
    CountMatcher,
    Matcher,
    NumberMatcher,
    SizeMatcher,
    TextMatcher,
)
from imagestore_sim.scenario.format.schema import Names, ScenarioModel, only_key, reject
from imagestore_sim.units import Seconds, duration_text

EVENTS: Mapping[str, str] = {
    "status_changed": STATUS_CHANGED,
    "disconnected": DISCONNECTED,
    "capacity_changed": CAPACITY_CHANGED,
    "probe_failed": PROBE_FAILED,
    "added": ADDED,
    "deleted": DELETED,
    "image_added": image_events.ADDED,
    "image_status_changed": image_events.STATUS_CHANGED,
    "image_download_failed": image_events.DOWNLOAD_FAILED,
    "image_removed": image_events.REMOVED,
    "image_bits_removed": image_events.BITS_REMOVED,
}
"""The paths of events, by their names in a scenario."""
EventName = Literal[
    "status_changed",
    "disconnected",
    "capacity_changed",
    "probe_failed",
    "added",
    "deleted",
    "image_added",
    "image_status_changed",
    "image_download_failed",
    "image_removed",
    "image_bits_removed",
]
OF_IMAGES = tuple(name for name, path in EVENTS.items() if path.startswith("/image/"))
"""The events that are about images."""
SUBJECTS = ("storage", "query", "event", "metric", "image")
ASKED = ("query", "metric", "image")
"""The subjects that are known only when the node is asked; the others are observed."""


class Condition(ScenarioModel):
    """A statement that is true or false at any moment, about storages, images, a query's answer, events or a metric."""

    # The key of each field, but for those that stand in ZStack's own spelling.
    of_storages: ClassVar = (
        "exists", "status", "state", "totalCapacity", "availableCapacity", "name", "description", "url", "type",
        "hostname", "username", "sshPort", "owner",
    )  # fmt: skip
    of_queries: ClassVar = ("count", "each", "answer", "node")
    of_metrics: ClassVar = ("value", "labels", "node")
    of_events: ClassVar = ("storage", "image", "count", "reason", "oldStatus", "newStatus")
    of_images: ClassVar = ("storage", "exists", "status", "state", "size", "actualSize", "copies", "onDisk")

    storage: Names | None = Field(None, description="names of storages, or patterns; what is said is said of each")
    query: str | None = Field(None, description="a GET of the API, such as /backup-storage?q=status=Connected")
    event: EventName | None = Field(None, description="a kind of event; that there is one, or how many")
    image: Names | None = Field(
        None, description="names of images, or patterns; with `storage`, its copies there are counted"
    )
    metric: str | None = Field(None, description="a sample of /metrics, such as imagestore_sim_probe_failures_total")
    value: NumberMatcher | None = Field(None, description="of the metric: the sum of its samples that have the labels")
    labels: dict[str, AnyMatcher] | None = Field(None, description="which samples of the metric")
    exists: bool | None = Field(None, description="whether the storage or the image has a record")
    status: TextMatcher | None = Field(
        None, description="Connecting, Connected or Disconnected; of an image Downloading, Ready or Deleted"
    )
    state: TextMatcher | None = Field(None, description="Enabled or Disabled")
    totalCapacity: CapacityMatcher | None = None
    availableCapacity: CapacityMatcher | None = None
    name: TextMatcher | None = None
    description: TextMatcher | None = None
    url: TextMatcher | None = None
    type: TextMatcher | None = None
    hostname: TextMatcher | None = None
    username: TextMatcher | None = None
    sshPort: CountMatcher | None = None
    owner: TextMatcher | None = Field(
        None, description="which of several nodes pings the storage, or `none`; in mode faithful there may be two"
    )
    size: SizeMatcher | None = Field(None, description="bytes of the image's virtual disk")
    actualSize: SizeMatcher | None = Field(None, description="bytes of the image's file, as its record says")
    copies: CountMatcher | None = Field(None, description="on how many storages the image has a record")
    onDisk: SizeMatcher | None = Field(None, description="bytes of the image's files on the disks of the hosts")
    count: CountMatcher | None = Field(None, description="how many inventories, or events")
    each: dict[str, AnyMatcher] | None = Field(None, description="fields that every inventory of the answer has")
    answer: dict[str, AnyMatcher] | None = Field(None, description="fields of the answer itself")
    node: str | None = Field(None, description="which of several nodes is asked; if unset, they take turns")
    reason: TextMatcher | None = Field(None, description="why a probe failed: refused, hung...")
    oldStatus: TextMatcher | None = None
    newStatus: TextMatcher | None = None

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        allowed = {
            "storage": self.of_storages,
            "query": self.of_queries,
            "event": self.of_events,
            "metric": self.of_metrics,
            "image": self.of_images,
        }[self.subject]
        given = [one for one in self.model_fields_set if one in _CHECKS and one != self.subject]
        for one in given:
            if getattr(self, one) is None:  # it would check nothing
                reject((one,), "expected a value, but got null; write 'null' in quotes for a field without a value")
        if self.subject == "metric" and self.value is None:
            raise ValueError("expected a value of the metric")
        for one in given:
            if one not in allowed:
                raise ValueError(f"{one} is not a key for a {self.subject}; expected {', '.join(allowed)}")
        if not set(given) - {"storage", "node"} and self.subject != "event":
            raise ValueError(f"expected one of these keys for the {self.subject}: {', '.join(allowed)}")
        return self

    @property
    def subject(self) -> str:
        """The key that says what it is about: `storage`, `query`, `event`, `metric` or `image`."""
        if self.event is not None:
            return "event"
        if self.image is not None and only_key(self, SUBJECTS[1:]):
            return "image"
        return only_key(self, SUBJECTS)

    def storage_matchers(self) -> Iterator[tuple[str, Matcher]]:
        """Yield the fields of a storage that are expected, with their matchers."""
        for name in self.of_storages[1:]:
            if (matcher := getattr(self, name)) is not None:
                yield name, matcher

    def image_matchers(self) -> Iterator[tuple[str, Matcher]]:
        """Yield what is expected of an image, with the matchers."""
        for name in self.of_images[2:]:
            if (matcher := getattr(self, name)) is not None:
                yield name, matcher

    def __str__(self) -> str:
        shown: list[str] = []
        if self.exists is not None:
            shown.append("there" if self.exists else "not there")
        for name in (
            "status",
            *sorted(_CHECKS - {"status", "exists", "storage", "image", "each", "answer", "labels", "node"}),
        ):
            if (matcher := getattr(self, name)) is not None:
                shown.append(str(matcher) if name == "status" else f"{name} {matcher}")
        for each in ("each", "answer", "labels"):
            shown += [f"{each} {name} {matcher}" for name, matcher in (getattr(self, each) or {}).items()]
        match self.subject:
            case "storage":
                subject = ", ".join(self.storage or ())
            case "query":
                subject = f"GET {self.query}"
            case "metric":
                subject = str(self.metric)
            case "image":
                subject = f"image {', '.join(self.image or ())}" + (
                    f" on {', '.join(self.storage)}" if self.storage else ""
                )
            case _:
                about = [*(self.image or ()), *(self.storage or ())]
                subject = f"event {self.event}" + (f" of {', '.join(about)}" if about else "")
        if self.node is not None:
            subject += f" at {self.node}"
        return f"{subject}: {', '.join(shown)}" if shown else subject


_CHECKS = {*Condition.of_storages, *Condition.of_queries, *Condition.of_events, *Condition.of_metrics,
           *Condition.of_images}  # fmt: skip


class Eventually(Condition):
    """A condition that is met at some moment within a time."""

    within: Seconds = Field(description="how long that may take")

    def __str__(self) -> str:
        return f"{super().__str__()}, within {duration_text(self.within)}"


class Stays(Condition):
    """A condition that is met all the time, for a time."""

    lasts: Seconds = Field(alias="for", description="for how long")

    def __str__(self) -> str:
        return f"{super().__str__()}, for {duration_text(self.lasts)}"


class Never(Condition):
    """A condition that is not met at any moment, during a time."""

    during: Seconds | None = Field(None, description="for how long; to the end of the scenario if unset")

    def __str__(self) -> str:
        return super().__str__() + ("" if self.during is None else f", during {duration_text(self.during)}")


class Unchanged(ScenarioModel):
    """Fields of storages that keep their values for as long as the storages have a status."""

    storage: Names = ("*",)
    fields: tuple[Literal["totalCapacity", "availableCapacity"], ...] = ("totalCapacity", "availableCapacity")
    while_: TextMatcher = Field(alias="while", description="the status, such as Disconnected")

    def __str__(self) -> str:
        return f"{', '.join(self.storage)}: {' and '.join(self.fields)}, while {self.while_}"


class Invariant(ScenarioModel):
    """What holds from the first moment of a scenario to the last."""

    never: Never | None = None
    always: Condition | None = None
    unchanged: Unchanged | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        _ = self.kind
        if self.never is not None and self.never.during is not None:
            raise ValueError("an invariant holds to the end: expected no `during`")
        return self

    @property
    def kind(self) -> str:
        """The key that is given: `never`, `always` or `unchanged`."""
        return only_key(self, ("never", "always", "unchanged"))

    def __str__(self) -> str:
        return f"{self.kind} {getattr(self, self.kind)}"
