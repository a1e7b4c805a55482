"""Requests of the journal are found by all that they had, and a matcher that meets none says what came closest."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.lab_api import RequestLog
from imagestore_sim.lab_api.json_path import MOST_STEPS
from imagestore_sim.lab_api.request_matcher import RequestMatcher
from imagestore_sim.rest.journal import MOST_HEADERS, NOT_READ, Journal
from imagestore_sim.testing import Answer, Client
from rows import rows

STORAGES = "/zstack/v1/backup-storage/image-store"
ADD: dict[str, Any] = {
    "method": "POST", "path": STORAGES, "status": 202, "account": "36c2", "job": "0123", "client": "10.0.0.7",
    "api": "APIAddImageStoreBackupStorageMsg", "faults": ("latency-1", "answer_lost-2"),
    "headers": ((b"User-Agent", b"Go-http-client/1.1"), (b"Authorization", b"OAuth 9f86d081"), (b"X-A", b"1"),
                (b"X-A", b"2")),
    "body": {"params": {"name": "gold", "sshPort": 22, "password": "hush", "systemTags": ["remote", "onlybackup"],
                        "on": True, "nothing": None, "many": [{"a": 1}, {"a": 2}]}},
}  # fmt: skip
GET: dict[str, Any] = {
    "method": "GET", "path": "/zstack/v1/zones?q=name=z%20one&q=state=Enabled&limit=&q=password=hush", "status": 503,
    "error": "SYS.1006", "api": "APIQueryZoneMsg", "client": "10.0.0.8",
    "headers": ((b"accept", b"*/*"),), "body": None,
}  # fmt: skip


def journal_of(*rows: dict[str, Any]) -> Journal:
    journal = Journal()
    for number, one in enumerate(rows, 1):
        journal.add(**({"ended": float(number), "seconds": 0.001, "account": None, "job": None, "body": None} | one))
    return journal


def log_of(*rows: dict[str, Any]) -> RequestLog:
    return RequestLog(journal_of(*rows), RealClock())


def numbers(log: RequestLog, **matcher: Any) -> list[int]:
    return [one.number for one in log.find(**matcher)]


@rows(
    ("matcher", "found"),
    [
        ({}, [1, 2]),
        ({"method": "post"}, [1]),
        ({"method": "P*"}, [1]),
        ({"path": "/zstack/v1/zones"}, [2]),
        ({"path": "/v1/zones"}, [2]),
        ({"path": "*limit=*"}, [2]),
        ({"api": "AddImageStore*"}, [1]),
        ({"api": "API*ZoneMsg"}, [2]),
        ({"api": "api-jobs"}, []),
        ({"account": "36*"}, [1]),
        ({"client": "10.0.0.8"}, [2]),
        ({"client": "Go-http-client/*"}, [1]),
        ({"status": 202}, [1]),
        ({"status": "503"}, [2]),
        ({"status": "2xx"}, [1]),
        ({"error": "*"}, [2]),
        ({"error": "SYS.10*"}, [2]),
        ({"job": "0123"}, [1]),
        ({"fault": "answer_lost-*"}, [1]),
        ({"headers": {"USER-agent": "Go*"}}, [1]),
        ({"headers": {"User-Agent": None}}, [2]),
        ({"headers": {"X-A": "2"}}, [1]),
        ({"headers": {"Authorization": "OAuth *"}}, [1]),
        ({"headers": {"Authorization": "Basic *"}}, []),
        ({"query": {"q": "name=z one"}}, [2]),
        ({"query": {"q": ["state=*", "name=*"]}}, [2]),
        ({"query": {"q": ["state=*", "uuid=*"]}}, []),
        ({"query": {"limit": None}}, [1]),
        ({"query": {"q": "password=[*][*][*]"}}, [2]),
        ({"path": "/v1/zone[s]"}, [2]),
        ({"headers": {"User-Agent": "[FG]o*"}}, [1]),
        ({"query": {"q": "nam[a-e]=*"}}, [2]),
        ({"body": {}}, [1]),
        ({"body": {"params": {"name": "gold"}}}, [1]),
        ({"body": {"params": {"name": "gol*"}}}, []),
        ({"body": {"params": {"password": "***"}}}, [1]),
        ({"body": {"params": {"sshPort": 22.0}}}, [1]),
        ({"body": {"params": {"sshPort": "22"}}}, []),
        ({"body": {"params": {"on": 1}}}, []),
        ({"body": {"params": {"nothing": None, "absent": None}}}, [1]),
        ({"body": {"params": {"name": None}}}, []),
        ({"body": {"params": {"systemTags": ["remote"]}}}, []),
        ({"body": {"params": {"many": [{}, {"a": 2}]}}}, [1]),
        ({"json_path": "$.params.systemTags[?@ == 'remote']"}, [1]),
        ({"json_path": ["$..a", "$.params[?@ == 23]"]}, []),
        ({"jsonPath": "$[?length(@.name) == 4]"}, [1]),
        ({"since": 1}, [2]),
        ({"api": "*Zone*", "status": 202}, []),
    ],
)
def test_a_request_is_found_by_what_it_had(matcher: dict[str, Any], found: list[int]) -> None:
    log = log_of(ADD, GET)
    assert numbers(log, **matcher) == found
    assert log.count(matcher) == len(found)


def test_only_requests_after_a_time_are_found() -> None:
    log = log_of(ADD, GET)
    first, second = log.find()
    assert numbers(log, after=(first.time + second.time) / 2) == [2]


@rows(
    ("matcher", "error"),
    [
        ({"until": 1}, "until: is unknown; there are method, path, api, "),
        ({"after": float("inf")}, "after: expected a number"),
        ({"headers": {"a": 1}}, "headers.a: expected a text"),
        ({"headers": {str(one): "1" for one in range(33)}}, "headers: expected at most 32 of them"),
        ({"query": {"a": []}}, "query.a: "),
        ({"body": [1]}, "body: expected a mapping"),
        ({"body": {"a": {"password": "hush"}}}, 'the matcher: body.a.password is masked in the journal: expect "***"'),
        ({"body": {"a": [{"url": "http://u:hush@host"}]}}, "the matcher: body.a.0.url is masked in the journal"),
        ({"body": {"a": "x" * 20_000}}, "the matcher: body: is larger than 16384 bytes"),
        ({"headers": {"Cookie": "hush"}}, "the matcher: headers.cookie is masked in the journal: expect `*`"),
        ({"headers": {"Authorization": "OAuth 1*"}}, "the matcher: headers.authorization is masked"),
        ({"path": "/v1/accounts/sessions/hush"}, "the matcher: path: a secret in it is masked"),
        ({"path": "/v1/accounts/sessions/[!*]*"}, "the matcher: path: a secret in it is masked"),
        ({"path": "/v1/login[?]pass[w]ord=hush"}, "the matcher: path: a secret in it is masked"),
        ({"headers": {"X-Note": "pass[w]ord=hush"}}, "the matcher: headers.x-note: a secret in it is masked"),
        ({"query": {"q": "password=hush"}}, "the matcher: query.q is masked in the journal"),
        ({"json_path": "$[?@.password == 'hush']"}, "the matcher: jsonPath: a secret that it compares is masked"),
        ({"json_path": "name"}, "json_path: 'name' is no JSONPath"),
        ({"json_path": "$[?search(@.a, '(a+)+$')]"}, "json_path: \"$[?search(@.a, '(a+)+$')]\" is no JSONPath"),
        ({"json_path": "$[?@.a =~ /(a+)+$/]"}, "json_path: '$[?@.a =~ /(a+)+$/]' is no JSONPath"),
        ({"json_path": "$.a" + "[0]" * 90}, "json_path: has 273 characters, and 256 at most are read"),
    ],
)  # fmt: skip
def test_a_matcher_that_can_match_nothing_is_refused(matcher: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError) as refused:
        log_of(ADD, GET).find(**matcher)
    assert str(refused.value).startswith(error), refused.value
    assert "hush" not in str(refused.value).replace("= 'hush'", "")


HOSTILE_PATHS = (
    "$..*..*..*..nosuch",
    "$..[?$..[?$..[?@.nosuch]]]",
    "$..[?count($..*) == 1]",
    "$..[?@ == $]",
    "$..[?@ == $.a]",
    "$[?$ == $ && @ == 1]",
    "$[?" + "(" * 120 + "@.nosuch" + ")" * 120 + "]",
    "$[?" + "@[?" * 50 + "@.nosuch" + "]" * 51,
)


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return {"a": value, "b": [0] * 3000}


@pytest.mark.thorough
@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_hostile_json_path_ends_soon(path: str) -> None:
    log = log_of(*[{**ADD, "body": nested(80)}] * 100)
    began = time.thread_time()
    try:
        log.find(json_path=path)
    except ValueError as refused:
        text = str(refused)
        if "is no JSONPath" not in text:
            assert text == f"jsonPath: visits too much, more than {MOST_STEPS} members and elements in all"
    assert time.thread_time() - began < 3


def test_what_was_not_kept_is_not_taken_for_a_difference() -> None:
    large = {**ADD, "body": {"params": {"name": "gold", "description": "d" * 20_000}}}
    unread, unreadable = {**ADD, "body": NOT_READ}, {**ADD, "body": b"{nonsense"}
    many = {**ADD, "headers": tuple((b"x-%d" % one, b"") for one in range(MOST_HEADERS + 1))}
    log = log_of(large, unread, unreadable, ADD, many)
    by_body = log.search(RequestMatcher(body={"params": {"name": "gold"}}))
    assert ([one.number for one in by_body.entries], by_body.undecided) == ([4, 5], 2)
    by_header = log.search(RequestMatcher(headers={"x-64": "", "x-0": "*"} | {"x-64": "*"}))
    assert (by_header.entries, by_header.undecided) == ([], 1)
    with pytest.raises(AssertionError, match="cannot know: 2 requests may match"):
        log.assert_not_received(body={"params": {"name": "silver"}})


def test_a_dropped_request_may_have_matched() -> None:
    journal = Journal(most=2)
    for _ in range(3):
        journal.add(**({"ended": 0.0, "seconds": 0.0, "account": None, "job": None, "body": None} | GET))
    log = RequestLog(journal, RealClock())
    with pytest.raises(AssertionError, match="cannot know: the journal has dropped 1 older requests, which may match"):
        log.assert_not_received(method="POST")
    log.assert_not_received(method="POST", since=1)
    with pytest.raises(AssertionError, match="cannot know"):
        log.assert_received(method="GET", times=2)
    assert len(log.assert_received(method="GET")) == 2


def test_a_failed_assertion_shows_the_closest_request_and_its_differences() -> None:
    silver = {**ADD, "body": {"params": {"name": "silver", "url": "/a"}}}
    log = log_of(GET, silver, {**ADD, "body": None}, {**GET, "path": "/zstack/v1/images"})
    with pytest.raises(AssertionError) as failure:
        log.assert_received(
            method="POST", path=STORAGES, body={"params": {"name": "gold", "url": "/a", "sshPort": 22}}, status=200
        )
    assert str(failure.value).splitlines() == [
        f"expected a request: POST {STORAGES}, status 200, "
        'body {"params": {"name": "gold", "url": "/a", "sshPort": 22}}',
        "received 0, among 4 requests",
        "the closest:",
        f"  #2 POST {STORAGES} (APIAddImageStoreBackupStorageMsg) -> 202, met latency-1, answer_lost-2",
        "    status: expected 200, got 202",
        '    body.params.name: expected "gold", got "silver"',
        "    body.params.sshPort: expected 22, got none",
    ]
    with pytest.raises(AssertionError) as twice:
        log.assert_received(method="POST", times=1)
    assert str(twice.value).splitlines()[:2] == ["expected 1 request: POST", "received 2, among 4 requests"]
    with pytest.raises(AssertionError) as unwanted:
        log.assert_not_received(error="*", path="*/images")
    assert str(unwanted.value).splitlines() == [
        "expected no request: */images, error *",
        "received 1",
        "  #4 GET /zstack/v1/images (APIQueryZoneMsg) -> 503 SYS.1006",
    ]
    with pytest.raises(AssertionError, match=r"^expected a request: any request\nreceived 0, among 0 requests$"):
        log_of().assert_received()


def steps(*paths: str) -> list[dict[str, Any]]:
    return [{**GET, "path": path} for path in paths]


def test_a_sequence_is_followed_with_gaps_or_without() -> None:
    log = log_of(*steps("/a", "/b", "/poll", "/c", "/a", "/c"))
    assert [one.number for one in log.assert_sequence(steps_of("/a", "/c", "/a"))] == [1, 4, 5]
    assert [one.number for one in log.assert_sequence(steps_of("/a", "/c"), strict=True)] == [5, 6]
    among = {"path": "/[!p]*"}
    assert [one.number for one in log.assert_sequence(steps_of("/b", "/c"), strict=True, among=among)] == [2, 4]
    assert [one.number for one in log.assert_sequence(steps_of("/a", "/c"), since=2)] == [5, 6]


def steps_of(*paths: str) -> list[dict[str, object]]:
    return [{"path": path} for path in paths]


def test_a_sequence_that_is_not_there_names_the_first_that_is_missing() -> None:
    log = log_of(*steps("/b", "/a", "/bb", "/d"))
    with pytest.raises(AssertionError) as gaps:
        log.assert_sequence(steps_of("/a", "/b", "/d"))
    assert str(gaps.value).splitlines() == [
        "request 2 of 3 of the sequence is missing: /b",
        "  1. #2 GET /a (APIQueryZoneMsg) -> 503 SYS.1006",
        "the closest after #2:",
        "  #3 GET /bb (APIQueryZoneMsg) -> 503 SYS.1006",
        "    path: expected /b, got /bb",
        "it came, but too early:",
        "  #1 GET /b (APIQueryZoneMsg) -> 503 SYS.1006",
    ]
    with pytest.raises(AssertionError) as strict:
        log.assert_sequence(steps_of("/a", "/d"), strict=True)
    assert "what came next after #2:\n  #3 GET /bb" in str(strict.value)
    with pytest.raises(AssertionError, match="no request came after #4"):
        log.assert_sequence(steps_of("/d", "/d"))
    with pytest.raises(AssertionError, match="no request came at all"):
        log_of().assert_sequence(steps_of("/d"))


PAGE = Path(__file__).parents[2] / "docs" / "requests.md"


def test_every_field_of_a_matcher_is_in_the_manual() -> None:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("## What a matcher says")
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert listed == [field.alias or name for name, field in RequestMatcher.model_fields.items()]


# Over the lab's API


@pytest.fixture
def client(imagestore_client: Client) -> Client:
    return imagestore_client


async def post(client: Client, call: str, body: object) -> Answer:
    return await client.request("POST", f"{client.url}/lab/v1/requests/{call}", body)


@pytest.mark.imagestore_lab(hosts=0)
async def test_the_lab_s_api_answers_all_of_it(client: Client) -> None:
    await client.add_image_store("gold", description="d" * 100)
    gold = {"api": "AddImageStore*", "body": {"params": {"name": "gold"}}}
    found = (await post(client, "find", gold)).body
    [added] = found["requests"]
    assert (added["status"], added["client"], added["faults"], found["dropped"]) == (202, "127.0.0.1", [], 0)
    assert added["headers"]["authorization"] == "OAuth ***"
    assert (await post(client, "count", {"jsonPath": "$.params[?@ == 'gold']"})).body["count"] == 1
    waited = await post(client, "wait", {**gold, "count": 1, "within": "1s"})
    assert (waited.status, len(waited.body["requests"])) == (200, 1)
    expected = {"method": "POST", "path": "*/image-store", "body": {"params": {"name": "silver"}}}
    near = (await post(client, "near-misses", {"expected": expected, "most": 1})).body
    [difference] = near["nearMisses"][0]["differences"]
    assert difference == {"field": "body.params.name", "expected": '"silver"', "got": '"gold"', "known": True}
    assert near["text"].splitlines()[-1] == '    body.params.name: expected "silver", got "gold"'
    late = await post(client, "wait", {**expected, "within": "50ms"})
    assert (late.status, late.body["error"]) == (408, "0 of 1 requests came within 0.05 s")
    assert late.body["nearMisses"][0]["differences"] == [difference]
    followed = (await post(client, "sequence", {"expected": [{"path": "*/login"}, gold]})).body
    assert (followed["followed"], followed["missing"], followed["text"]) == (True, None, "")
    broken = (await post(client, "sequence", {"expected": [gold, {"path": "*/login"}]})).body
    assert (broken["followed"], broken["missing"], len(broken["requests"])) == (False, 2, 1)
    assert "it came, but too early:\n  #1 PUT" in broken["text"]


@pytest.mark.imagestore_lab(hosts=0)
async def test_a_request_is_found_by_the_fault_that_it_met(client: Client) -> None:
    fault = {"kind": "api_error", "code": "SYS.1001", "when": {"api": "QueryZone", "nth": 2}}
    assert (await client.request("POST", f"{client.url}/lab/v1/node/faults", fault)).status == 201
    for _ in range(3):
        await client.request("GET", "/zones")
    [met] = (await post(client, "find", {"fault": "api_error-*"})).body["requests"]
    assert (met["faults"], met["error"], met["status"], met["api"]) == (
        ["api_error-1"], "SYS.1001", 503, "APIQueryZoneMsg",
    )  # fmt: skip
    expected = [{"error": "SYS.1001"}, {"api": "QueryZone", "status": 200}]
    assert (await post(client, "sequence", {"expected": expected})).body["followed"]


@pytest.mark.imagestore_lab(hosts=0)
async def test_a_test_waits_for_a_body(client: Client) -> None:
    waiting = asyncio.create_task(post(client, "wait", {"body": {"params": {"name": "gold"}}, "within": "10s"}))
    await client.call("POST", "/zones", {"params": {"name": "silver"}})
    await client.call("POST", "/zones", {"params": {"name": "gold"}})
    answer = await waiting
    assert [one["body"] for one in answer.body["requests"]] == ['{"params":{"name":"gold"}}']


@pytest.mark.imagestore_lab(hosts=0)
@rows(
    ("call", "body", "error"),
    [
        ("find", {"status": [1]}, "status"),
        ("find", {"body": {"password": "hush"}}, "the body: body.password is masked in the journal"),
        ("wait", {"count": 0}, "count: expected 1 or more"),
        ("sequence", {"expected": []}, "expected: expected at least 1 of them"),
        ("sequence", {"expected": [{}] * 51}, "expected: expected at most 50 of them"),
        ("near-misses", {"expected": {}, "most": 21}, "most: expected 20 or less"),
        ("near-misses", {}, "expected: is required"),
    ],
)
async def test_an_invalid_body_is_refused(client: Client, call: str, body: object, error: str) -> None:
    answer = await post(client, call, body)
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text
    assert "hush" not in answer.text
