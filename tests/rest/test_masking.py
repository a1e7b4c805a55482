"""Secrets are masked in the journal and the log, however a client has written them; nothing else is changed."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import pytest
from raw_client import RawClient, open_raw_client

from imagestore_sim.masking import masked_json, masked_path, masked_text
from imagestore_sim.rest.journal import NOT_READ, UNREADABLE
from rows import rows

H = "hush"
BODIES = (
    '{"params": {"password": "hush"}}',
    "{params:{password:'hush'}}",
    "{params:{password:hush}}",
    "{'params'={'password'=>'hush'}}",
    r'{"params": {"p\u0061ssword": "hush"}}',
    r'{"params": {"\u0070\u0061\u0073\u0073word": "\u0068ush"}}',
    r'{"params": {"pass\u0077ord": "x", "a": 1, "b": 2, "c": 3, "d": 4, "passWORD": "hush"}}',
    '{"params": {"password": "first", "password": "hush"}}',
    '{"a": {"b": [{"c": {"newPassword": "hush"}}, {"accessKeySecret": "hush"}]}}',
    '{"params": {"password": {"value": "hush"}, "secrets": ["hush"], "token": 1, "passwd": "hush", "pwd": "hush"}}',
    '{"params": {"sessionUuid": "hush"}}',
    '{"session": {"uuid": "hush"}}',
    "{session: {uuid: hush}} // hush",
    '{"sessionId": "hush", "session_uuid": "hush", "X-Session": "hush"}',
    '{"params": {"url": "http://user:hush@host/x"}}',
    '{"params": {"url": "http://user:hush@"}}',
    '{"params": {"url": "HTTPS://hush@host"}}',
    '{"params": {"url": "ftp://user:hu/sh@host", "b": "//user:hush@host", "c": "see http://u:h@hush@host, please"}}',
    '{"params": {"urls": ["x", ["http://user:hush@host"]]}}',
    '{"http://user:hush@host": 1, "password=hush": 2}',
    '{"conditions": [{"name": "password", "op": "=", "value": "hush"}]}',
    '{"conditions": [{"value": "hush", "name": "accessKeySecret", "op": "="}]}',
    '[["password", "hush"]]',
    '{"params": [["password", "hush"]]}',
    '{"params": {"q": ["password=hush", "password!=hush", "password~=hush"], "zql": "where password like \'hush\'"}}',
    '{"params": {"systemTags": ["sshPassword::hush"], "text": "{\\"password\\": \\"hush\\"}"}}',
    '{"params": {"privateKey": "hush", "private_key": "hush", "apiKey": "hush", "Authorization": "OAuth hush"}}',
    '{"params": {"password": "hush"',
    "password=hush&user=admin",
    '{"params": {"password": "hush"}} trailing',
    "[" * 300 + '"hush"' + "]" * 300,
    '{"x": ' + "[" * 3000 + '"hush"' + "]" * 3000 + "}",
    '{"params": {"description": "' + "d" * 40_000 + '", "password": "hush"',
    '{"params": {"description": "' + "d" * 4_050 + '", "password": "hush"}}',
    '{"params": {"url": "http://' + "u" * 17_000 + ':hush@host"}}',
    "hush",
    '"hush"',
)
QUERIES = (
    "password=hush", "pass%77ord=hush", "%70%61%73%73%77%6f%72%64=hush", "pass%2577ord=hush", "PASSWORD=hush",
    "a=1&password=hush&b=2", "password=%68ush", "password=a%26hush", "user+password=hush", "sessionUuid=hush",
    "session.uuid=hush", "params.password=hush", "password[0]=hush", "password%3Dhush", "q=password=hush",
    "q=password%3Dhush", "q=password%253Dhush", "q=password!=hush", "q=password~=hush", "q=password?=hush",
    "accessKeySecret=hush", "token=hush", "url=http://user:hush@host", "url=http%3A%2F%2Fuser%3Ahush%40host",
    "url=http%253A%252F%252Fuser%253Ahush%2540host", "body={%22password%22:%22hush%22}", "a=1;password=hush",
    "authorization=OAuth+hush", "zql=query+host+where+password%3D'hush'", "conditions=password%20like%20hush",
)  # fmt: skip
PATHS = (
    "/zstack/v1/accounts/sessions/hush", "/zstack/v1/accounts//sessions//hush", "/zstack//v1/accounts/sessions/hush/",
    "/v1/accounts/sessions/hush/renew", "/v1/accounts/sessions/hush/valid", "/v1/accounts/%73essions/hush",
    "/v1/accounts/sessions/%68ush", "/v1/accounts%2Fsessions%2Fhush", "/v1/accounts/sessions%2fhush",
    "/v1/accounts/sessions%252fhush", "/v1/accounts/sessions;a=b/hush", "/v1/accounts/sessions/;hush",
    "/v1/accounts/sessions/%20/hush", "/v1/accounts/SESSIONS/hush", "/v1/zones;sessionUuid=hush",
    "/v1/zones;password=hush", "/v1/http://user:hush@host", "/v1/zones%3Fpassword=hush", "/nosuch/sessions/hush",
)  # fmt: skip


async def _shown(raw_client: RawClient) -> str:
    return (await raw_client.send("GET", "/lab/v1/requests", anonymous=True)).text


async def test_no_secret_of_a_body_path_or_query_is_in_the_journal(tmp_path: Path) -> None:
    async with open_raw_client(tmp_path) as raw_client:
        for body in BODIES:
            await raw_client.send("POST", "/zstack/v1/zones", body.encode())
            await raw_client.send("POST", "/zstack/api", body.encode())
            assert H not in await _shown(raw_client), body
            await raw_client.send("DELETE", "/lab/v1/requests", anonymous=True)
        for target in (*PATHS, *(f"/zstack/v1/zones?{query}" for query in QUERIES)):
            await raw_client.send("GET", target)
            shown = await _shown(raw_client)
            assert "***" in shown, target
            assert H not in shown, target
            found = await raw_client.send("GET", "/lab/v1/requests/count?path=*hush*", anonymous=True)
            assert found.json["count"] == 0, "a secret can be guessed at with globs"
            await raw_client.send("DELETE", "/lab/v1/requests", anonymous=True)


async def test_a_body_that_cannot_be_read_is_not_kept_and_a_note_replaces_it(tmp_path: Path) -> None:
    rows = {
        b'{"params": {"name": "z"': UNREADABLE,
        b"name=z": UNREADABLE,
        b"\xff\xfe": NOT_READ,
        b'{"params": {"name": "z"}}': '{"params":{"name":"z"}}',
        b"{params: {name: 'z'}}": '{"params":{"name":"z"}}',
        b"null": None,
        b'{"a": "' + b"x" * 20_000 + b'"}': '{"a":"' + "x" * 16_378,
        b'{"a": "' + b"x" * 99_000: NOT_READ,
        '{"a": "ü€"}'.encode(): '{"a":"ü€"}',
    }
    async with open_raw_client(tmp_path) as raw_client:
        for body in rows:
            await raw_client.send("POST", "/zstack/v1/zones", body)
        posted = await raw_client.send("GET", "/lab/v1/requests?method=POST", anonymous=True)
    assert [one["body"] for one in posted.json["requests"]] == list(rows.values())


@rows(
    "target",
    [
        "/zstack/v1/backup-storage?q=name%3Dgold&sortBy=name", "/v1/zones", "/v1/zones?q=url=http://host:8080/a@b",
        "/v1/api-jobs/36c27e8ff05c4780bf6d2fa65700f22e", "/v1/zones?q=name=a+b%20c&&=x&y", "/zstack/api",
        "//v1///zones/",
    ],
)  # fmt: skip
def test_text_without_secrets_is_unchanged(target: str) -> None:
    assert masked_path(target) == target


def test_a_masked_text_can_still_be_recognised() -> None:
    assert masked_path("/v1/accounts/sessions/hush/valid?a=1") == "/v1/accounts/sessions/***/valid?a=1"
    assert masked_path("/v1/zones?a=1&password=x&b=2") == "/v1/zones?a=1&password=***&b=2"
    assert masked_text("http://user:pw@host:80/path") == "http://***@host:80/path"
    assert masked_text("ssh to 10.0.0.1, at 12:30") == "ssh to 10.0.0.1, at 12:30"
    assert (
        masked_json({"name": "a", "x": {"password": None, "n": 1.5}}, 99)
        == '{"name":"a","x":{"password":null,"n":1.5}}'
    )


@pytest.mark.parametrize(
    "text", ["//" * 8000, "//a:x" * 3000, "password" * 2000, "password]" * 1800, "token" + "]\\'" * 5000, "%25" * 5000]
)
def test_masking_takes_no_long_time_for_any_text(text: str) -> None:
    began = time.thread_time()
    masked_json({text: text, "a": [text]}, 4096)
    masked_path(f"/{text}?{quote(text)}={text}")
    assert time.thread_time() - began < 0.3
