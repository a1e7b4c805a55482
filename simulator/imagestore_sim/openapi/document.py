"""The OpenAPI document of ZStack's API as a node serves it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from imagestore_sim import __version__
from imagestore_sim.api import handlers_of
from imagestore_sim.api.fidelity import State, state_of
from imagestore_sim.openapi.errors import add_errors, error_responses
from imagestore_sim.openapi.folding import folded, unfolded
from imagestore_sim.openapi.operations import JOB, JSON, POLL, PREFIX, Describer, Operation, operation_id, tag_of
from imagestore_sim.openapi.queries import operators, shared_parameters
from imagestore_sim.openapi.schemas import Json, Schemas
from imagestore_sim.openapi.texts import description_of
from imagestore_sim.rest.jobs import POLLS
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.versions import DEFAULT, ZStackVersion

TITLE = "ZStack's API, as imagestore-sim emulates it"
DESCRIPTION = """\
The REST API of ZStack's management node, as far as it is emulated: `docs/fidelity.md` lists every API of ZStack, and
how closely it is followed. The document is made from the declarations that bind requests, and every example was
answered by a lab.

**Sessions.** `PUT /zstack/v1/accounts/login` begins one; later calls carry its uuid as `Authorization: OAuth <uuid>`.

**Jobs.** A call that changes something is answered 202 with the `location` of a job. `GET` that until the status is no
longer 202: then it is 200 with the result (`x-zstack.result`), or 503 with the error. A client may choose the uuid of
the job with the header `X-Job-UUID`, as the links of the 202s expect.

**Queries.** `q` may be repeated; a row must meet every condition. `x-zstack.operators` lists the operators, and each
query its fields.

**Errors.** 503 with `{"error": {"code", "description", "details"}}` is ZStack's ordinary error. A request that reaches
no API gets a plain text.

