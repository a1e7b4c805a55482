"""`/lab/v1/openapi.json`: the OpenAPI document of the calls, made from their declarations."""

from __future__ import annotations

import gzip
import inspect
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
from imagestore_sim.lab_api.examples import Example, examples
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.routes import JSON, Answer, Handler, Problem, Refused, Route, Work
from imagestore_sim.tasks import LARGE, by_size
from imagestore_sim.web_server import not_allowed

PATH = "/lab/v1/openapi.json"
TITLE = "imagestore-sim: the lab"
DESCRIPTION = "Simulated hosts, the clock, the records, the journal of requests and the stream of events of a lab."
TAGS = {
    "about": "What the node is.",
    "sessions": "Sessions of ZStack's API.",
    "events": "What happens.",
    "snapshot": "All records.",
    "reset": "Back to the start.",
    "hosts": "Simulated hosts and their faults.",
    "heal": "Healing everything.",
    "faults": "The kinds of fault.",
    "node": "Faults of the management plane.",
    "nodes": "The management nodes that share the store.",
    "probes": "The latest probes.",
    "storages": "Backup storages, beyond what ZStack's API shows.",
    "image-sources": "What images weigh.",
    "clock": "The lab's clock.",
    "requests": "The journal of requests to ZStack's API.",
    "timeline": "Pictures of a time.",
    "scenario": "Stories from what was done.",
    "stories": "The library of stories.",
    "openapi": "This document.",
}
VARIABLES = {
    "name": "The name.",
    "id": "The id of the fault.",
    "uuid": "The uuid of the backup storage.",
    "number": "The number of the request.",
}
ANYWHERE = {
    "400": "The request cannot be read.",
    "401": "The token of the lab is missing or wrong.",
    "403": "The node does not offer the lab's API, or a web page of another origin asks.",
}
"""When a call may be refused that does not say so itself, by status."""
TOKEN = {"type": "http", "scheme": "bearer", "description": "The token of `--lab-token`, where the lab has one."}
VARIABLE = re.compile(r"\{\w+\}")
RAISES = re.compile(r"\bRaise [^.]*\.")
"""The sentence of a docstring that names exceptions."""
REFERENCE = "#/components/schemas/{model}"
Json = dict[str, Any]


def lab_api_routes(routes: Sequence[Route], guard: Guard, description: str = DESCRIPTION) -> list[web.RouteDef]:
    """Return for aiohttp's router: the routes, their OpenAPI document, and what answers all else below `/lab/v1`.

    That is 405 for another method of a path, which `Allow` names, and 404 for a path.

    The document is made at its first request, in a thread: few need it, and it takes a third of the time that a node
    takes to start.
    """

    @cache
    def texts() -> tuple[bytes, bytes]:
        plain = orjson.dumps(document(routes, description), option=orjson.OPT_APPEND_NEWLINE)
        return plain, gzip.compress(plain, mtime=0)

    async def show(request: web.Request) -> Answer:
        plain, compressed = await by_size(LARGE, texts)
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=plain, content_type=JSON)
        return web.Response(body=compressed, headers={"Content-Encoding": "gzip"}, content_type=JSON)

    calls = [*routes, _own_route(show)]

    @cache
    def paths() -> Sequence[tuple[re.Pattern[str], Route]]:
        return [(_pattern(route.path), route) for route in calls]

    async def refuse(request: web.Request) -> Answer:
        raw_path = request.rel_url.raw_path
        served = [route for pattern, route in paths() if pattern.fullmatch(raw_path)]
        methods = [method for one in served for method in ((one.method, "HEAD") if one.takes_head else (one.method,))]
        return not_allowed(request, methods) if methods else await _refuse(request)

    every = (*calls, Route("*", "/lab/v1/{path:.*}", "", Handler(refuse), None))
    return [route.to_aiohttp(guard) for route in every]


async def _refuse(request: web.Request) -> Answer:
    raise Refused(404, f"nothing is served for {request.method} {request.path}; {PATH} lists what is")


def _pattern(path: str) -> re.Pattern[str]:
    """Return a pattern of the paths that a route serves."""
    return re.compile("[^/]+".join(re.escape(part) for part in VARIABLE.split(path)))


