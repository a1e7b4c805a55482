"""The steps of a scenario's timeline: one class and one key of `Step` for each kind.

What an action does is in `play.actions`, how an expectation is decided in `play.expectations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    InstanceOf,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from imagestore_sim.faults import FAULTS, Fault
from imagestore_sim.scenario.format.api_steps import (
    AddImageStep,
    CallStep,
    DeleteExportStep,
    DeleteImageStep,
    ExportImageStep,
    ExpungeImageStep,
    ReclaimStep,
    RecoverImageStep,
    SyncImageStep,
)
from imagestore_sim.scenario.format.expectations import Condition, Eventually, Never, Stays
from imagestore_sim.scenario.format.options import check_settings
from imagestore_sim.scenario.format.schema import Names, ScenarioModel, only_key, reject, unknown
from imagestore_sim.units import Seconds, duration_text, size_text
from imagestore_sim.validation_errors import first_problem


class FaultStep(BaseModel):
    """A fault on hosts: its kind, and the parameters that this kind declares (docs/faults.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    fixed_kind: ClassVar[str | None] = None
    """The kind of fault, where the step's key is that kind."""

    host: Names
    fault: InstanceOf[Fault]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("scenario", "expected a mapping with host, kind and the fault's parameters")
        rest = dict(value)
        kind = cls.fixed_kind or str(rest.pop("kind", ""))
        if not kind:
            reject((), "expected a kind of fault: kind is missing")
        if kind not in FAULTS:
            reject(("kind",), unknown(kind, sorted(FAULTS)))
        host = rest.pop("host", None)
        if host is None:
            reject((), "expected a host that the fault is on: host is missing")
        return {"host": host, "fault": _read_fault(kind, rest)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        host = TypeAdapter(Names).json_schema()
        kinds = [cls.fixed_kind] if cls.fixed_kind else sorted(FAULTS)
        variants = [_schema_of(kind, host, with_kind=cls.fixed_kind is None) for kind in kinds]
        return (
            variants[0] if cls.fixed_kind else {"oneOf": variants, "description": " ".join((cls.__doc__ or "").split())}
        )

    def __str__(self) -> str:
        given = {name: _shown(getattr(self.fault, name)) for name in sorted(self.fault.model_fields_set - {"lasts"})}
        shown = [*([] if self.fixed_kind else [self.fault.kind]), *(f"{name} {value}" for name, value in given.items())]
        lasts = self.fault.lasts
        return f"{' '.join(shown)} on {', '.join(self.host)}" + (f" for {duration_text(lasts)}" if lasts else "")


def _shown(value: object) -> str:
    match value:
        case float():
            return duration_text(value)
        case int() if not isinstance(value, bool) and value >= 1024:
            return size_text(value)
        case tuple():
            return " ".join(str(one) for one in value)
        case str() if not value.isprintable():
            return repr(value)
    return str(value)


def _read_fault(kind: str, parameters: Mapping[str, Any]) -> Fault:
    """Return the fault. Raise a ValidationError at the parameter that is wrong."""
    try:
        return FAULTS[kind].model_validate(dict(parameters))
    except ValidationError as error:
        problem = first_problem(error)
        name = str(problem.place[0]) if problem.place else ""
        if problem.kind == "missing":
            reject((), f"expected {name} for a {kind}: it is missing")
        known = ["host", *(parameter for parameter, _, _ in FAULTS[kind].parameters())]
        reject(problem.place, unknown(name, known) if problem.kind == "extra_forbidden" else problem.text)


def _schema_of(kind: str, host: JsonSchemaValue, *, with_kind: bool) -> JsonSchemaValue:
    schema = FAULTS[kind].model_json_schema(by_alias=True)
    schema["properties"] = {"host": host, **({"kind": {"const": kind}} if with_kind else {}), **schema["properties"]}
    schema["required"] = ["host", *(["kind"] if with_kind else []), *schema.get("required", [])]
    schema["description"] = FAULTS[kind].description()
    return schema


class FillStep(FaultStep):
    """Disks fill up, or empty."""

    fixed_kind = "fill"


class ResizeStep(FaultStep):
    """Disks grow or shrink."""

    fixed_kind = "resize"


class HealStep(ScenarioModel):
    """Faults are healed: all that are on hosts, or those of one kind."""

    host: Names = ("*",)
    kind: str | None = Field(None, description="which kind of fault; all if unset")

    @model_validator(mode="after")
    def _knows_its_kind(self) -> Self:
        if self.kind is not None and self.kind not in FAULTS:
            reject(("kind",), unknown(self.kind, sorted(FAULTS)))
        return self

    def __str__(self) -> str:
        return f"{self.kind or 'all faults'} on {', '.join(self.host)}"


class StopStep(ScenarioModel):
    """Hosts are shut down; their disks stay as they are."""

    host: Names
    lasts: Seconds | None = Field(None, alias="for", description="how long until they start again by themselves")

    def __str__(self) -> str:
        return ", ".join(self.host) + ("" if self.lasts is None else f" for {duration_text(self.lasts)}")


class StartStep(ScenarioModel):
    """Hosts are started."""

    host: Names

    def __str__(self) -> str:
        return ", ".join(self.host)


class RestartNodeStep(ScenarioModel):
    """The management node is stopped, and started again over the same database."""

    down: Seconds = Field(0.0, description="how long it is down")

    def __str__(self) -> str:
        return f"down for {duration_text(self.down)}"


class Step(ScenarioModel):
    """One thing that happens, or is expected, and when."""

    at: Seconds | None = Field(None, description="when, since the beginning; steps are in the order of their times")
    after: Seconds | None = Field(
        None, description="how long after the end of the step before; 0s without at and after"
    )
    every: Seconds | None = Field(None, description="again and again, this far apart")
    until: Seconds | None = Field(None, description="when the repetition ends, since the beginning")
    title: str | None = Field(None, description="what the report calls it")

    fault: FaultStep | None = None
    heal: HealStep | None = None
    fill: FillStep | None = None
    resize: ResizeStep | None = None
    stop: StopStep | None = None
    start: StartStep | None = None
    restart_node: RestartNodeStep | None = None
    call: CallStep | None = None
    add_image: AddImageStep | None = None
    delete_image: DeleteImageStep | None = None
    recover_image: RecoverImageStep | None = None
    expunge_image: ExpungeImageStep | None = None
    export_image: ExportImageStep | None = None
    delete_export: DeleteExportStep | None = None
    sync_image: SyncImageStep | None = None
    reclaim: ReclaimStep | None = None
    query: str | None = Field(None, description="a GET of the API, only to have its answer in the report")
    settings: dict[str, Any] | None = Field(None, description="options of the global configuration by name")
    wait: Seconds | None = Field(None, description="nothing happens for so long")
    note: str | None = Field(None, description="something for the reader of the report")
    expect: Condition | None = Field(None, description="it is so now")
    eventually: Eventually | None = None
    stays: Stays | None = None
    never: Never | None = None

    @model_validator(mode="after")
    def _is_one_thing_at_one_time(self) -> Self:
        _ = self.kind
        if self.at is not None and self.after is not None:
            raise ValueError("expected at or after, but got both")
        if (self.every is None) != (self.until is None):
            raise ValueError("expected every and until together: a repetition has an end")
        if self.settings is not None:
            check_settings(self.settings)
        if self.every is not None and self.every <= 0:
            reject(("every",), "expected a time above 0 between repetitions")
        return self

    @property
    def kind(self) -> str:
        """The key that is given, such as `fault`."""
        return only_key(self, STEP_KINDS)

    @property
    def expects(self) -> bool:
        """Whether it is an expectation."""
        return isinstance(self.content, Condition)

    @property
    def content(self) -> Any:
        """The value at that key."""
        return getattr(self, self.kind)

    def __str__(self) -> str:
        if self.title is not None:
            return self.title
        content = self.content
        if self.kind == "settings":
            content = ", ".join(f"{name} {value}" for name, value in content.items())
        elif self.kind == "wait":
            content = duration_text(content)
        return content if self.kind == "note" else f"{self.kind.replace('_', ' ')} {content}"


STEPS: Mapping[str, type[Any]] = {
    name: kind
    for name, field in Step.model_fields.items()
    for kind in get_args(field.annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel)
}
"""The models of the steps that have one, by their keys."""
STEP_KINDS = tuple(name for name in Step.model_fields if name not in ("at", "after", "every", "until", "title"))
"""The keys of a step that say what it is."""