Where several APIs share a path, their operation's body has one of several members, which names the API;
`x-zstack-actions` describes each. `/openapi.json?unfolded` has one operation for each API instead, under a path that a
fragment makes unique: it is for pages that show APIs, not for clients.
"""
HASH = "The uuid of a job that the client chooses: 32 hex digits that no job has had. `links` use it."
HEADERS: Json = {
    "header.jobUuid": {
        "name": "X-Job-UUID",
        "in": "header",
        "description": HASH,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "header.timeout": {
        "name": "X-API-Timeout",
        "in": "header",
        "description": "How many seconds the call may take; `apiTimeout` of the answer shows it, in milliseconds.",
        "schema": {"type": "integer", "format": "int32", "minimum": 1},
    },
    "header.webHook": {
        "name": "X-Web-Hook",
        "in": "header",
        "description": "A URL to which the job's result is posted, with the headers X-Job-UUID and X-Job-Success.",
        "schema": {"type": "string", "format": "uri"},
    },
    "header.schema": {
        "name": "X-JSON-Schema",
        "in": "header",
        "description": "Any value: have the answer hold `schema`, the Java class of each of its objects.",
        "schema": {"type": "string"},
    },
}
SECURITY: Json = {
    "session": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`OAuth <uuid of a session>`, as a login answers it.",
    },
    "accessKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ZStack <AccessKeyID>:<signature>`. The signature is the Base64 of the HMAC-SHA1, with the"
        " secret as its key, of three lines: the method, the header Date, and the path without the context `/zstack`.",
    },
}
CLASSES: Json = {
    "type": "object",
    "description": "The Java class of each object in the answer, by its path. Queries always have it, other calls with"
    " the header X-JSON-Schema.",
    "additionalProperties": {"type": "string"},
}
JOB_SCHEMA: Json = {
    "type": "object",
    "description": "A job that has begun.",
    "required": ["location"],
    "properties": {
        "location": {"type": "string", "format": "uri", "description": "The URL to poll; its last segment is the job."},
        "apiTimeout": {"type": "integer", "format": "int64", "description": "Milliseconds that the job may take."},
    },
}


def document(*, version: ZStackVersion = DEFAULT, leniency: Leniency = LENIENT, one_an_api: bool = False) -> Json:
    """Return the document of the APIs that a node of a version serves; `one_an_api`: with one operation for each."""
    kinds = _by_state(version, leniency)
    schemas = Schemas()
    add_errors(schemas)
    schemas.add(JOB, JOB_SCHEMA)
    schemas.add("JavaClasses", CLASSES)
    describer = Describer(schemas, unfolded=one_an_api)
    served = [*kinds[State.SAME], *kinds[State.DEVIATES]]
    served.sort(key=_by_place)
    operations = [operation for message in served for operation in describer.operations(message)]
    paths = (unfolded if one_an_api else folded)(operations)
    paths[f"{PREFIX}/{POLLS}/{{uuid}}"] = {"get": _poll(operations)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "summary": "Backup storages, zones, images, accounts and what belongs to them.",
            "description": DESCRIPTION,
            "version": __version__,
            "contact": {"name": "imagestore-sim", "url": "https://github.com/imagestore-sim/imagestore-sim"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The node that serves this document."}],
        "security": [{"session": []}, {"accessKey": []}],
        "tags": [*_tags(served), {"name": "jobs", "description": "Jobs of calls that change something."}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.by_name.items())),
            "parameters": {**shared_parameters(), **HEADERS},
            "responses": error_responses(),
            "links": {"job": _job_link()},
            "securitySchemes": SECURITY,
        },
        "x-zstack": {
            "version": version.number,
            "operators": operators(),
            "empty": _names(kinds[State.EMPTY]),
            "notEmulated": _names(kinds[State.NOT_EMULATED]),
        },
    }


def _by_state(version: ZStackVersion, leniency: Leniency) -> dict[State, list[type[Message]]]:
    kinds: dict[State, list[type[Message]]] = {state: [] for state in State}
    for message, handler in handlers_of(version).by_message.items():
        if message.api.paths and (leniency.paid_apis or not message.api.paid):
            kinds[state_of(message, handler)].append(message)
    return kinds


def _by_place(message: type[Message]) -> tuple[str, str, str]:
    return tag_of(message), message.api.paths[0], message.__name__


def _tags(messages: Iterable[type[Message]]) -> Iterator[Json]:
    modules = dict.fromkeys((tag_of(one), one.__module__) for one in messages)
    for tag, module in modules:
        yield {"name": tag, "description": description_of(sys.modules[module]).partition("\n")[0]}


def _names(messages: Iterable[type[Message]]) -> list[str]:
    return sorted(operation_id(one) for one in messages)


def _job_link() -> Json:
    return {
        "operationId": POLL,
        "parameters": {"uuid": "$request.header.X-Job-UUID"},
        "description": "Poll the job. Without X-Job-UUID its uuid is the last segment of `location`.",
    }


def _poll(operations: Iterable[Operation]) -> Json:
    """Return the operation that polls a job, with links to the resources that jobs make or change."""
    shared = {status: {"$ref": f"#/components/responses/Error{status}"} for status in ("400", "405", "500")}
    links = {
        f"{one.described['operationId'][0].lower()}{one.described['operationId'][1:]}": {
            "operationId": one.described["operationId"],
            "parameters": {"uuid": "$response.body#/inventory/uuid"},
        }
        for one in operations
        if one.described["operationId"].endswith("ByUuid")
    }
    result: Json = {
        "type": "object",
        "description": "What the API answers: see `x-zstack.result` of its operation.",
        "properties": {"inventory": {"type": "object", "description": "The resource that was made or changed."}},
    }
    return {
        "operationId": POLL,
        "summary": "Ask for the result of a job",
        "description": "No session is needed. A job is kept for three hours after its end.",
        "tags": ["jobs"],
        "security": [],
        "parameters": [
            {
                "name": "uuid",
                "in": "path",
                "required": True,
                "description": "The uuid of the job.",
                "schema": {"type": "string"},
            }
        ],
        "responses": {
            "200": {"description": "The job has succeeded.", "content": {JSON: {"schema": result}}, "links": links},
            "202": {
                "description": "The job has not ended: poll again.",
                "content": {JSON: {"schema": {"type": "object", "maxProperties": 0}}},
            },
            **shared,
            "404": {
                "description": "There is no such job, or not any more.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            "503": {
                "description": "The job has failed.",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
            },
        },
        "x-zstack": {"api": POLLS, "synchronous": True, "authenticated": False, "adminOnly": False, "state": "same"},
    }
