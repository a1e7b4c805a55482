"""One operation: an API on one of its paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from imagestore_sim.api.catalogue import catalogue, message_name
from imagestore_sim.openapi.errors import errors_of
from imagestore_sim.openapi.examples import NONE, Example, Examples, examples
from imagestore_sim.openapi.parameters import MessageParameters, variables_of
from imagestore_sim.openapi.queries import describe, query_parameters
from imagestore_sim.openapi.schemas import Json, Schemas
from imagestore_sim.openapi.texts import description_of, summary_of
from imagestore_sim.query import Inventory
from imagestore_sim.rest.messages import Message

PREFIX = "/zstack/v1"
JSON = "application/json"
HEADERS = "#/components/parameters/header."
JOB = "Job"
POLL = "pollJob"
WITH_JOB = ("jobUuid", "timeout", "webHook", "schema")
WITHOUT_JOB = ("schema",)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the document, and what joining it with others needs to know."""

    message: type[Message]
    path: str
    """Below the version."""
    described: Json

    @property
    def method(self) -> str:
        """The HTTP method, in small letters."""
        return self.message.api.method.lower()

    @property
    def key(self) -> str:
        """The member of the body that holds the parameters; empty for a call without a body."""
        return self.message.api.body_key if self.message.api.method in ("POST", "PUT") else ""


def operation_id(message: type[Message], path: str = "") -> str:
    """Return the name of an operation: that of its API without `API` and `Msg`, and the variables of a second path."""
    name = message.__name__.removeprefix("API").removesuffix("Msg")
    if path in ("", message.api.paths[0]):
        return name
    names = (f"{one[0].upper()}{one[1:]}" for one in variables_of(path))
    return f"{name}By{'And'.join(names)}"


