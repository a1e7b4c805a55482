"""Join the APIs that share a method and a path, which OpenAPI allows only one operation each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from imagestore_sim.openapi.operations import JSON, PREFIX, Operation
from imagestore_sim.openapi.parameters import variables_of
from imagestore_sim.openapi.schemas import Json


def unfolded(operations: Iterable[Operation]) -> Json:
    """Return the paths with one operation an API: a fragment distinguishes those that share a path."""
    paths: dict[str, Json] = {}
    named: dict[str, str] = {}
    for operation in operations:
        path = f"{PREFIX}{operation.path}"
        is_shared = operation.method == "put" or named.setdefault(_shape(path), path) != path
        shown = f"{path}#{operation.message.api.action}" if is_shared else path
        paths.setdefault(shown, {})[operation.method] = operation.described
    return paths


def folded(operations: Iterable[Operation]) -> Json:
    """Return the paths as they are served: APIs that share one are one operation, whose body is one of theirs."""
    shapes: dict[str, dict[str, list[Operation]]] = {}
    for operation in operations:
        by_method = shapes.setdefault(_shape(operation.path), {})
        by_method.setdefault(operation.method, []).append(operation)
    paths: dict[str, Json] = {}
    for by_method in shapes.values():
        named = next(iter(by_method.values()))[0].path
        paths[f"{PREFIX}{named}"] = {method: _joined(named, found) for method, found in by_method.items()}
    return paths


def _shape(path: str) -> str:
    """Return a path without the names of its variables."""
    return re.sub(r"\{\w+\}", "{}", path)


def _joined(path: str, operations: Sequence[Operation]) -> Json:
    """Return the operation of all APIs of a method, with the variables of `path`."""
    alike = [_renamed(one, path) for one in operations]
    if len(alike) == 1:
        return alike[0]
    first = alike[0]
    names = [one["operationId"] for one in alike]
    return {
        "operationId": f"{'Or'.join(names[:2])}{'OrOther' if len(names) > 2 else ''}",
        "summary": "; or ".join(
            one["summary"] if not place else _lower(one["summary"]) for place, one in enumerate(alike)
        ),
        "description": "\n".join(
            f"- `{operation.key}`: {one['description'].partition(chr(10))[0]}"
            for operation, one in zip(operations, alike, strict=True)
        ),
        "tags": first["tags"],
        "parameters": _parameters(alike),
        "requestBody": {"required": True, "content": {JSON: _one_of([one["requestBody"] for one in alike])}},
        "responses": _responses(alike),
        **_callbacks(alike),
        "x-zstack-actions": [{**one["x-zstack"], "operationId": one["operationId"]} for one in alike],
        **({"security": []} if "security" in first else {}),
    }


def _callbacks(alike: Sequence[Json]) -> Json:
    """Return the callbacks of all: one for each API with a job."""
    found = {
        f"{one['operationId'][0].lower()}{one['operationId'][1:]}Ended": callback
        for one in alike
        for callback in one.get("callbacks", {}).values()
    }
    return {"callbacks": found} if found else {}


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"  # `python -OO` has no docstrings, which summaries are made of


def _renamed(operation: Operation, path: str) -> Json:
    """Return an operation with the names that the variables have in another path of the same shape."""
    new = dict(zip(variables_of(operation.path), variables_of(path), strict=True))
    parameters = [
        {**one, "name": new[one["name"]]} if one.get("in") == "path" else one
        for one in operation.described["parameters"]
    ]
    return {**operation.described, "parameters": parameters}


def _parameters(alike: Sequence[Json]) -> list[Json]:
    """Return the parameters of all, each once; of those with one name, the first."""
    found: dict[object, Json] = {}
    for one in alike:
        for parameter in one["parameters"]:
            found.setdefault(parameter.get("$ref") or (parameter["in"], parameter["name"]), parameter)
    return list(found.values())


def _one_of(bodies: Sequence[Json]) -> Json:
    contents = [body["content"][JSON] for body in bodies]
    joined: Json = {"schema": {"oneOf": [content["schema"] for content in contents]}}
    return joined | _examples(contents)


def _responses(alike: Sequence[Json]) -> Json:
    statuses = sorted({status for one in alike for status in one["responses"]})
    return {
        status: _response([one["responses"][status] for one in alike if status in one["responses"]])
        for status in statuses
    }


def _response(found: Sequence[Json]) -> Json:
    first = found[0]
    if "$ref" in first:
        return first
    contents = [one["content"][JSON] for one in found]
    schemas = list({str(content["schema"]): content["schema"] for content in contents}.values())
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {**first, "content": {JSON: {"schema": schema} | _examples(contents)}}


def _examples(contents: Iterable[Mapping[str, Json]]) -> Json:
    examples = {name: value for content in contents for name, value in content.get("examples", {}).items()}
    return {"examples": examples} if examples else {}
