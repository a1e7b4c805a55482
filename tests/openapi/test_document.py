"""The OpenAPI document of ZStack's API: valid, complete, and what a node serves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from generate import GENERATED
from imagestore_sim.api import handlers_of
from imagestore_sim.api.fidelity import State, state_of
from imagestore_sim.openapi.document import document
from imagestore_sim.openapi.examples import Example, examples
from imagestore_sim.query.conditions import OPERATOR_TOKENS
from imagestore_sim.rest.leniency import STRICT
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.versions import DEFAULT, VERSIONS
from imagestore_sim.testing import Client
from rows import rows

Json = dict[str, Any]
REFERENCE = re.compile(r"'#/components/schemas/([^']+)'")


@cache
def whole(one_an_api: bool = False) -> Json:
    return document(one_an_api=one_an_api)


def schemas() -> Json:
    found: Json = whole(True)["components"]["schemas"]
    return found


def test_a_number_has_the_width_of_zstack_s() -> None:
    members = schemas()["ImageStoreBackupStorageInventory"]["properties"]
    assert members["sshPort"]["format"] == "int32"
    assert members["totalCapacity"]["format"] == "int64"


def operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, by_method in described["paths"].items():
        for method, operation in by_method.items():
            yield path, method, operation


def emulated() -> set[type[Message]]:
    working = (State.SAME, State.DEVIATES)
    by_message = handlers_of(DEFAULT).by_message
    return {message for message, handler in by_message.items() if state_of(message, handler) in working}


def by_name(message: type[Message]) -> str:
    return message.__name__


def apis_of(described: Json) -> list[str]:
    facts = [
        operation.get("x-zstack-actions", [operation["x-zstack"]] if "x-zstack" in operation else [])
        for *_, operation in operations(described)
    ]
    return [one["api"] for several in facts for one in several]


EMULATED: list[type[Message]] = sorted(emulated(), key=by_name)


@pytest.mark.thorough
@pytest.mark.parametrize("one_an_api", [False, True])
def test_the_document_is_valid(one_an_api: bool) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # not above: it takes long

    OpenAPIV31SpecValidator(whole(one_an_api)).validate()


@pytest.mark.parametrize("one_an_api", [False, True])
def test_every_emulated_api_is_in_it_and_no_other(one_an_api: bool) -> None:
    expected = {message.__name__ for message in emulated()} | {"api-jobs"}
    assert set(apis_of(whole(one_an_api))) == expected


def test_operation_ids_are_unique_and_every_operation_has_a_summary() -> None:
    for described in (whole(), whole(True)):
        ids = [operation["operationId"] for *_, operation in operations(described)]
        assert len(ids) == len(set(ids))
        assert all(operation["summary"] and operation["tags"] for *_, operation in operations(described))


def test_apis_that_share_a_path_are_one_operation_whose_body_is_one_of_theirs() -> None:
    operation = whole()["paths"]["/zstack/v1/backup-storage/image-store/{uuid}/actions"]["put"]
    bodies = [one["$ref"] for one in operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]]
    required = [whole()["components"]["schemas"][body.rpartition("/")[2]]["required"] for body in bodies]
    keys = ["reclaimSpaceFromImageStore", "reconnectImageStoreBackupStorage", "updateImageStoreBackupStorage"]
    assert required == [[key] for key in keys]
    assert [one["bodyKey"] for one in operation["x-zstack-actions"]] == keys


def test_the_unfolded_document_has_each_action_under_a_path_of_its_own() -> None:
    paths = whole(True)["paths"]
    operation = paths["/zstack/v1/backup-storage/{uuid}/actions#reconnectBackupStorage"]["put"]
    assert operation["operationId"] == "ReconnectBackupStorage"
    assert operation["x-zstack"]["synchronous"] is False
    assert {"200", "202", "503"} <= operation["responses"].keys()


def test_a_query_lists_its_fields_and_the_twelve_operators() -> None:
    query = whole()["paths"]["/zstack/v1/zones"]["get"]
    condition = query["parameters"][0]
    assert (condition["name"], condition["style"], condition["explode"]) == ("q", "form", True)
    assert {"name": "isDefault", "kind": "boolean"} in query["x-zstack"]["query"]["fields"]
    assert [one["token"] for one in whole()["x-zstack"]["operators"]] == [token for token, _ in OPERATOR_TOKENS]
    pattern = re.compile(condition["schema"]["items"]["pattern"])
    assert all(pattern.search(f"name{token}x") for token, _ in OPERATOR_TOKENS)
    assert not pattern.search("name")


def test_a_job_is_linked_from_its_call_to_the_poll_and_to_the_resource() -> None:
    begun = whole()["paths"]["/zstack/v1/zones"]["post"]["responses"]["202"]
    assert begun["links"] == {"job": {"$ref": "#/components/links/job"}}
    assert whole()["components"]["links"]["job"]["operationId"] == "pollJob"
    ended = whole()["paths"]["/zstack/v1/api-jobs/{uuid}"]["get"]["responses"]["200"]
    assert ended["links"]["queryZoneByUuid"]["parameters"] == {"uuid": "$response.body#/inventory/uuid"}


def test_a_strict_node_and_an_old_version_have_fewer_apis() -> None:
    assert "/zstack/v1/tags" not in document(leniency=STRICT)["paths"]
    old = document(version=VERSIONS["3.10"])
    assert old["x-zstack"]["version"] == "3.10.0"
    assert set(apis_of(old)) < set(apis_of(whole()))


def test_every_parameter_and_every_member_of_a_body_has_a_text() -> None:
    silent = []
    for path, method, operation in operations(whole(True)):
        silent += [
            (method, path, one["name"])
            for one in operation["parameters"]
            if "$ref" not in one and not one.get("description")
        ]
    for name in {f"{message.__name__}" for message in emulated()} & whole(True)["components"]["schemas"].keys():
        members = whole(True)["components"]["schemas"][name]["properties"]
        silent += [("body", name, member) for member, schema in members.items() if not schema.get("description")]
    assert silent == []


def test_every_api_has_an_example_that_was_answered() -> None:
    answered = {name for name, known in examples().items() if known.succeeded or known.failed}
    assert answered == {message.__name__ for message in emulated()}


@rows("message", EMULATED, ids=by_name)
def test_examples_fit_the_schemas(message: type[Message]) -> None:
    for example in examples()[message.__name__].succeeded:
        operation = operation_of(message, example)
        if example.body is not None:
            validate(operation["requestBody"]["content"]["application/json"]["schema"], example.body)
        validate(operation["responses"][str(example.status)]["content"]["application/json"]["schema"], example.answer)
        if example.result is not None:
            validate(operation["x-zstack"]["result"], example.result)
    for example in examples()[message.__name__].failed:
        failed = example.answer if example.result is None else example.result
        if example.status in (202, 503):
            validate({"$ref": "#/components/schemas/ErrorAnswer"}, failed)


def operation_of(message: type[Message], example: Example) -> Json:
    """Return the operation of an API on the path of an example."""
    for path, _, operation in operations(whole(True)):
        has_its_variables = set(re.findall(r"{(\w+)}", path)) == example.variables.keys()
        if has_its_variables and operation["x-zstack"]["api"] == message.__name__:
            return operation
    raise LookupError(f"{message.__name__} has no path with {', '.join(example.variables)}")


def validate(schema: Json, value: object) -> None:
    """Fail the test if a value does not fit a schema of the document; inventories may have no member that it lacks."""
    needed = reached(str(schema))
    strict = {name: one for name, one in closed().items() if name in needed}
    jsonschema_rs.validator_for({**schema, "components": {"schemas": strict}}).validate(value)


def reached(text: str) -> set[str]:
    """Return the names of the schemas that a text refers to, and of those that these refer to."""
    found: set[str] = set()
    left = set(REFERENCE.findall(text))
    while left:
        found |= left
        left = {other for name in left for other in referred(name)} - found
    return found


@cache
def referred(name: str) -> set[str]:
    """Return the names of the schemas that a schema refers to itself."""
    return set(REFERENCE.findall(str(closed()[name])))


@cache
def closed() -> Json:
    """Return the schemas, with no other members in objects than those that are described."""
    return {
        name: {"additionalProperties": False, **one} if "properties" in one else one for name, one in schemas().items()
    }


@pytest.mark.thorough
def test_a_lab_still_answers_the_examples_as_they_are() -> None:
    assert GENERATED["api-examples"].stale() == [], "run `make docs PAGES=api-examples`"


def test_the_document_stays_readable() -> None:
    assert len(str(whole())) < 1_200_000


async def test_a_node_serves_it_without_a_session(shared_client: Client) -> None:
    for query, expected in (((), whole()), ((("unfolded", ""),), whole(True))):
        answer = await shared_client.request(
            "GET", f"{shared_client.url}/openapi.json", query=query, headers={"Authorization": "none"}
        )
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.body == expected
