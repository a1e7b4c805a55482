"""What is expected in a scenario: of a storage's fields, of the answer to a query, of events, of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from imagestore_sim.backup_storage.events import (
    ADDED,
    CAPACITY_CHANGED,
    DELETED,
    DISCONNECTED,
    PROBE_FAILED,
    STATUS_CHANGED,
)
from imagestore_sim.scenario.format.matchers import AnyMatcher, Matcher, SizeWanted, TextWanted
from imagestore_sim.scenario.format.schema import Names, ScenarioModel, complain, one_of
from imagestore_sim.units import Seconds, duration_text

EVENTS: Mapping[str, str] = {
    "status_changed": STATUS_CHANGED,
    "disconnected": DISCONNECTED,
    "capacity_changed": CAPACITY_CHANGED,
    "probe_failed": PROBE_FAILED,
    "added": ADDED,
    "deleted": DELETED,
}
"""What events are called in a scenario, and their paths."""
SUBJECTS = ("storage", "query", "event", "metric")
ASKED = ("query", "metric")
"""Those that nothing is known of until the node is asked."""


class Condition(ScenarioModel):
    """Something that is so or not, at any moment: of storages, of a query's answer, or of the events so far."""

    # The key of each field, but for those that stand in ZStack's own spelling.
    of_storages: ClassVar = (
        "exists", "status", "state", "totalCapacity", "availableCapacity", "name", "description", "url", "type",
        "hostname", "username", "sshPort",
    )  # fmt: skip
    of_queries: ClassVar = ("count", "each", "answer")
    of_metrics: ClassVar = ("value", "labels")
    of_events: ClassVar = ("storage", "count", "reason", "oldStatus", "newStatus")

    storage: Names | None = Field(None, description="names of storages, or patterns; what is said is said of each")
    query: str | None = Field(None, description="a GET of the API, such as /backup-storage?q=status=Connected")
    event: Literal["status_changed", "disconnected", "capacity_changed", "probe_failed", "added", "deleted"] | None = (
        Field(None, description="a kind of event; that there is one, or how many")
    )
    metric: str | None = Field(None, description="a sample of /metrics, such as imagestore_sim_probe_failures_total")
    value: SizeWanted | None = Field(None, description="of the metric: the sum of its samples that have the labels")
    labels: dict[str, AnyMatcher] | None = Field(None, description="which samples of the metric")
    exists: bool | None = Field(None, description="whether the storage has a record")
    status: TextWanted | None = Field(None, description="Connecting, Connected or Disconnected")
    state: TextWanted | None = Field(None, description="Enabled or Disabled")
    totalCapacity: SizeWanted | None = None
    availableCapacity: SizeWanted | None = None
    name: TextWanted | None = None
    description: TextWanted | None = None
    url: TextWanted | None = None
    type: TextWanted | None = None
    hostname: TextWanted | None = None
    username: TextWanted | None = None
    sshPort: SizeWanted | None = None
    count: SizeWanted | None = Field(None, description="how many inventories, or events")
    each: dict[str, AnyMatcher] | None = Field(None, description="fields that every inventory of the answer has")
    answer: dict[str, AnyMatcher] | None = Field(None, description="fields of the answer itself")
    reason: TextWanted | None = Field(None, description="why a probe failed: refused, hung...")
    oldStatus: TextWanted | None = None
    newStatus: TextWanted | None = None

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        allowed = {
            "storage": self.of_storages,
            "query": self.of_queries,
            "event": self.of_events,
            "metric": self.of_metrics,
        }[self.subject]
        given = [one for one in self.model_fields_set if one in _CHECKS and one != self.subject]
        for one in given:
            if getattr(self, one) is None:  # it would check nothing
                complain((one,), "expected a value, but got none; 'null' in quotes is that of a field without one")
        if self.subject == "metric" and self.value is None:
            raise ValueError("expected a value of the metric")
        for one in given:
            if one not in allowed:
                raise ValueError(f"{one} says nothing of a {self.subject}; expected {', '.join(allowed)}")
        if not given and self.subject != "event":
            raise ValueError(f"expected something to be said of the {self.subject}: {', '.join(allowed)}")
        return self

    @property
    def subject(self) -> str:
        """What it is about: `storage`, `query` or `event`."""
        if self.event is not None:
            return "event"
        return one_of(self, SUBJECTS)

    def wanted_of_storage(self) -> Iterator[tuple[str, Matcher]]:
        """The fields that a storage has to have."""
        for name in self.of_storages[1:]:
            if (wanted := getattr(self, name)) is not None:
                yield name, wanted

    def __str__(self) -> str:
        shown: list[str] = []
        if self.exists is not None:
            shown.append("there" if self.exists else "not there")
        for name in ("status", *sorted(_CHECKS - {"status", "exists", "storage", "each", "answer", "labels"})):
            if (wanted := getattr(self, name)) is not None:
                shown.append(str(wanted) if name == "status" else f"{name} {wanted}")
        for each in ("each", "answer", "labels"):
            shown += [f"{each} {name} {wanted}" for name, wanted in (getattr(self, each) or {}).items()]
        match self.subject:
            case "storage":
                subject = ", ".join(self.storage or ())
            case "query":
                subject = f"GET {self.query}"
            case "metric":
                subject = str(self.metric)
            case _:
                subject = f"event {self.event}" + (f" of {', '.join(self.storage)}" if self.storage else "")
        return f"{subject}: {', '.join(shown)}" if shown else subject


_CHECKS = {*Condition.of_storages, *Condition.of_queries, *Condition.of_events, *Condition.of_metrics}


class Eventually(Condition):
    """It is so at some moment within a time."""

    within: Seconds = Field(description="how long that may take")

    def __str__(self) -> str:
        return f"{super().__str__()}, within {duration_text(self.within)}"


class Stays(Condition):
    """It is so all the time, for a time."""

    lasts: Seconds = Field(alias="for", description="for how long")

    def __str__(self) -> str:
        return f"{super().__str__()}, for {duration_text(self.lasts)}"


class Never(Condition):
    """It is not so at any moment, during a time."""

    during: Seconds | None = Field(None, description="for how long; to the end of the scenario if unset")

    def __str__(self) -> str:
        return super().__str__() + ("" if self.during is None else f", during {duration_text(self.during)}")


class Unchanged(ScenarioModel):
    """Fields of a storage keep their values for as long as it has a status."""

    storage: Names = ("*",)
    fields: tuple[Literal["totalCapacity", "availableCapacity"], ...] = ("totalCapacity", "availableCapacity")
    while_: TextWanted = Field(alias="while", description="the status, such as Disconnected")

    def __str__(self) -> str:
        return f"{', '.join(self.storage)}: {' and '.join(self.fields)}, while {self.while_}"


class Invariant(ScenarioModel):
    """Something that is watched from the first moment of a scenario to the last."""

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
        """`never`, `always` or `unchanged`."""
        return one_of(self, ("never", "always", "unchanged"))

    def __str__(self) -> str:
        return f"{self.kind} {getattr(self, self.kind)}"
