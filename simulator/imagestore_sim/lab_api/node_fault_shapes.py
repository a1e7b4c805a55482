"""The shapes of faults of the management plane in `/lab/v1`."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from imagestore_sim.clock import Clock
from imagestore_sim.faults import NODE_FAULTS, NodeFault
from imagestore_sim.lab_api.host_shapes import KindShape, ParameterShape, parameter_shapes, schema_of, schema_with_kind
from imagestore_sim.lab_api.routes import Shape
from imagestore_sim.rest.node_faults import AppliedNodeFault


class NodeFaultToSet(Shape):
    """A fault of the management plane: its kind, the parameters of that kind, `when`, `count` and `for`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", frozen=True)

    kind: str

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "title": cls.__name__,
            "description": cls.__doc__,
            "oneOf": [_with_example(one) for one in NODE_FAULTS.values()],
            "examples": [{"kind": one.kind, **one.example} for one in NODE_FAULTS.values()],
        }


class NodeFaultShape(Shape):
    """A fault of the management plane that is set, or was."""

    id: str = Field(description="names it in paths: its kind and a number")
    kind: str = Field(description="the kind of fault")
    parameters: dict[str, JsonValue] = Field(description="those that differ from their defaults")
    matches: int = Field(description="requests that matched `when`, but for its choice among them")
    hits: int = Field(description="requests that it has met")
    left: int | None = Field(description="requests that it meets before it heals by itself; null: it has no end")
    seconds_left: float | None = Field(description="until it heals by itself, by the lab's clock; null: it does not")
    heals_at: float | None = Field(description="that moment: seconds since the epoch, by the lab's clock")
    healed_by: str | None = Field(description="`hand`, `time` or `count`; null: it is set")


class NodeFaultsShape(Shape):
    """The faults of the management plane, the oldest first: the order in which they act."""

    faults: list[NodeFaultShape] = Field(description="those that are set")
    healed: list[NodeFaultShape] = Field(description="the latest that were healed, the oldest first")


class NodeKindShape(Shape):
    """A kind of fault of the management plane."""

    kind: str = Field(description="the name of the kind")
    layer: str = Field(description="what it breaks")
    description: str = Field(description="what happens")
    heals: str = Field(description="what heals it, beside a call")
    meets: str = Field(description="what a request has to be, for the kind to count it")
    parameters: list[ParameterShape] = Field(description="what can be chosen")
    json_schema: dict[str, JsonValue] = Field(alias="schema", description="the JSON Schema of its parameters")
    example: dict[str, JsonValue] = Field(description="a body for `POST /lab/v1/node/faults`")


class KindsShape(Shape):
    """All kinds of fault."""

    faults: list[KindShape] = Field(description="those of hosts")
    node_faults: list[NodeKindShape] = Field(description="those of the management plane")


def node_fault_shape(applied: AppliedNodeFault, clock: Clock) -> NodeFaultShape:
    """Return a fault as the API shows it."""
    expires_at = applied.expires_at if applied.active else None
    left = None if expires_at is None else max(0.0, expires_at - clock.monotonic())
    return NodeFaultShape(
        id=applied.id,
        kind=applied.fault.kind,
        parameters=dict(applied.parameters()),
        matches=applied.selector.matches,
        hits=applied.hits,
        left=applied.left,
        seconds_left=left,
        heals_at=None if left is None else clock.time() + left,
        healed_by=applied.healed_by,
    )


def node_kind_shape(kind: type[NodeFault]) -> NodeKindShape:
    """Return the declaration of a kind as the API shows it."""
    return NodeKindShape(
        kind=kind.kind,
        layer=kind.layer,
        description=kind.description(),
        heals=kind.heals,
        meets=kind.meets,
        parameters=parameter_shapes(kind),
        json_schema=schema_of(kind),
        example={"kind": kind.kind, **kind.example},
    )


def _with_example(kind: type[NodeFault]) -> dict[str, Any]:
    return {**schema_with_kind(kind), "examples": [{"kind": kind.kind, **kind.example}]}
