"""Every API that ZStack's SDK or its MCP catalogue names works, has an empty list, or answers that it is not emulated.

None answers like a mistyped path, or with another API's answer.
"""

from __future__ import annotations

import re

import orjson
import pytest

from fixed_data import B1
from imagestore_sim.api import all_handlers
from imagestore_sim.api.catalogue import catalogue, java_class, message_name
from imagestore_sim.api.not_emulated import EmptyQuery, refuse
from imagestore_sim.rest.messages import Message
from imagestore_sim.rest.parameters import Api
from imagestore_sim.rest.routing import Router
from imagestore_sim.testing import Answer, CallFailed, Client

pytestmark = pytest.mark.thorough

MESSAGES = all_handlers().by_message
REFUSED = [message.api for message, handler in MESSAGES.items() if handler is refuse]
EMPTY = [message.api for message in MESSAGES if issubclass(message, EmptyQuery)]
ASYNC = [api for api in REFUSED if api.paths and not api.sync]
FOLLOWED = 25
"""One job in this many is followed to its end; the others are only accepted."""
LEGACY = "/zstack/api"


def test_the_catalogue_is_that_of_both_sources() -> None:
    known = catalogue()
    apis = known["apis"]
    assert len([one for one in apis if "sdk" in str(one.get("in", "sdk mcp"))]) + len(known["aliases"]) == 1905
    assert len([one for one in apis if "mcp" in str(one.get("in", "sdk mcp"))]) == 1931
    assert {message_name(one) for one in apis} == {message.__name__ for message in MESSAGES}


def test_declared_apis_are_those_of_the_catalogue() -> None:
    facts = {message_name(one): one for one in catalogue()["apis"]}
    for api in (message.api for message in MESSAGES):
        known = facts[api.name]
        assert (api.sync, api.authenticated) == (known.get("sync", False), known.get("session", True)), api.name
        assert set(known.get("paths", ())) <= set(api.paths), api.name
        assert api.method == known.get("method", api.method), api.name
        assert api.java_class.endswith(java_class(known)), api.name


def test_each_request_reaches_its_own_api() -> None:
    router = Router.of(tuple(MESSAGES))
    assert [api.name for message in MESSAGES if (api := message.api).paths and not reaches(router, message)] == []


def reaches(router: Router, message: type[Message]) -> bool:
    api = message.api
    chosen = (
        router.find(tuple(path.removeprefix("/").split("/")), path).choose(api.method, path, {api.body_key: {}})
        for path in map(filled, api.paths)
    )
    return all(one.message is message for one in chosen)


async def test_what_is_not_emulated_says_so_under_its_own_name(fixed: Client) -> None:
    jobs = []
    for api in [api for api in REFUSED if api.paths and api.sync] + ASYNC[::FOLLOWED]:
        answer = await ask(fixed, api, api.paths[0])
        if api.sync:
            assert_refused(api, answer)
        else:
            jobs.append((api, str(answer.body["location"])))
    for api, location in jobs:
        assert_refused(api, await fixed.follow(location))


async def test_no_api_that_is_not_emulated_answers_like_a_mistyped_path(fixed: Client) -> None:
    """Ask without a session, which ZStack looks at once it has found the API: no job is started."""
    fixed.session_uuid = None
    for api in ASYNC:
        for path in api.paths:
            answer = await ask(fixed, api, path)
            expected = (400, "missing header 'Authorization'") if api.authenticated else (202, answer.text)
            assert (answer.status, answer.text) == expected, api.name


def assert_refused(api: Api, answer: Answer) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (503, "SYS.1014"), api.name
    assert answer.body["error"]["details"] == f"not emulated: {api.name}, see docs/fidelity.md"


async def test_queries_of_what_a_lab_has_none_of_are_empty(fixed: Client) -> None:
    for api in EMPTY:
        for path in api.paths:
            answer = await ask(fixed, api, path)
            assert (answer.status, answer.body) == (200, {"inventories": [], "schema": {}}), api.name


async def ask(client: Client, api: Api, path: str) -> Answer:
    body: dict[str, object] | None = None if api.method in ("GET", "DELETE") else {api.body_key: {}}
    return await client.request(api.method, filled(path), body)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", B1, path)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ([("q", "anything=1"), ("limit", "3")], {"inventories": []}),
        ([("count", "true")], {"total": 0}),
        ([("replyWithCount", "true")], {"inventories": [], "total": 0}),
    ],
)
async def test_an_empty_query_counts_as_any_other(
    fixed: Client, query: list[tuple[str, str]], answer: dict[str, object]
) -> None:
    assert await fixed.call("GET", "/volume-backups", query=query) == {**answer, "schema": {}}


@pytest.mark.parametrize(
    ("name", "member", "text"),
    [
        pytest.param("org.zstack.header.image.APICloneImageMsg", "error", "SYS.1014", id="in the MCP catalogue alone"),
        pytest.param("org.zstack.vmware.APIAddVCenterMsg", "error", "SYS.1014", id="of a package that is not known"),
        pytest.param("org.zstack.ai.message.APIQueryModelMsg", "inventories", "[]", id="a query"),
    ],
)
async def test_the_legacy_api_knows_them_too(fixed: Client, name: str, member: str, text: str) -> None:
    fields = {"session": {"uuid": fixed.session_uuid}, "conditions": []}
    answer = (await fixed.request("POST", f"{fixed.url}{LEGACY}", {name: fields})).body
    while answer["state"] != "Done":
        answer = (await fixed.request("GET", f"{fixed.url}{LEGACY}/result/{answer['uuid']}")).body
    [result] = orjson.loads(answer["result"]).values()
    assert text in str(result[member])


async def test_even_an_api_that_is_not_emulated_needs_a_session(fixed: Client) -> None:
    fixed.session_uuid = None
    answer = await fixed.request("GET", "/vm-instances/x/qga")
    assert (answer.status, answer.text) == (400, "missing header 'Authorization'")


async def test_a_session_that_has_ended_is_told_first(fixed: Client) -> None:
    fixed.session_uuid = B1
    with pytest.raises(CallFailed, match=r"ID\.1001"):
        await fixed.call("POST", "/vcenters", {"params": {}})
