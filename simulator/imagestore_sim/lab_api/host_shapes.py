"""The shapes of hosts and faults in `/lab/v1`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from imagestore_sim.faults import FAULTS, AnyFault, AppliedFault, Fault, HostState
from imagestore_sim.faults.target import AgentState
from imagestore_sim.hosts import PastFault
from imagestore_sim.lab_api.routes import Shape


class FaultShape(Shape):
    """A fault that is on a host."""

    id: str = Field(description="names it in paths: its kind and a number")
    kind: str = Field(description="the kind of fault")
    parameters: dict[str, JsonValue] = Field(description="those that differ from their defaults")
    seconds_left: float | None = Field(description="until it heals by itself, by the lab's clock; null: it does not")


class HostShape(Shape):
    """A host. Its disk is in bytes, as df would show it, faults included."""

    name: str = Field(description="the name that records and probes use")
    port: int = Field(description="the port that storages know it by")
    listening: bool = Field(description="whether it runs")
    address: str = Field(description="where it really listens, or did last")
    size: int | None = Field(description="null, here and below: the disk does not answer now")
    used: int | None = Field(description="bytes of the disk that are taken")
    reserved: int | None = Field(description="kept for root, so not available")
    available: int | None = Field(description="bytes that an ordinary user can take")
    inodes: int | None = Field(description="how many files the disk can hold")
    free_inodes: int | None = Field(description="how many more it can hold")
    read_only: bool | None = Field(description="whether the disk refuses writes")
    logins: int | None = Field(description="successful logins so far; null: a container, which does not count them")
    connections: int | None = Field(description="connections that are open")
    username: str | None = Field(description="the only account that may log in; null: any may")
    agent_running: bool | None = Field(description="whether its agent runs; null: it cannot be asked now")
    faults: list[FaultShape] = Field(description="the faults that are on it, the first first")


class AgentShape(Shape):
    """The agent of a host, and what a client needs to speak to it over TLS."""

    running: bool = Field(description="whether it answers")
    port: int = Field(description="the port that clients know it by")
    address: str = Field(description="where it really listens, or does when it runs")
    instance: str | None = Field(description="the name of its run, which each start changes; null: it does not run")
    certificate_sha256: str = Field(description="the fingerprint of its certificate, in hex digits with colons")
    certificate_ends: str = Field(description="when its certificate expires, in UTC")
    authority: str = Field(description="the certificate of its authority, as PEM: what ca.pem on the host holds")


class HostsShape(Shape):
    """All hosts."""

    hosts: list[HostShape] = Field(description="every host, by name")


class FormShape(Shape):
    """How hosts in containers have a kind of fault."""

    how: str | None = Field(description="by which means a container has it; null: none can")
    why_not: str | None = Field(description="why no container can have it")
    hosts: list[str] = Field(description="the hosts that have what it needs")


class FaultToApply(Shape):
    """A fault: its kind, the parameters of that kind, and `for`: how long until it heals by itself."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", frozen=True)

    kind: str

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "title": cls.__name__,
            "description": cls.__doc__,
            "oneOf": [schema_with_kind(one) for one in FAULTS.values()],
        }


class WhatToHeal(Shape):
    """The faults to heal: those of a kind, or all."""

    kind: str | None = Field(None, description="a kind of fault")


class FaultId(Shape):
    """The id that heals a fault."""

    id: str = Field(description="names the fault in paths")


class ParameterShape(Shape):
    """A parameter of a kind of fault."""

    name: str = Field(description="the name of the parameter")
    default: str = Field(description="what holds without it, as a text")
    description: str = Field(description="what it means, with its unit")


class KindShape(Shape):
    """A kind of fault."""

    kind: str = Field(description="the name of the kind")
    layer: str = Field(description="what it breaks")
    description: str = Field(description="what happens")
    heals: str = Field(description="what heals it, beside a call")
    parameters: list[ParameterShape] = Field(description="what can be chosen")
    json_schema: dict[str, JsonValue] = Field(alias="schema", description="the JSON Schema of its parameters")
    example: dict[str, JsonValue] = Field(description="a body for `POST /lab/v1/hosts/{name}/faults`")
    form: FormShape | None = Field(description="how hosts in containers have it; null: the hosts are simulated")


