"""Every command and example of the README works, except `make lab` and `make test`, which CI runs."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
from pathlib import Path

import asyncssh
import pytest

from code_blocks import code_blocks, shell
from imagestore_sim.testing import Client
from processes import run, running

pytestmark = pytest.mark.processes

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
NODE = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return code_blocks(README, language)


def commands(name: str) -> list[str]:
    """Return the commands in the README's table of tasks that run `imagestore-sim NAME`."""
    return re.findall(rf"\| `(imagestore-sim {name}\b[^`]*)`", README)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the README's commands name."""
    [records] = [block for block in blocks("yaml") if "backupStorages:" in block]
    # No test connects to a host outside this machine.
    (tmp_path / "records.yaml").write_text(records.replace("hostname: 10.0.0.1", "hostname: 127.0.0.1, sshPort: 1"))
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "id_ed25519")
    (tmp_path / "config").write_text("Host store-*\n  ProxyJump jump.example.org\n")
    return tmp_path


@pytest.mark.parametrize("command", [*commands("lab"), *commands("serve"), *commands("host")])
async def test_a_command_of_the_table_comes_to_be_ready_and_stops(command: str, folder: Path) -> None:
    arguments = shlex.split(command.replace("~/.ssh/", ""))[1:]
    if "--port" in arguments:
        arguments[arguments.index("--port") + 1] = "0"
    else:
        arguments += ["--port", "0"]
    async with running(*arguments, cwd=folder) as process:
        assert await process.stop() == 0


@pytest.mark.parametrize("command", commands("probe"))
async def test_the_probe_of_the_table_finds_a_capacity(command: str, folder: Path) -> None:
    async with running("host", "--port", "0", cwd=folder) as host:
        arguments = shlex.split(command.replace("127.0.0.1:2222", host.url.removeprefix("ssh://")))[1:]
        records = folder / "records.yaml"
        port = host.url.rpartition(":")[2]
        records.write_text(records.read_text().replace("sshPort: 1", f"sshPort: {port}").replace("/zs/1", "/"))
        if arguments[-1] == "--password":  # without a value, the command prompts for it
            arguments.append("password")
        finished = await run(*arguments, cwd=folder)
        assert await host.stop() == 0
    assert finished.status == 0, finished.errors
    assert "total" in finished.output or "1 of 1 answered" in finished.output


async def test_the_curl_commands_log_in_query_and_add(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    log_in_and_query, add, reset, watch = (block for block in blocks("sh") if "curl" in block)
    async with running("lab", "--port", "0", cwd=tmp_path) as lab:
        status, output = await shell((log_in_and_query + add).replace(NODE, lab.url), cwd=tmp_path)
        assert status == 0, output
        assert output.count('"status":"Connected"') == 3
        assert f'"location":"{lab.url}/zstack/v1/api-jobs/' in output
        async with Client(lab.url) as client:
            await client.log_in()
            await client.wait_for_status("gold", "Connected", within=60)
        status, output = await shell(reset.replace(NODE, lab.url), cwd=tmp_path)
        assert (status, output) == (0, '{"replaced":true}\n' * 2)
        for seconds in (1, 5, 20):  # the stream never ends, and a busy machine is slow to begin it
            _, output = await shell(f"timeout {seconds} {watch.replace(NODE, lab.url)}", cwd=tmp_path)
            if 'data: {"id":1,' in output:
                break
        assert 'data: {"id":1,' in output
        for path in ("healthz", "readyz", "metrics"):
            assert f"curl {NODE}/{path}" in README
            status, output = await shell(f"curl -fsS {lab.url}/{path}", cwd=tmp_path)
            assert status == 0, output


async def test_openssh_reaches_a_host_by_the_file_that_the_lab_names(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("needs OpenSSH's client (Debian: openssh-client)")
    assert "ssh -F FILE imagestore-1 df -kP /" in README
    async with running("lab", "--port", "0", cwd=tmp_path) as lab:
        assert lab.process.stderr is not None
        line = (await asyncio.wait_for(lab.process.stderr.readline(), 60)).decode()
        found = re.search(r"ssh -F (\S+) imagestore-1", line)
        assert found is not None, line
        status, output = await shell(f"ssh -F {found[1]} imagestore-1 df -kP /", cwd=tmp_path)
    assert status == 0, output
    assert output.splitlines()[0].split()[:2] == ["Filesystem", "1024-blocks"]


async def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    [example] = blocks("python")
    (tmp_path / "test_example.py").write_text(example)
    status, output = await shell(f"{sys.executable} -m pytest -q test_example.py", cwd=tmp_path)
    assert (status, "3 passed" in output) == (0, True), output


@pytest.mark.clients
async def test_the_example_of_a_test_passes_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """Install the package as a user does: not editable, with the extra that the README names, without a conftest."""
    python = tmp_path / "environment" / "bin" / "python"
    root = Path(__file__).parent.parent
    for command in (
        f"{sys.executable} -m venv {tmp_path / 'environment'}",
        f"{python} -m pip install --quiet --disable-pip-version-check -c {root}/constraints.txt '{root}[testing]'",
    ):
        status, output = await shell(command, cwd=tmp_path, seconds=600)
        if "No matching distribution" in output or "Could not find a version" in output:
            pytest.skip("needs a package index")
        assert status == 0, output
    [example] = blocks("python")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_example.py").write_text(example)
    status, output = await shell(f"{python} -m pytest -q", cwd=tmp_path / "tests", seconds=120)
    assert (status, "3 passed" in output) == (0, True), output
    assert "Warning" not in output, output  # such as one that asks for a setting


def test_every_file_that_the_readme_points_to_is_there() -> None:
    root = Path(__file__).parent.parent
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (root / target.partition("#")[0]).exists(), target


def test_the_default_port_is_the_one_that_the_readme_names() -> None:
    from imagestore_sim.settings import Settings

    assert NODE.endswith(f":{Settings.model_fields['port'].default}")
