"""Every method on each kind of path: of the lab's API on a node and on hosts alone, of pages, of ZStack's API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api import HostsRoutes, SimulatedHosts
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.hosts_service import HostsService
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
METHODS = ("HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "CONNECT", "FOO", "get")
NOT_READ = ("FOO", "get", "CONNECT")
"""Methods that are refused before their path is looked at."""
SHOWN = ("/lab/v1/hosts", "/lab/v1/hosts/imagestore-1", "/lab/v1/openapi.json", "/lab/v1/faults")
DONE = ("/lab/v1/hosts/imagestore-1/stop", "/lab/v1/heal", "/lab/v1/hosts/imagestore-1/fill")
PAGES = ("/healthz", "/readyz", "/metrics", "/", "/docs", "/openapi.json")


@asynccontextmanager
async def hosts_alone() -> AsyncIterator[str]:
    """Serve a host without a node, as `host --lab-port` does, and yield the URL."""
    network = HostNetwork()
    await network.add(SimulatedHost("imagestore-1"))
    service = HostsService(HostsRoutes(SimulatedHosts(network)).routes(), Guard(), "Hosts.")
    await service.listen("127.0.0.1", 0)
    try:
        yield service.url
    finally:
        await service.close()
        await network.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("methods")
    async with Lab(Settings(port=0, hosts=1, database=str(folder / "lab.db"))) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def urls(lab: Lab) -> AsyncIterator[tuple[str, ...]]:
    async with hosts_alone() as alone:
        yield lab.url, alone


async def ask(url: str, method: str, path: str) -> tuple[int, str, str, bytes]:
    """Return the status, the media type, Allow and the body of the answer, sent as it is."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers.get("content-type", ""), headers.get("allow", "").upper(), body


@rows("path", SHOWN)
async def test_head_is_answered_as_get_is_without_a_body(urls: tuple[str, ...], path: str) -> None:
    for url in urls:
        status, media, _, body = await ask(url, "HEAD", path)
        assert (status, body) == (200, b"")
        assert media == (await ask(url, "GET", path))[1]


@rows("method", METHODS)
@rows("path", (*SHOWN, *DONE))
async def test_another_method_of_a_call_is_refused_with_those_that_it_has(
    lab: Lab, urls: tuple[str, ...], method: str, path: str
) -> None:
    if (method == "HEAD" and path in SHOWN) or (method, path) == ("PATCH", SHOWN[1]):
        return
    for url in urls:
        status, media, allow, body = await ask(url, method, path)
        assert status == 405
        if method == "HEAD":
            assert (allow, body) == ("POST", b"")
            continue
        assert media.startswith("application/json")
        assert body.startswith(b'{"error":"')
        if method not in NOT_READ:
            assert allow.split(", ")[0] == ("GET" if path in SHOWN else "POST")
    assert lab.network["imagestore-1"].listening
    assert not len(lab.network["imagestore-1"].faults)


@rows("method", METHODS[:-3])
async def test_a_path_below_the_labs_api_that_is_none_is_a_404(urls: tuple[str, ...], method: str) -> None:
    for url in urls:
        status, _, allow, _ = await ask(url, method, "/lab/v1/nowhere")
        assert (status, allow) == (404, "")


@rows("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@rows("path", PAGES)
async def test_a_page_takes_get_and_head_alone(urls: tuple[str, ...], method: str, path: str) -> None:
    for url in urls if path in PAGES[:2] else urls[:1]:
        status, media, allow, _ = await ask(url, method, path)
        assert (status, allow) == (405, "GET, HEAD")
        assert media.startswith("application/json")
        assert (await ask(url, "HEAD", path))[0] == 200


async def test_a_stream_and_a_probe_take_no_head(lab: Lab) -> None:
    for path in ("/lab/v1/events", "/probe?target=imagestore-1"):
        status, _, allow, _ = await ask(lab.url, "HEAD", path)
        assert (status, allow) == (405, "GET")


async def test_hosts_alone_answer_all_other_paths_as_json(urls: tuple[str, ...]) -> None:
    status, media, _, body = await ask(urls[1], "GET", "/nowhere")
    assert (status, media) == (404, "application/json; charset=utf-8")
    assert body == b'{"error":"nothing is served at /nowhere; the lab\'s API is below /lab/v1"}\n'


async def test_answers_of_the_labs_api_end_in_a_newline_and_zstacks_do_not(lab: Lab, urls: tuple[str, ...]) -> None:
    for url in urls:
        for path in (*SHOWN, "/lab/v1/nowhere", "/lab/v1/hosts/nobody", "/healthz", "/readyz"):
            _, _, _, body = await ask(url, "GET", path)
            assert body.endswith(b"}\n"), path
            assert not body.endswith(b"\n\n"), path
    async with Client(lab.url) as client:
        await client.log_in()
        for query in ((), (("q", "nosuch=1"),)):
            assert (await client.request("GET", "/zones", query=query)).text.endswith("}")


async def test_head_on_a_path_of_one_api_is_that_api_as_in_zstack(lab: Lab) -> None:
    """Where several share a path, it is 405: recorded calls 195 to 199, and 361, a GET that deletes."""
    assert (await ask(lab.url, "HEAD", "/zstack/v1/backup-storage/types"))[0] == 400, "without a session"
    assert (await ask(lab.url, "HEAD", "/zstack/v1/zones"))[0] == 405
    assert (await ask(lab.url, "HEAD", "/zstack/v1/foo"))[0] == 404


async def test_an_error_of_the_program_is_json_in_the_labs_api(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(host: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("imagestore_sim.lab_api.hosts._show", fail)
    status, media, _, body = await ask(lab.url, "GET", "/lab/v1/hosts")
    assert (status, media) == (500, "application/json; charset=utf-8")
    assert body == b'{"error":"an error happened in this program; its log has more"}\n'
    assert "on purpose" in caplog.text


async def test_an_image_in_a_content_coding_is_refused(lab: Lab) -> None:
    headers = {"X-IMAGE-UUID": "a" * 32, "X-IMAGE-SIZE": "1", "Content-Encoding": "gzip"}
    async with Client(lab.url) as client:
        url = f"{lab.url}/imagestore/upload/{'b' * 32}"
        answer = await client.request("POST", url, data=b"x", headers=headers)
    assert (answer.status, answer.text) == (415, "an image is sent as it is, not as gzip")
