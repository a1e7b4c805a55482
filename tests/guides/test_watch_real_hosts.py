"""The guide to watch real hosts keeps its word: its files and commands are used, with other hosts and folders."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from code_blocks import code_blocks, shell
from imagestore_sim.testing import Client
from imagestore_sim.testing.lab_thread import running_lab
from processes import child, run, run_program, running

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "guides" / "watch-real-hosts.md").read_text(encoding="utf-8")
SECRETS = {"STORE_PASSWORD": "password", "ADMIN_PASSWORD": "change-me-too"}
BINARIES = Path(sys.executable).parent
BOUND_SECONDS = 60.0
MOST_EXPOSED = 25  # of a hundred, as systemd-analyze counts it
STUB = "#!/bin/sh\nexit 0\n"


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """Return the ports of two hosts that stand in for the guide's."""
    with running_lab(hosts=2, ping_interval=3600) as lab:
        yield [lab.lab.network[f"imagestore-{number}"].address[1] for number in (1, 2)]


class Machine:
    """A folder that stands in for the root of the guide's machine."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        """Write the files of the guide into it, with the hosts that there are, and stubs of what needs root."""
        self.folder = folder
        self.port = _free_port()
        hosts = {
            "10.0.0.1,": f"127.0.0.1, sshPort: {ports[0]},",
            "store-2.example.org,": f"localhost, sshPort: {ports[1]},",
        }
        self._changes = {
            **hosts,
            "10.0.1.0/24": "127.0.0.1",
            "timeout: 10s": f"timeout: 10s\n    ports: [{ports[0]}, {ports[1]}]",
            "10.0.1.1, spare-1.example.org": f"'127.0.0.1:{ports[0]}', '127.0.0.1:{ports[1]}'",
            "/zs/1": "/Cloud_bs",
            "8080": str(self.port),
            "scrape_interval: 60s": "scrape_interval: 5s",
            "scrape_interval: 15s": "scrape_interval: 1s",
            "scrape_timeout: 15s": "scrape_timeout: 5s",
            "/opt/imagestore-sim/bin": str(BINARIES),
            "chown -R imagestore-sim:": "true",
        }
        for name in ("etc/imagestore-sim", "etc/prometheus", "etc/systemd/system", "var/lib/imagestore-sim", "bin"):
            (folder / name).mkdir(parents=True)
        for language in ("yaml", "sh", "ini"):
            for block in code_blocks(GUIDE, language):
                if place := re.match(r"# /(etc/\S+)\n", block):
                    (folder / place[1]).write_text(self.here(block))
        (folder / "bin" / "systemctl").write_text(STUB)
        (folder / "bin" / "systemctl").chmod(0o755)

    def here(self, text: str) -> str:
        """Return a text of the guide for this machine."""
        for old, new in self._changes.items():
            text = text.replace(old, new)
        return re.sub(r"(?<![\w.])/(etc/(?:imagestore-sim|prometheus)|var/)", rf"{self.folder}/\1", text)

    def file(self, name: str) -> Path:
        """Return the place of a file of the guide."""
        return self.folder / name

    async def run(self, script: str) -> str:
        """Run a block of the guide, which must succeed, and return what it prints."""
        path = f"{self.folder}/bin:{BINARIES}:/usr/sbin:/usr/bin:/bin"
        status, said = await shell(self.here(script), cwd=ROOT, environment={"PATH": path} | SECRETS)
        assert status == 0, said
        return said

    @property
    def command(self) -> list[str]:
        """Return the arguments of the unit's ExecStart."""
        unit = self.file("etc/systemd/system/imagestore-sim.service").read_text()
        [line] = re.findall(r"^ExecStart=\S+/imagestore-sim (.*)$", unit, re.MULTILINE)
        return shlex.split(line)


@pytest.fixture
def machine(tmp_path: Path, ports: list[int]) -> Machine:
    return Machine(tmp_path, ports)


def block_with(text: str) -> str:
    """Return the block of commands of the guide that contains a text."""
    [found] = [block for block in code_blocks(GUIDE, "sh") if text in block]
    return found