class Describer:
    """Describes APIs, and collects the schemas that they refer to."""

    def __init__(self, schemas: Schemas, *, unfolded: bool) -> None:
        """`unfolded`: for an explorer, which shows the result of a job as the answer to the call."""
        self._schemas = schemas
        self._unfolded = unfolded

    def operations(self, message: type[Message]) -> Iterator[Operation]:
        """Yield the operations of an API: one for each path."""
        for path in message.api.paths:
            yield Operation(message, path, self._describe(message, path))

    def _describe(self, message: type[Message], path: str) -> Json:
        api = message.api
        known = examples().get(message.__name__, NONE)
        example = next((one for one in known.succeeded if one.variables.keys() == set(variables_of(path))), None)
        described: Json = {
            "operationId": operation_id(message, path),
            "summary": summary_of(message),
            "description": self._description(message),
            "tags": [tag_of(message)],
            "parameters": list(self._parameters(message, path, example)),
            "responses": self._responses(message, known, example),
            "x-zstack": self._facts(message, known),
        }
        if api.method in ("POST", "PUT"):
            described["requestBody"] = self._body(message, path, example)
        if not api.authenticated:
            described["security"] = []
        if not api.sync:
            described["callbacks"] = {"jobEnded": _posted_result(message, self._answer(message))}
        return described

    def _description(self, message: type[Message]) -> str:
        api = message.api
        text = description_of(message)
        if not api.sync:
            text += "\n\nThe call is answered at once, with a job to poll: see `links`."
        return f"{text}\n\nUnlike ZStack: {api.deviation}." if api.deviation else text

    def _parameters(self, message: type[Message], path: str, example: Example | None) -> Iterator[Json]:
        api, parameters = message.api, MessageParameters(message)
        yield from parameters.in_path(path, None if example is None else dict(example.variables))
        inventory = inventory_of(message)
        if inventory is not None:
            if not variables_of(path):
                conditions = [] if example is None else example.query.get("q", [])
                yield from query_parameters(inventory, conditions[0] if conditions else None)
            return
        if api.method in ("GET", "DELETE"):
            for one in parameters.in_query_string(path):
                given = {} if example is None else example.query
                yield one | ({"example": given[one["name"]]} if one["name"] in given else {})
        yield from ({"$ref": f"{HEADERS}{name}"} for name in (WITHOUT_JOB if api.sync else WITH_JOB))

    def _body(self, message: type[Message], path: str, example: Example | None) -> Json:
        content: Json = {"schema": MessageParameters(message).body(path, self._schemas, message.api.body_key)}
        if example is not None and example.body is not None:
            content["examples"] = {message.__name__: {"value": example.body}}
        return {"required": True, "content": {JSON: content}}

    def _responses(self, message: type[Message], known: Examples, example: Example | None) -> Json:
        api = message.api
        failed = {
            f"{message.__name__}-{number}": {"value": one.answer}
            for number, one in enumerate(known.failed, 1)
            if one.status == 503
        }
        errors = errors_of(api, failed)
        shown = {} if example is None else {message.__name__: {"value": example.answer}}
        if api.sync:
            return {"200": _response("The result.", self._answer(message), shown), **errors}
        begun: Json = _response("The call has begun.", {"$ref": f"#/components/schemas/{JOB}"}, shown)
        begun["links"] = {"job": {"$ref": "#/components/links/job"}}
        responses = {"202": begun, **errors}
        if self._unfolded:
            result = {} if example is None else {message.__name__: {"value": example.result}}
            text = "The result of the job, as a poll of it is answered."
            responses = {"200": _response(text, self._answer(message), result), **responses}
            fails = {
                f"{message.__name__}-job-{number}": {"value": one.result}
                for number, one in enumerate(known.failed, 1)
                if one.result is not None
            }
            if fails:
                responses["503"]["content"][JSON].setdefault("examples", {}).update(fails)
        return responses

    def _answer(self, message: type[Message]) -> Json:
        """Return a reference to the schema of what an API answers in the end."""
        api = message.api
        members = {name: self._schemas.of(kind) for name, kind in api.reply.items()}
        if api.with_success:
            members["success"] = {"type": "boolean", "description": "Always true."}
        members["schema"] = {"$ref": "#/components/schemas/JavaClasses"}
        name = f"{message.__name__.removesuffix('Msg')}{'Reply' if api.sync else 'Event'}"
        return self._schemas.add(name, {"type": "object", "properties": members})

    def _facts(self, message: type[Message], known: Examples) -> Json:
        """Return what OpenAPI has no place for."""
        api = message.api
        facts: Json = {
            "api": message.__name__,
            "javaClass": api.java_class,
            "response": api.response_class,
            "action": api.action,
            "synchronous": api.sync,
            "authenticated": api.authenticated,
            "adminOnly": api.admin_only,
            "paid": api.paid,
            "paths": [f"{PREFIX}{path}" for path in api.paths],
            "state": "deviates" if api.deviation else "same",
            "source": api.source,
        }
        if api.method in ("POST", "PUT"):
            facts["bodyKey"] = api.body_key
        if api.deviation:
            facts["deviation"] = api.deviation
        if since := _since().get(message.__name__):
            facts["since"] = since
        if not api.sync:
            facts["timeoutSeconds"] = api.timeout_seconds
            facts["result"] = self._answer(message)
            if not self._unfolded:
                facts |= _results("resultExample", known.succeeded) | _results("failureExample", known.failed)
        inventory = inventory_of(message)
        if inventory is not None:
            facts["query"] = describe(inventory)
        return facts


def inventory_of(message: type[Message]) -> Inventory | None:
    """Return the inventory that a query lists, None for any other API."""
    inventory = getattr(message, "inventory", None)
    return inventory if isinstance(inventory, Inventory) else None


def tag_of(message: type[Message]) -> str:
    """Return the group of an API: its module, which is named for a resource."""
    return message.__module__.rpartition(".")[2].replace("_", "-")


def _results(name: str, found: Iterable[Example]) -> Json:
    """Return the result of the first job in examples, under a name."""
    return next(({name: one.result} for one in found if one.result is not None), {})


def _posted_result(message: type[Message], result: Json) -> Json:
    """Return the callback that posts the result of a job to the address in X-Web-Hook."""
    failed = {"$ref": "#/components/schemas/ErrorAnswer"}
    post: Json = {
        "operationId": f"{operation_id(message)}Ended",
        "summary": "The job has ended",
        "description": "Posted to the URL in X-Web-Hook; X-Job-UUID names the job, X-Job-Success is `true` or `false`.",
        "tags": [tag_of(message)],
        "security": [],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"anyOf": [result, failed]}}}},
        "responses": {
            "200": {"description": "The result has come."},
            "4XX": {"description": "It has not: it is sent again, up to 15 times."},
        },
    }
    return {"{$request.header.X-Web-Hook}": {"post": post}}


def _response(text: str, schema: Json, shown: Json) -> Json:
    content: Json = {"schema": schema}
    if shown:
        content["examples"] = shown
    return {"description": text, "content": {JSON: content}}


@cache
def _since() -> dict[str, str]:
    return {message_name(api): api["since"] for api in catalogue()["apis"] if "since" in api}