def host_shape(state: HostState) -> HostShape:
    """Return a host as the API shows it."""
    disk = state.disk
    return HostShape(
        name=state.name,
        port=state.port,
        listening=state.listening,
        address=state.address,
        size=disk.size if disk else None,
        used=disk.used if disk else None,
        reserved=disk.reserved if disk else None,
        available=disk.available if disk else None,
        inodes=disk.inodes if disk else None,
        free_inodes=disk.free_inodes if disk else None,
        read_only=disk.read_only if disk else None,
        logins=state.logins,
        connections=state.connections,
        username=state.username,
        agent_running=state.agent_running,
        faults=[_fault_shape(applied, state.at) for applied in state.faults],
    )


def agent_shape(state: AgentState, port: int) -> AgentShape:
    """Return the agent of a host as the API shows it; clients know it by `port`."""
    return AgentShape(
        running=state.running,
        port=port,
        address=state.address,
        instance=state.instance,
        certificate_sha256=state.fingerprint,
        certificate_ends=f"{state.ends:%Y-%m-%d %H:%M:%S}",
        authority=state.authority,
    )


def _fault_shape(applied: AppliedFault, now: float) -> FaultShape:
    left = None if applied.expires_at is None else max(0.0, applied.expires_at - now)
    fault = applied.fault
    return FaultShape(id=fault_id(applied), kind=fault.kind, parameters=fault.values(), seconds_left=left)


def fault_id(applied: AppliedFault | PastFault) -> str:
    """Return the id of a fault on its host, which heals it."""
    return f"{applied.fault.kind}-{applied.number}"


def kind_shape(kind: type[Fault], form: FormShape | None) -> KindShape:
    """Return the declaration of a kind as the API shows it."""
    return KindShape(
        kind=kind.kind,
        layer=kind.layer,
        description=kind.description(),
        heals=kind.heals,
        parameters=parameter_shapes(kind),
        json_schema=schema_of(kind),
        example=_example_of(kind),
        form=form,
    )


def _example_of(kind: type[Fault]) -> dict[str, Any]:
    """Return a body that applies a kind for a minute, with examples of the parameters that it requires."""
    schema = schema_of(kind)
    required = {name: schema["properties"][name]["examples"][0] for name in schema.get("required", ())}
    return {"kind": kind.kind, **required, "for": "1m"}


def parameter_shapes(kind: type[AnyFault]) -> list[ParameterShape]:
    """Return the parameters of a kind as the API shows them."""
    return [
        ParameterShape(name=name, default=default, description=description)
        for name, default, description in kind.parameters()
    ]


@cache
def schema_of(kind: type[AnyFault]) -> dict[str, Any]:
    """Return the JSON Schema of the parameters of a kind, which holds what a form needs of each; do not change it.

    That is its type or choices, bounds, default, description, examples, and the unit of a bare number (`x-unit`).
    """
    schema = kind.model_json_schema(by_alias=True)
    whole = _with_definitions(schema, schema.pop("$defs", {}))
    for parameter in whole["properties"].values():
        if parameter.get("default") not in (None, "") and not _is_choice(parameter):
            parameter.setdefault("examples", [parameter["default"]])
    return {**whole, "title": kind.kind, "description": kind.description()}


def _is_choice(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema lists its values itself."""
    return (
        "enum" in schema or schema.get("type") in ("boolean", "object") or any(map(_is_choice, schema.get("anyOf", ())))
    )


def _with_definitions(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with each reference to a definition replaced by that, so that it can be part of another."""
    if isinstance(schema, list):
        return [_with_definitions(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    members = {name: _with_definitions(one, definitions) for name, one in schema.items() if name != "$ref"}
    if "$ref" not in schema:
        return members
    return {**_with_definitions(definitions[schema["$ref"].rpartition("/")[2]], definitions), **members}


def schema_with_kind(kind: type[AnyFault]) -> dict[str, Any]:
    """Return the JSON Schema of a body that holds a kind and its parameters."""
    schema = schema_of(kind)
    return schema | {
        "properties": {"kind": {"const": kind.kind}, **schema["properties"]},
        "required": ["kind", *schema.get("required", ())],
    }
