"""Requests that are refused before they are read: foreign host names, pages of other origins, no token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from imagestore_sim.host_names import AllowedHosts, check_allowed
from imagestore_sim.lab import Lab
from imagestore_sim.node.from_settings import new_guard
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

TOKEN = "correct-horse"
LOGIN = "/zstack/v1/accounts/login?accountName=admin&password=" + "0" * 128
EVERY_PATH = (
    "/", "/docs", "/console/icon.svg",
    "/openapi.json", "/healthz", "/readyz", "/metrics", "/probe?target=h",
    "/zstack/v1/zones", "/v1/zones", "/zstack/api",
    "/zstack/api/result/1", "/lab/v1/hosts", "/lab/v1/events", "/lab/v1/openapi.json", "/nosuch", "/%6cab/v1/hosts",
)  # fmt: skip
METHODS = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
EVIL = "http://evil.example"
CHANGES = (
    ("POST", "/lab/v1/snapshot"), ("PUT", "/lab/v1/snapshot"), ("POST", "/lab/v1/reset"), ("POST", "/lab/v1/heal"),
    ("POST", "/lab/v1/sessions"),
    ("POST", "/lab/v1/node/faults"), ("DELETE", "/lab/v1/node/faults"),
    ("DELETE", "/lab/v1/requests"), ("PUT", "/lab/v1/clock"), ("POST", "/lab/v1/clock/step"), ("POST", "/lab/v1/hosts"),
    ("PATCH", "/lab/v1/hosts/imagestore-1"), ("DELETE", "/lab/v1/hosts/imagestore-1"),
    ("POST", "/lab/v1/hosts/imagestore-1/stop"), ("POST", "/lab/v1/hosts/imagestore-1/faults"),
)  # fmt: skip
PRIVATE = (("GET", "/lab/v1/snapshot"), ("GET", "/lab/v1/requests"), ("GET", "/lab/v1/requests/wait"))
HARMLESS = (
    "/lab/v1/node/faults", "/lab/v1/about",
    "/lab/v1/hosts", "/lab/v1/faults", "/lab/v1/requests/count", "/lab/v1/openapi.json", "/lab/v1/hosts/imagestore-1"
)  # fmt: skip
PAGES = (
    ("GET", "/"), ("GET", "/docs"), ("GET", "/console/index.html"),
    ("GET", "/openapi.json"), ("POST", "/docs"), ("POST", "/%6cab/v1/reset"),
    ("GET", "/%6cab/v1/hosts"), ("GET", "/lab/v1/events"), ("GET", "/nosuch"),
)  # fmt: skip


async def exchange(url: str, request: bytes) -> tuple[int, str]:
    """Return the status and the body of the answer to raw bytes; status 0 if the connection closes without one."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        with_body = length and not request.startswith(b"HEAD ")
        body = await reader.readexactly(int(length[0].split(b":")[1])) if with_body else b""
        return int(head.split(b" ")[1]), (head + body).decode()
    except asyncio.IncompleteReadError:
        return 0, ""
    finally:
        writer.close()


async def send(url: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, str]:
    """Send one request, with the node's own Host unless `headers` have one."""
    lines = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return await exchange(url, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)


@asynccontextmanager
async def a_lab(folder: Path, **settings: object) -> AsyncIterator[str]:
    chosen = {"port": 0, "hosts": 1, "database": str(folder / "lab.db"), **settings}
    async with Lab(Settings(**chosen)) as lab:
        yield lab.url