def _own_route(show: Work) -> Route:
    return Route("GET", PATH, "This document", Handler(show), None)


def document(routes: Sequence[Route], description: str = DESCRIPTION) -> Json:
    """Return the OpenAPI document of the routes, and of itself."""
    every = [*routes, _own_route(_refuse)]
    paths: dict[str, Json] = {}
    for route in every:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "description": description,
            "version": __version__,
            "contact": {"name": "imagestore-sim", "url": "https://github.com/imagestore-sim/imagestore-sim"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The node that serves this document."}],
        "security": [{}, {"labToken": []}],
        "tags": [{"name": tag, "description": TAGS.get(tag, tag)} for tag in dict.fromkeys(map(_tag, every))],
        "paths": paths,
        "components": {
            "schemas": _schemas(every),
            "responses": {f"Problem{status}": _response(text, JSON, Problem) for status, text in ANYWHERE.items()},
            "securitySchemes": {"labToken": TOKEN},
        },
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
    example = examples().get(operation_id(route.method, route.path))
    answer = _response(_phrase(route.status), route.answer_media, route.answer, example)
    operation: Json = {
        "operationId": operation_id(route.method, route.path),
        "summary": route.summary,
        "description": _description(route),
        "tags": [_tag(route)],
        "parameters": [*_path_parameters(route.path, example), *_query_parameters(route.handler.query, example)],
        "responses": {str(route.status): answer},
    }
    if route.handler.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(JSON, route.handler.body)}
    elif route.body_media != JSON:
        operation["requestBody"] = {"required": True, "content": _content(route.body_media, None)}
    if example is not None and "requestBody" in operation:
        _show(operation["requestBody"]["content"], example.body)
    for status, when in route.problems.items():
        operation["responses"][str(status)] = _response(when, JSON, route.problem_shapes.get(status, Problem))
    for refused in ANYWHERE:
        operation["responses"].setdefault(refused, {"$ref": f"#/components/responses/Problem{refused}"})
    return operation


def _tag(route: Route) -> str:
    return route.path.split("/")[3].removesuffix(".json")


def _phrase(status: int) -> str:
    return f"{HTTPStatus(status).phrase}."


def _description(route: Route) -> str:
    """Return what a call does: the docstring of what answers it, without the exceptions that it names."""
    paragraphs = inspect.cleandoc(route.handler.work.__doc__ or "").split("\n\n")
    texts = (RAISES.sub("", " ".join(paragraph.split())).strip() for paragraph in paragraphs)
    return "\n\n".join(text for text in texts if text) or f"{route.summary}."


def operation_id(method: str, path: str) -> str:
    """Return the name of a call: its method and the words of its path, as in `postHostsNameFaults`."""
    words = re.findall("[a-z]+", path.removeprefix("/lab/v1"))
    return method.lower() + "".join(word.capitalize() for word in words)


def _response(text: str, media: str, shape: type[BaseModel] | None, example: Example | None = None) -> Json:
    content = _content(media, shape)
    if example is not None:
        _show(content, example.answer)
    return {"description": text, "content": content}


def _content(media: str, shape: type[BaseModel] | None) -> Json:
    if shape is not None:
        return {media: {"schema": {"$ref": REFERENCE.format(model=shape.__name__)}}}
    return {media: {"schema": {"type": "object" if media == JSON else "string"}}}


def _show(content: Json, value: object) -> None:
    """Add an example to the content of a body or an answer."""
    for one in content.values():
        one["examples"] = {"answered": {"value": value}}


def _path_parameters(path: str, example: Example | None) -> Iterator[Json]:
    for name in re.findall(r"\{(\w+)\}", path):
        shown = {} if example is None else {"example": example.variables[name]}
        text = VARIABLES.get(name, name)
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}, **shown}


def _query_parameters(shape: type[BaseModel] | None, example: Example | None) -> Iterator[Json]:
    if shape is None:
        return
    schema = shape.model_json_schema(by_alias=True)
    for name, value in schema["properties"].items():
        text = value.pop("description", "")
        required = name in schema.get("required", ())
        shown = {"example": example.query[name]} if example is not None and name in example.query else {}
        yield {"name": name, "in": "query", "description": text, "required": required, "schema": value, **shown}
