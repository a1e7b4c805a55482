"""`imagestore-sim ready`: what it prints about nodes, and about other servers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from processes import Finished, run, run_here, running

READY = b'HTTP/1.1 200 OK\r\n\r\n{"ready":true,"waitingFor":[]}'
NOT_READY = b'HTTP/1.1 503 No\r\n\r\n{"ready":false,"waitingFor":["bootstrap","first connects"]}'


@asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[str]:
    """Serve these answers in turn, the last one again and again; None is silence. Yield the URL."""
    left = list(answers)
    tasks: list[asyncio.Task[None]] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"GET /readyz HTTP/1.1")
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(respond(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*tasks)


async def ask(*arguments: str) -> Finished:
    """Run the command on a thread, beside the server that it asks."""
    return await asyncio.to_thread(run_here, *arguments)


@pytest.mark.processes
async def test_a_node_that_serves_is_ready(tmp_path: Path) -> None:
    async with running("serve", "--port", "0", cwd=tmp_path) as node:
        finished = await run("ready", node.url)
    assert (finished.status, finished.output, finished.errors) == (0, f"ready {node.url}\n", "")


async def test_a_node_that_starts_is_not_ready_and_reports_what_it_waits_for() -> None:
    async with answering(NOT_READY) as url:
        finished = await ask("ready", url)
    assert (finished.status, finished.output) == (1, "")
    assert finished.errors == f"imagestore-sim: {url} is not ready, it waits for: bootstrap, first connects\n"


async def test_a_node_that_becomes_ready_is_waited_for() -> None:
    async with answering(NOT_READY, NOT_READY, READY) as url:
        assert (await ask("ready", url)).status == 1
        assert (await ask("ready", f"{url}/", "--wait", "60")).status == 0


@pytest.mark.parametrize("wait", ["60", "60s", "1m", "0.5h", "1m30s"])
async def test_the_time_to_wait_is_a_duration(wait: str) -> None:
    async with answering(NOT_READY, READY) as url:
        assert (await ask("ready", url, "--wait", wait)).status == 0


@pytest.mark.parametrize("wait", ["soon", "", "-1", "1.2.3", "nan", "1e400", "9" * 20])
async def test_a_time_to_wait_that_is_none_is_named(wait: str) -> None:
    finished = await ask("ready", "http://127.0.0.1:1", f"--wait={wait}")
    assert (finished.status, finished.output) == (2, "")
    assert finished.errors.startswith("imagestore-sim: --wait: ")


async def test_a_port_where_nothing_listens_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    finished = await ask("ready", url)
    assert (finished.status, finished.errors) == (1, f"imagestore-sim: {url} cannot be reached: Connection refused\n")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not answer as a management node does"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n<html>", "does not answer as a management node does"),
        (b"HTTP/1.1 503 No\r\n\r\n[]", "does not answer as a management node does"),
        (b"", "does not answer as a management node does"),
        (None, "does not answer"),
    ],
)
async def test_another_server_is_reported_in_bounded_time(answer: bytes | None, complaint: str) -> None:
    async with answering(answer) as url:
        began = time.monotonic()
        finished = await ask("ready", url, "--wait", "0.2")
        assert time.monotonic() - began < 20
    assert (finished.status, finished.errors) == (1, f"imagestore-sim: {url} {complaint}\n")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://host:99999", "http://host:x", "http://[::1", "http://a..b",
     f"http://{'a' * 64}.b", "http://host/\u00e9", "http://host/a b"],
)  # fmt: skip
async def test_an_invalid_url_exits_with_status_2(url: str) -> None:
    finished = await ask("ready", url)
    assert (finished.status, finished.output) == (2, "")
    assert (
        finished.errors == f"imagestore-sim: {url} is not the URL of a management node, such as http://127.0.0.1:8080\n"
    )


async def test_a_host_name_that_the_node_refuses_is_reported() -> None:
    answer = b'HTTP/1.1 421 Misdirected Request\r\n\r\n{"error":"not known as lab.example; see --allowed-host"}'
    async with answering(answer) as url:
        finished = await ask("ready", url)
    assert (finished.status, finished.errors) == (
        1, f"imagestore-sim: {url}: not known as lab.example; see --allowed-host\n"
    )  # fmt: skip


HEAVY = {"aiohttp", "asyncssh", "orjson", "rich", "sqlalchemy", "yaml"}
"""What must not be imported by a health check, which runs every few seconds, nor by `--help`."""


def imported(script: str) -> set[str]:
    """Return the modules that a process has imported after a script."""
    command = [sys.executable, "-c", f"import sys; {script}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def rooms(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("imagestore_sim.")}


@pytest.mark.processes
def test_asking_is_light_enough_for_a_health_check() -> None:
    script = "from imagestore_sim.cli.app import app; app(['ready', 'http://127.0.0.1:1'], standalone_mode=False)"
    modules = imported(script)
    assert rooms(modules) == {"cli", "clock", "in_flight"}
    assert not modules & HEAVY


def test_help_imports_no_room_but_this_one() -> None:
    modules = imported("import imagestore_sim.cli.app")
    assert rooms(modules) == {"cli"}
    assert not modules & (HEAVY | {"asyncio", "http.client"})


@pytest.mark.parametrize("name", ["a..b", "a" * 64])
def test_a_name_that_no_resolver_takes_is_one_line(name: str) -> None:
    asked = run_here("load", "/dev/null", f"http://{name}")
    assert (asked.status, asked.output, asked.errors.count("\n")) == (2, "", 1)
    assert asked.errors.startswith(f"imagestore-sim: http://{name}: ")
    for command in ("lab", "serve", "host"):
        refused = run_here(command, "--host", name)
        assert (refused.status, refused.output) == (2, "")
        assert refused.errors.startswith("imagestore-sim: --host: expected an address, or the name of a host")


def test_more_hosts_than_there_may_be_files_are_refused_before_they_are_named() -> None:
    refused = run_here("host", "--count", "999999999", "--port", "1")
    assert (refused.status, refused.output) == (2, "")
    assert refused.errors.startswith("imagestore-sim: 999999999 hosts need 1000000063 open files, ")
