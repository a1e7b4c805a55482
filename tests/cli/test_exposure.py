"""What `serve` opens and warns of: the lab's API, host names, a token, other machines."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from imagestore_sim.exposure import is_exposed
from imagestore_sim.testing import Client
from processes import run_here, running

pytestmark = pytest.mark.processes

TOKEN = "correct-horse"

NAMES = "expected host names such as lab.example or *.lab.example, without a port, but got"


async def test_a_node_alone_changes_nothing_over_the_lab_api_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("zones: [{name: more}]")
    async with running("serve", "--port", "0", cwd=tmp_path) as node, Client(node.url) as client:
        for method, path in (("POST", "reset"), ("PUT", "snapshot"), ("POST", "snapshot"), ("GET", "snapshot")):
            answer = await client.request(method, f"{node.url}/lab/v1/{path}", data=b"zones: []")
            assert (answer.status, "--lab-api" in answer.text) == (403, True), (method, path)
        loaded = await asyncio.to_thread(run_here, "load", str(tmp_path / "more.yaml"), node.url)
        assert (loaded.status, "--lab-api" in loaded.errors) == (2, True)
        assert (await client.request("GET", f"{node.url}/lab/v1/openapi.json")).status == 200


async def test_an_address_beyond_loopback_is_warned_of_and_a_token_closes_the_lab_api(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("zones: [{name: more}]")
    (tmp_path / "modules.yaml").write_text("modules: {default: {targets: [h], url: /zs}}")
    chosen = {
        "IMAGESTORE_SIM_PROBE_MODULES": "modules.yaml",
        "IMAGESTORE_SIM_LAB_API": "true",
        "IMAGESTORE_SIM_ALLOWED_HOST": "one.example, *.two.example",
    }
    arguments = ("serve", "--port", "0", "--host", "0.0.0.0", "--log-level", "debug")
    async with running(*arguments, cwd=tmp_path, **chosen, IMAGESTORE_SIM_LAB_TOKEN=TOKEN) as node:
        url = node.url.replace("0.0.0.0", "127.0.0.1")
        hosts = {"one.example": 200, "a.two.example:1": 200, "three.example": 421}
        async with Client(url) as client:
            for host, status in hosts.items():
                assert (await client.request("GET", f"{url}/healthz", headers={"Host": host})).status == status
        for token, status in ((None, 2), ("wrong", 2), (TOKEN, 0)):
            given = () if token is None else ("--lab-token", token)
            assert (
                await asyncio.to_thread(run_here, "load", str(tmp_path / "more.yaml"), url, *given)
            ).status == status
        errors = node.process.stderr
        assert errors is not None
        text = (await asyncio.wait_for(errors.readuntil(b"--probe-modules"), 60)).decode()
        assert "WARNING: http://0.0.0.0:" in text
        assert "there is no TLS" in text
        assert "documented default password" in text
        assert TOKEN not in text


def test_an_open_lab_api_is_part_of_the_warning_and_loopback_is_none() -> None:
    assert [is_exposed([one]) for one in (("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1, 0, 0))] == [False] * 3
    assert [is_exposed([one]) for one in (("0.0.0.0", 1), ("::", 1, 0, 0), ("10.0.0.1", 1))] == [True] * 3
    assert is_exposed([("127.0.0.1", 1), ("fe80::1%eth0", 1, 0, 2)])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lab-token", "two words"], "--lab-token: expected one word of letters, digits and -._~+/=\n"),
        (["--lab-token", "sécret"], "--lab-token: expected one word of letters, digits and -._~+/=\n"),
        (["--lab-token", ""], "--lab-token: expected one word of letters, digits and -._~+/=\n"),
        (["--allowed-host", "lab.example:8080"], f"--allowed-host: {NAMES} 'lab.example:8080'\n"),
        (["--allowed-host", "*"], f"--allowed-host: {NAMES} '*'\n"),
        (["--allowed-host", "a.example", "--allowed-host", "http://b"], f"--allowed-host: {NAMES} 'http://b'\n"),
        (["--allowed-host", "a.example,b:80"], f"--allowed-host: {NAMES} 'b:80'\n"),
    ],
)
def test_invalid_input_is_reported_without_the_secret(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    finished = run_here("serve", "--port", "0", *arguments, cwd=tmp_path)
    assert finished.status == 2
    assert complaint in finished.errors
    assert "two words" not in finished.errors
    assert "sécret" not in finished.errors
