"""`/lab/v1/openapi.json`: the OpenAPI document of the calls, made from their declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from imagestore_sim import __version__
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.routes import JSON, Answer, Handler, Problem, Refused, Route

PATH = "/lab/v1/openapi.json"
TITLE = "imagestore-sim: the lab"
DESCRIPTION = "Simulated hosts, the clock, the records, the journal of requests and the stream of events of a lab."
REFERENCE = "#/components/schemas/{model}"
Json = dict[str, Any]


def lab_api_routes(routes: Sequence[Route], guard: Guard, description: str = DESCRIPTION) -> list[web.RouteDef]:
    """Return for aiohttp's router: the routes, their OpenAPI document, and a 404 for all other paths below `/lab/v1`.

    The document is made at its first request: few need it, and it takes a third of the time that a node takes to start.
    """

    @cache
    def text() -> bytes:
        return orjson.dumps(document(every, description))

    async def show(request: web.Request) -> Answer:
        return web.Response(body=text(), content_type=JSON)

    every = [*routes, Route("GET", PATH, "This document", Handler(show), None)]
    served = (*every, Route("*", "/lab/v1/{path:.*}", "", Handler(_refuse), None))
    return [route.to_aiohttp(guard) for route in served]


async def _refuse(request: web.Request) -> Answer:
    raise Refused(404, f"nothing is served for {request.method} {request.path}; {PATH} lists what is")


def document(routes: Sequence[Route], description: str = DESCRIPTION) -> Json:
    """Return the OpenAPI document of the routes."""
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": description, "version": __version__},
        "paths": paths,
        "components": {"schemas": _schemas(routes)},
    }


def _schemas(routes: Sequence[Route]) -> Json:
    used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for route in routes:
        if route.handler.body is not None:
            used[route.handler.body, "validation"] = None
        if route.answer is not None:
            used[route.answer, "serialization"] = None
        for shape in route.problem_shapes.values():
            used[shape, "serialization"] = None
    _, schemas = models_json_schema(list(used), by_alias=True, ref_template=REFERENCE)
    defined: Json = schemas["$defs"]
    return defined


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.path.split("/")[3].removesuffix(".json")],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.handler.query)],
        "responses": {str(route.status): _response(HTTPStatus(route.status).phrase, route.answer_media, route.answer)},
    }
    if route.handler.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(JSON, route.handler.body)}
    elif route.body_media != JSON:
        operation["requestBody"] = {"required": True, "content": _content(route.body_media, None)}
    for status, when in route.problems.items():
        operation["responses"][str(status)] = _response(when, JSON, route.problem_shapes.get(status, Problem))
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall("[a-z]+", route.path.removeprefix("/lab/v1"))
    return route.method.lower() + "".join(word.capitalize() for word in words)


def _response(text: str, media: str, shape: type[BaseModel] | None) -> Json:
    return {"description": text, "content": _content(media, shape)}


def _content(media: str, shape: type[BaseModel] | None) -> Json:
    if shape is not None:
        return {media: {"schema": {"$ref": REFERENCE.format(model=shape.__name__)}}}
    return {media: {"schema": {"type": "object" if media == JSON else "string"}}}


def _path_parameters(path: str) -> Iterator[Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(shape: type[BaseModel] | None) -> Iterator[Json]:
    if shape is None:
        return
    schema = shape.model_json_schema(by_alias=True)
    for name, value in schema["properties"].items():
        text = value.pop("description", "")
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "description": text, "required": required, "schema": value}