OURS = (
    "127.0.0.1", "127.0.0.1:1", "10.1.2.3:8080", "127.1", "0x7f000001", "[::1]", "[::1]:8080", "[fe80::1%25eth0]:8080",
    "localhost", "LOCALHOST:8080", "localhost.", "a.localhost", "mn", "mn:8080", "imagestore_1", "mn.", "MN",
    "lab.example", "Lab.Example.:8080", "a.b.wild.example",
)  # fmt: skip
NOT_OURS = (
    "evil.example", "evil.example:8080", "EVIL.EXAMPLE", "evil.example.", "127.0.0.1.evil.example",
    "localhost.evil.example", "evil.localhost.example", "xlab.example", "lab.example.evil.example", "wild.example",
    "xwild.example", "lab.example@evil.example", "127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1:80:80",
    "evil.example#127.0.0.1", "evil.example/127.0.0.1", "evil.example?127.0.0.1", "evil.example\\127.0.0.1",
    "[::1", "[::1%]", "[::1%<x>]", "[::1%\"]", "[evil.example]",
    "[::1].evil.example", "::1", "1.2.3.4.5", "999.1.1.1", "evil%2eexample", "a,b", "a b",
    "127.0.0.1, evil.example", "", ".", "..", "127.0.0.1:x", "-", "http://127.0.0.1",
)  # fmt: skip


def test_the_names_of_a_node() -> None:
    hosts = AllowedHosts(["lab.example", "*.wild.example"])
    assert [one for one in OURS if not hosts.has(one)] == []
    assert [one for one in NOT_OURS if hosts.has(one)] == []
    assert not hosts.has("ëvil")
    assert not hosts.has("evil\u3002example")


@rows("name", ["", "*", "*.", "a b", "lab.example:8080", "http://lab.example", "a..b", "*.*.b", "é"])
def test_an_invalid_name_of_a_node_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="expected host names such as"):
        check_allowed(name)


async def test_every_path_and_method_answers_its_own_host_names_only(tmp_path: Path) -> None:
    async with a_lab(tmp_path, allowed_host=["lab.example", "*.wild.example"]) as url:
        calls = [("GET", path) for path in EVERY_PATH] + [(method, "/lab/v1/reset") for method in METHODS]
        for method, path in (*calls, *((method, "/zstack/v1/zones") for method in METHODS)):
            status, text = await send(url, method, path, {"Host": "evil.example"})
            assert status == 421, (method, path)
            assert method == "HEAD" or "--allowed-host" in text
        statuses = {one: (await send(url, "GET", "/healthz", {"Host": one}))[0] for one in (*OURS, *NOT_OURS)}
    assert {one: statuses[one] for one in OURS} == dict.fromkeys(OURS, 200)
    assert {statuses[one] for one in NOT_OURS} <= {400, 421}


async def test_the_host_of_the_target_counts_and_one_host_is_required(tmp_path: Path) -> None:
    async with a_lab(tmp_path) as url:
        here = urlsplit(url).netloc
        rows = {
            f"GET http://evil.example/healthz HTTP/1.1\r\nHost: {here}": 421,
            f"GET http://evil.example/lab/v1/hosts HTTP/1.1\r\nHost: {here}": 421,
            "GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: evil.example": 421,
            f"GET http://x@evil.example/healthz HTTP/1.1\r\nHost: {here}": 421,
            "GET /healthz HTTP/1.1": 400,
            f"GET /healthz HTTP/1.1\r\nHost: {here}\r\nHost: {here}": 400,
            f"GET /healthz HTTP/1.1\r\nHost: {here}\r\nHost: evil.example": 400,
            "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost": 421,
            "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nForwarded: host=localhost": 421,
            "GET /healthz HTTP/1.0": 200,  # which has no such header
            "GET /healthz HTTP/1.0\r\nHost: evil.example": 421,
        }
        statuses = {row: (await exchange(url, f"{row}\r\n\r\n".encode()))[0] for row in rows}
    assert statuses == rows


async def test_the_location_of_a_job_never_holds_a_made_up_host(tmp_path: Path) -> None:
    async with a_lab(tmp_path) as url, Client(url) as client:
        session = await client.log_in()
        forwarded = {
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "Authorization": f"OAuth {session}",
        }
        body = json.dumps({"params": {"name": "z"}}).encode()
        status, text = await send(url, "POST", "/zstack/v1/zones", forwarded, body)
        assert (status, f'"location":"{url}/zstack/v1/api-jobs/' in text, "evil" in text) == (202, True, False)
        old = f"POST /zstack/v1/zones HTTP/1.0\r\nAuthorization: OAuth {session}\r\nContent-Length: {len(body)}\r\n\r\n"
        status, text = await exchange(url, old.encode() + body)
        assert (status, f'"location":"{url}/zstack/v1/api-jobs/' in text) == (202, True)