async def test_the_records_are_probed_before_anything_is_installed(machine: Machine) -> None:
    folder, _, probing = block_with("--inventory").splitlines()
    said = await machine.run(f"{folder}\n{probing}")
    assert "2 of 2 answered" in said
    assert "store-2" in said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
async def test_systemd_takes_the_unit_and_finds_it_little_exposed(machine: Machine) -> None:
    unit = str(machine.file("etc/systemd/system/imagestore-sim.service"))
    verified = await run_program("systemd-analyze", "verify", unit)
    assert (verified.status, verified.output + verified.errors) == (0, "")
    secure = await run_program("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert secure.status == 0, secure.output


async def test_the_service_keeps_its_storages_over_a_backup_and_a_restore(machine: Machine) -> None:
    database = machine.file("var/lib/imagestore-sim/node.db")
    async with running(*machine.command, cwd=machine.folder, **SECRETS) as service:
        assert service.url == f"http://127.0.0.1:{machine.port}"
        before = await storages(service.url)
        assert {one["name"]: one["status"] for one in before} == {"store-1": "Connected", "store-2": "Connected"}
        ready = await run("ready", service.url, "--wait", "60")
        assert ready.status == 0
        if shutil.which("sqlite3") is None:
            pytest.skip("needs sqlite3")
        await machine.run(block_with(".backup"))
        async with Client(service.url) as client:
            await client.log_in("admin", SECRETS["ADMIN_PASSWORD"])
            await client.call("DELETE", f"/backup-storage/{before[0]['uuid']}")
        assert await service.stop() == 0
    database.with_name("node.db.key").unlink()  # lost with its disk
    await machine.run(block_with("rm -f"))
    async with running(*machine.command, cwd=machine.folder, **SECRETS) as service:
        after = await storages(service.url)
        assert [(one["uuid"], one["status"]) for one in after] == [(one["uuid"], "Connected") for one in before]
        assert await service.stop() == 0


async def storages(url: str) -> list[dict[str, object]]:
    """Return the storages of a node, as its admin sees them."""
    async with Client(url) as client:
        await client.log_in("admin", SECRETS["ADMIN_PASSWORD"])
        return sorted(await client.query("/backup-storage"), key=lambda one: str(one["name"]))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool and prometheus")
async def test_prometheus_takes_the_configuration_and_sees_storages_and_hosts(machine: Machine) -> None:
    said = await machine.run(block_with("promtool test rules"))
    assert said.count("SUCCESS") >= 2
    address = f"127.0.0.1:{_free_port()}"
    configuration = machine.file("etc/prometheus/prometheus.yml")
    assert yaml.safe_load(configuration.read_text())["rule_files"] == ["alerts.yml"]
    arguments = (f"--config.file={configuration}", f"--storage.tsdb.path={machine.folder / 'data'}")
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    async with (
        running(*machine.command, cwd=machine.folder, **SECRETS) as service,
        child("prometheus", *arguments, f"--web.listen-address={address}", **quiet) as prometheus,
    ):
        await seen(address, 'imagestore_sim_backup_storage_up{name="store-1"} == 1', 1)
        await seen(address, 'probe_success{job="imagestore-hosts",instance=~"127.0.0.1:.*"} == 1', 2)
        prometheus.terminate()
        await asyncio.wait_for(prometheus.wait(), BOUND_SECONDS)
        assert await service.stop() == 0


async def seen(address: str, expression: str, series: int) -> None:
    """Wait until Prometheus has as many series for an expression."""
    deadline = time.monotonic() + BOUND_SECONDS
    async with aiohttp.ClientSession() as session:
        found: list[object] = []
        while len(found) != series:
            assert time.monotonic() < deadline, f"{expression}: {found}"
            await asyncio.sleep(0.2)
            try:
                async with session.get(f"http://{address}/api/v1/query", params={"query": expression}) as answer:
                    found = (await answer.json())["data"]["result"]
            except (aiohttp.ClientError, ValueError, KeyError):
                continue  # it is starting


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
