"""The steps of a scenario's timeline: one class and one key of `Step` for each kind.

What an action does is in `play.actions`, how an expectation is decided in `play.expectations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    InstanceOf,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from imagestore_sim.faults import FAULTS, NODE_FAULTS, AnyFault, Fault, NodeFault
from imagestore_sim.scenario.format.api_steps import (
    AddImageStep,
    ApiStep,
    CallStep,
    ClientStep,
    DeleteExportStep,
    DeleteImageStep,
    ExportImageStep,
    ExpungeImageStep,
    ReclaimStep,
    RecoverImageStep,
    SyncImageStep,
    UploadImageStep,
)
from imagestore_sim.scenario.format.expectations import Condition, Eventually, Never, Stays
from imagestore_sim.scenario.format.node_steps import (
    HealPartitionStep,
    KillNodeStep,
    PartitionStep,
    PauseNodeStep,
    RestartNodeStep,
    ResumeNodeStep,
    SkewClockStep,
    StartNodeStep,
    StopNodeStep,
)
from imagestore_sim.scenario.format.options import check_settings
from imagestore_sim.scenario.format.schema import Names, ScenarioModel, only_key, reject, unknown, without_references
from imagestore_sim.units import Seconds, duration_text, size_text
from imagestore_sim.validation_errors import first_problem

F = TypeVar("F", bound=AnyFault)
EVERY_KIND = "all"


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
        return {"host": host, "fault": _read_fault(FAULTS[kind], rest, "host")}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        host = TypeAdapter(Names).json_schema()
        kinds = [cls.fixed_kind] if cls.fixed_kind else sorted(FAULTS)
        with_kind = cls.fixed_kind is None
        keys = {kind: {"host": host, **({"kind": {"const": kind}} if with_kind else {})} for kind in kinds}
        variants = [_schema_of(FAULTS[kind], keys[kind]) for kind in kinds]
        return (
            variants[0] if cls.fixed_kind else {"oneOf": variants, "description": " ".join((cls.__doc__ or "").split())}
        )

    def __str__(self) -> str:
        shown = [*([] if self.fixed_kind else [self.fault.kind]), *_given(self.fault)]
        return f"{' '.join(shown)} on {', '.join(self.host)}{_lasting(self.fault)}"


class NodeFaultStep(BaseModel):
    """A fault of the management plane: its kind, and the parameters that this kind declares (docs/node-faults.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: InstanceOf[NodeFault]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        rest = dict(value)
        kind = str(rest.pop("node"))
        if kind not in NODE_FAULTS:
            reject(("node",), unknown(kind, sorted(NODE_FAULTS)))
        return {"fault": _read_fault(NODE_FAULTS[kind], rest, "node")}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        variants = [_schema_of(NODE_FAULTS[kind], {"node": {"const": kind}}) for kind in sorted(NODE_FAULTS)]
        return {"oneOf": variants, "description": " ".join((cls.__doc__ or "").split())}

    def __str__(self) -> str:
        return " ".join([self.fault.kind, *_given(self.fault)]) + _lasting(self.fault)


def _fault_step(value: Any, _: Any) -> FaultStep | NodeFaultStep:
    if isinstance(value, FaultStep | NodeFaultStep):
        return value
    of_node = isinstance(value, Mapping) and "node" in value
    return NodeFaultStep.model_validate(value) if of_node else FaultStep.model_validate(value)


AnyFaultStep = Annotated[FaultStep | NodeFaultStep, WrapValidator(_fault_step)]
"""A fault on hosts, or, with the key `node`, on the management node."""


def _given(fault: AnyFault) -> list[str]:
    """Return the parameters that were given, for people."""
    names = sorted(fault.model_fields_set - {"lasts"})
    return [f"{name} {_shown(getattr(fault, name))}" for name in names]


def _lasting(fault: AnyFault) -> str:
    return f" for {duration_text(fault.lasts)}" if fault.lasts else ""


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


def _read_fault(kind: type[F], parameters: Mapping[str, Any], key: str) -> F:
    """Return the fault; `key` stands beside its parameters. Raise a ValidationError at the parameter that is wrong."""
    try:
        return kind.model_validate(dict(parameters))
    except ValidationError as error:
        problem = first_problem(error, kind, parameters)
        if problem.kind == "missing":
            reject((), f"expected {problem.field} for a {kind.kind}: it is missing")
        if problem.kind != "extra_forbidden":
            reject(problem.place, problem.text)
        known = [key, *(name for name, _, _ in kind.parameters())] if len(problem.place) == 1 else problem.known
        reject(problem.place, unknown(str(problem.place[-1]), known))


def _schema_of(kind: type[AnyFault], keys: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """Return the schema of a step: the required keys beside the parameters, and these."""
    schema = without_references(kind.model_json_schema(by_alias=True))
    schema["properties"] = {**keys, **schema["properties"]}
    schema["required"] = [*keys, *schema.get("required", [])]
    schema["description"] = kind.description()
    return schema


class FillStep(FaultStep):
    """Disks fill up, or empty."""

    fixed_kind = "fill"


class ResizeStep(FaultStep):
    """Disks grow or shrink."""

    fixed_kind = "resize"


class HealStep(ScenarioModel):
    """Faults are healed: all that are on hosts, or those of one kind; with `node`, those of the management plane."""

    host: Names = ("*",)
    kind: str | None = Field(None, description="which kind of fault; all if unset")
    node: str | None = Field(None, description="which kind of fault of the management plane, or `all`, and no other")

    @model_validator(mode="after")
    def _knows_its_kind(self) -> Self:
        if self.kind is not None and self.kind not in FAULTS:
            reject(("kind",), unknown(self.kind, sorted(FAULTS)))
        if self.node is not None and self.node != EVERY_KIND and self.node not in NODE_FAULTS:
            reject(("node",), unknown(self.node, [EVERY_KIND, *sorted(NODE_FAULTS)]))
        if self.node is not None and self.model_fields_set & {"host", "kind"}:
            reject(("node",), "expected node alone: faults of hosts are healed by another step")
        return self

    def __str__(self) -> str:
        if self.node is not None:
            return f"{'all faults' if self.node == EVERY_KIND else self.node} of the node"
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


class ProgramStep(ScenarioModel):
    """A program of yours runs against the management node, whose URL it finds in IMAGESTORE_LAB_URL.

    It has to end with status 0. Time stands still for it but for what its requests carry as X-Lab-Time; one that sends
    no such header has the machine's time.
    """

    command: str = Field(min_length=1, description="for the shell")
    within: Seconds = Field(60.0, gt=0, description="how long it may take, of the machine's time; then it is killed")

    def __str__(self) -> str:
        return self.command


class Step(ScenarioModel):
    """One thing that happens, or is expected, and when."""

    at: Seconds | None = Field(None, description="when, since the beginning; steps are in the order of their times")
    after: Seconds | None = Field(
        None, description="how long after the end of the step before; 0s without at and after"
    )
    every: Seconds | None = Field(None, description="again and again, this far apart")
    until: Seconds | None = Field(None, description="when the repetition ends, since the beginning")
    title: str | None = Field(None, description="what the report calls it")

    fault: AnyFaultStep | None = None
    heal: HealStep | None = None
    fill: FillStep | None = None
    resize: ResizeStep | None = None
    stop: StopStep | None = None
    start: StartStep | None = None
    restart_node: RestartNodeStep | None = None
    kill_node: KillNodeStep | None = None
    stop_node: StopNodeStep | None = None
    start_node: StartNodeStep | None = None
    pause_node: PauseNodeStep | None = None
    resume_node: ResumeNodeStep | None = None
    partition: PartitionStep | None = None
    heal_partition: HealPartitionStep | None = None
    skew_clock: SkewClockStep | None = None
    program: ProgramStep | None = None
    call: CallStep | None = None
    client: ClientStep | None = None
    add_image: AddImageStep | None = None
    upload_image: UploadImageStep | None = None
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
    def may_fail(self) -> bool:
        """Whether it may fail where the oracle judges: it only acts, and says nothing of what comes of it."""
        says = isinstance(self.content, ApiStep | UploadImageStep) and self.content.expects_an_answer
        return not self.expects and not says

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
        elif isinstance(content, ApiStep) and content.node is not None:
            content = f"{content} at {content.node}"
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