def _from(origin: str | None, site: str | None = None, kind: str | None = None, **more: str) -> dict[str, str]:
    headers = {"Origin": origin, "Sec-Fetch-Site": site, "Content-Type": kind, **more}
    return {name.replace("_", "-"): value for name, value in headers.items() if value is not None}


async def test_a_page_of_another_origin_changes_and_reads_nothing(tmp_path: Path) -> None:
    async with a_lab(tmp_path) as url:
        port = urlsplit(url).port
        foreign = [
            _from(EVIL), _from("null"), _from(f"http://127.0.0.1:{port + 1 if port else 0}"), _from("http://127.0.0.1"),
            _from(f"http://localhost:{port}"), _from(None, "cross-site"), _from(None, "same-site"), _from(EVIL, "none"),
            _from("file://"), _from(f"http://127.0.0.1:{port}.evil.example"), _from(f"http://x@evil.example:{port}"),
            _from(""), _from(f"http://127.0.0.1:{port}, {EVIL}"), _from("http://127.0.0.1:x"), _from(EVIL, kind=JSON),
        ]  # fmt: skip
        for headers in foreign:
            assert (await send(url, "GET", "/lab/v1/hosts", headers))[0] == 403, headers
            assert (await send(url, "POST", "/lab/v1/reset", headers))[0] == 403, headers
            sent = {name: value for name, value in headers.items() if name != "Content-Type"}
            assert (await send(url, "POST", "/zstack/api", sent))[0] == 403, headers
            assert (await send(url, "GET", LOGIN, headers))[0] == 403, headers
        for method, path in (*CHANGES, *PRIVATE, *PAGES):
            assert (await send(url, method, path, _from(EVIL, kind=JSON)))[0] == 403, (method, path)
        for kind in (FORM, "text/plain", "Text/Plain; charset=utf-8", "multipart/form-data; boundary=x", ""):
            for path in ("/zstack/v1/zones", "/zstack/api", "/v1/accounts/login", "/healthz", "/nosuch"):
                assert (await send(url, "POST", path, _from(EVIL, kind=kind)))[0] == 403, (kind, path)
        same = [_from(url), _from(url, "same-origin"), _from(None, "none"), _from(None, "same-origin"), {}]
        for headers in same:
            assert (await send(url, "POST", "/lab/v1/heal", headers))[0] == 200, headers
            assert (await send(url, "GET", "/lab/v1/hosts", headers))[0] == 200, headers
            assert (await send(url, "GET", LOGIN, headers))[0] == 503, headers


async def test_interfaces_of_zstack_in_a_browser_work_through_their_proxies(tmp_path: Path) -> None:
    """They send JSON or a session. For another origin a browser first asks for permission, and does not get it."""
    proxied = _from("http://ui.example:5000", "cross-site")
    async with a_lab(tmp_path) as url, Client(url) as client:
        session = await client.log_in()
        login = json.dumps({"logInByAccount": {"accountName": "admin", "password": "x"}}).encode()
        status, _ = await send(url, "PUT", "/zstack/v1/accounts/login", proxied | {"Content-Type": JSON}, login)
        assert status == 503
        assert (await send(url, "POST", "/v1/accounts/login", proxied | {"Content-Type": JSON}, login))[0] == 503
        assert (await send(url, "GET", "/v1/zones", proxied | {"Authorization": f"OAuth {session}"}))[0] == 200
        assert (await send(url, "GET", "/v1/api-jobs/nosuch", proxied))[0] == 404
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        for path in ("/zstack/v1/accounts/login", "/lab/v1/reset", "/lab/v1/snapshot"):
            _, text = await send(url, "OPTIONS", path, proxied | asked)
            assert "access-control" not in text.lower()


