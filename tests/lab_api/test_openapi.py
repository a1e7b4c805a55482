"""The OpenAPI document of `/lab/v1`: valid, and of every route."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from imagestore_sim.faults import FAULTS, NODE_FAULTS
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.examples import examples
from imagestore_sim.lab_api.openapi import lab_api_routes
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures

PAGE = Path(__file__).parents[2] / "docs" / "lab-api.md"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=1)]
imagestore_lab, imagestore_client = reset_fixtures()


async def document(client: Client) -> dict[str, Any]:
    answer = await client.request("GET", f"{client.url}/lab/v1/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.body


def calls(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}


@pytest.mark.thorough
async def test_the_document_is_valid(imagestore_client: Client) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # not above: it takes long

    OpenAPIV31SpecValidator(await document(imagestore_client)).validate()


async def test_every_call_has_an_id_of_its_own_and_a_summary(imagestore_client: Client) -> None:
    described = await document(imagestore_client)
    ids = [one["operationId"] for operations in described["paths"].values() for one in operations.values()]
    assert len(set(ids)) == len(ids)
    assert all(one["summary"] for operations in described["paths"].values() for one in operations.values())


async def test_every_route_is_in_it_and_nothing_else(imagestore_client: Client, imagestore_lab: Lab) -> None:
    node = imagestore_lab.node
    routes = lab_api_routes(list(node.http.lab_routes()), node.foundation.guard)
    served = {(route.method, route.path) for route in routes if route.method != "*"}
    assert calls(await document(imagestore_client)) == served


async def test_every_call_has_a_description_and_an_example(imagestore_client: Client) -> None:
    described = await document(imagestore_client)
    every = {one["operationId"]: one for operations in described["paths"].values() for one in operations.values()}
    assert all(one["description"] for one in every.values())
    parameters = [parameter for one in every.values() for parameter in one["parameters"]]
    assert all(parameter["description"] for parameter in parameters)
    assert every.keys() - examples().keys() == {"getOpenapiJson"}, "a line in docs/generators/lab_examples.py"


async def test_examples_fit_the_schemas(imagestore_client: Client) -> None:
    described = await document(imagestore_client)
    components = {"components": described["components"]}
    for operations in described["paths"].values():
        for operation in operations.values():
            answered = next(iter(operation["responses"].values()))
            for content in (operation.get("requestBody", {}), answered):
                for media in content.get("content", {}).values():
                    schema = jsonschema_rs.validator_for(media["schema"] | components)
                    for example in media.get("examples", {}).values():
                        schema.validate(example["value"])


async def test_every_call_is_in_the_manual(imagestore_client: Client) -> None:
    listed = set(re.findall(r"^\| `([A-Z]+) (/lab/v1/\S+)` \|", PAGE.read_text(), re.MULTILINE))
    assert listed == calls(await document(imagestore_client))


async def test_answers_fit_the_document(imagestore_client: Client) -> None:
    described = await document(imagestore_client)
    await imagestore_client.request(
        "POST", f"{imagestore_client.url}/lab/v1/hosts/imagestore-1/faults", {"kind": "fill", "for": "1h"}
    )
    await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/node/faults", {"kind": "no_accept"})
    [storage] = await imagestore_client.query("/backup-storage")
    checked = set()
    for path, operations in described["paths"].items():
        answered = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        reference = answered.get("application/json", {}).get("schema", {}).get("$ref")
        if reference is None or path.startswith("/lab/v1/stories"):  # these need the library: test_stories.py
            continue
        named = path.replace("{name}", "imagestore-1").replace("{id}", "no_accept-1").replace("{uuid}", storage["uuid"])
        named = named.replace("{number}", "1")
        url = f"{imagestore_client.url}{named}"
        answer = await imagestore_client.request("GET", url)
        assert answer.status == 200, answer.text
        schema = {"$ref": reference, "components": described["components"]}
        Draft202012Validator(schema).validate(answer.body)
        checked.add(path)
    assert {"/lab/v1/hosts", "/lab/v1/hosts/{name}", "/lab/v1/faults", "/lab/v1/clock", "/lab/v1/requests"} <= checked


async def test_every_kind_of_fault_is_a_body_of_its_own(imagestore_client: Client) -> None:
    described = await document(imagestore_client)
    kinds = described["components"]["schemas"]["FaultToApply"]["oneOf"]
    assert {one["properties"]["kind"]["const"] for one in kinds} == FAULTS.keys()
    schema = Draft202012Validator({"oneOf": kinds})
    assert schema.is_valid({"kind": "fill", "to": "100%", "over": "5m", "for": "1h"})
    assert not schema.is_valid({"kind": "fill", "too": "100%"})


async def test_every_kind_of_the_management_plane_is_a_body_with_an_example(imagestore_client: Client) -> None:
    body = (await document(imagestore_client))["components"]["schemas"]["NodeFaultToSet"]
    assert {one["properties"]["kind"]["const"] for one in body["oneOf"]} == NODE_FAULTS.keys()
    schema = Draft202012Validator({"oneOf": body["oneOf"]})
    assert [one["kind"] for one in body["examples"]] == list(NODE_FAULTS)
    for example in body["examples"]:
        schema.validate(example)
    assert not schema.is_valid({"kind": "latency", "when": {"apy": "Add*"}})


async def test_a_path_that_is_not_served_is_a_404(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("PUT", f"{imagestore_client.url}/lab/v1/guests")
    text = "nothing is served for PUT /lab/v1/guests; /lab/v1/openapi.json lists what is"
    assert (answer.status, answer.body) == (404, {"error": text})


async def test_a_method_that_a_path_does_not_have_is_a_405(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("PUT", f"{imagestore_client.url}/lab/v1/hosts")
    text = "PUT is not allowed for /lab/v1/hosts; GET, HEAD, POST are"
    assert (answer.status, answer.headers["Allow"], answer.body) == (405, "GET, HEAD, POST", {"error": text})