async def test_a_link_to_a_page_can_be_followed_but_changes_nothing(tmp_path: Path) -> None:
    visit = _from(None, "cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    async with a_lab(tmp_path) as url:
        assert (await send(url, "GET", "/lab/v1/openapi.json", visit))[0] == 200
        assert (await send(url, "GET", "/nosuch", visit))[0] == 404
        assert (await send(url, "GET", "/lab/v1/snapshot", visit))[0] == 403
        assert (await send(url, "POST", "/lab/v1/reset", visit | {"Content-Type": FORM}))[0] == 403
        assert (await send(url, "GET", LOGIN, visit))[0] == 403


async def test_a_node_without_the_lab_api_changes_and_shows_nothing_over_it(tmp_path: Path) -> None:
    async with a_lab(tmp_path, lab_api=False) as url:
        for method, path in (*CHANGES, *PRIVATE):
            status, text = await send(url, method, path, {})
            assert (status, "--lab-api" in text) == (403, True), (method, path)
        assert {path: (await send(url, "GET", path, {}))[0] for path in HARMLESS} == dict.fromkeys(HARMLESS, 200)


async def test_a_token_is_needed_for_every_call_and_only_the_right_one_will_do(tmp_path: Path) -> None:
    wrong = [
        {}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "}, {"Authorization": f"OAuth {TOKEN}"},
        {"Authorization": "Bearer \xff"}, {"Authorization": f"Bearer x\r\nAuthorization: Bearer {TOKEN}"},
    ]  # fmt: skip
    async with a_lab(tmp_path, lab_token=TOKEN) as url:
        for method, path in (*CHANGES, *PRIVATE, *(("GET", one) for one in HARMLESS), ("GET", "/lab/v1/events")):
            assert (await send(url, method, path, {}))[0] == 401, (method, path)
        for headers in wrong:
            status, text = await send(url, "GET", "/lab/v1/hosts", headers)
            assert (status, "www-authenticate: bearer" in text.lower()) == (401, True), headers
            assert TOKEN not in text
        for scheme in ("Bearer", "bearer"):
            assert (await send(url, "GET", "/lab/v1/hosts", {"Authorization": f"{scheme} {TOKEN}"}))[0] == 200
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await send(url, "GET", path, {}))[0] == 200
        async with Client(url, lab_token=TOKEN) as client:
            await client.log_in()
            assert (await client.request("GET", f"{url}/lab/v1/hosts")).status == 200
            assert await client.query("/backup-storage") != []


@pytest.mark.imagestore_lab(hosts=1, lab_token=TOKEN)
async def test_the_client_of_the_pytest_plugin_has_the_token(imagestore_client: Client) -> None:
    assert (await imagestore_client.request("GET", f"{imagestore_client.url}/lab/v1/requests")).status == 200


async def test_what_comes_over_the_network_does_not_read_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "sesame")
    async with a_lab(tmp_path) as url:
        for method in ("POST", "PUT"):
            for tag in (
                "!env SECRET",
                "!env NOSUCH",
                "!!python/object/apply:os.getenv [SECRET]",
                "!include /etc/passwd",
            ):
                body = f"zones: [{{name: {tag}}}]".encode()
                status, text = await send(url, method, "/lab/v1/snapshot", {}, body)
                assert (status, "sesame" in text) == (400, False), tag
                assert "!env" not in tag or "only in files named on the command line" in text


def test_the_name_that_a_node_listens_on_is_its_own() -> None:
    guard = new_guard(Settings(host="lab.example"))
    assert guard.knows("lab.example:8080")
    assert not guard.knows("evil.example")


NO_HTTP = (
    b"GET / HTTP/1.1\r\nAuthorization: OAuth hush\x01\r\n\r\n",
    b"GET /?password=hush HTTP/9.9\r\n\r\n",
    b"GET /?password=hush\x80 HTTP/1.1\r\n\r\n",
    b"hush hush hush hush\r\n\r\n",
    b"GET http://[::1/v1/zones?password=hush HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: hush" + b"hush" * 5000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nhush hush: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: hush\r\n\r\n",
    b"POST /v1/zones HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nhush\r\n",
    b"GET /" + b"hush" * 5000 + b" HTTP/1.1\r\n\r\n",
)


async def test_an_invalid_request_is_not_quoted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with a_lab(tmp_path) as url:
        for request in NO_HTTP:
            await exchange(url, request)
    assert "invalid HTTP request" in caplog.text
    assert "hush" not in caplog.text
