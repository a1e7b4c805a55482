"""The profile `chaos`: container hosts are broken over `/lab/v1`, and left as they were found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from compose.compose_lab import HOSTS, READY_SECONDS, ComposeLab, free_port, succeed
from imagestore_sim.clock import RealClock
from imagestore_sim.faults import FAULTS
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from imagestore_sim.probe.capacity import Inodes
from imagestore_sim.testing import Answer, Client

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="module")]
MIB = 2**20
CHAOS = ("chaos-1", "chaos-2", "chaos-3")
FAULT_FOLDERS = ("/usr/local/lib/faults", "/var/lib/faults", "/dev/shm/faults")


class ChaosLab(ComposeLab):
    """A lab with the profile, and a client of its API."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        super().__init__(folder, COMPOSE_PROFILES="chaos", CHAOS_PORT=str(port), CHAOS_SIZE="32m")
        self.api = f"http://127.0.0.1:{port}"

    async def up(self) -> None:
        """Start it as any lab, and wait until the hosts for faults are Connected."""
        await super().up()
        await self.wait_until_it_answers()
        async with Client(self.url) as client:
            await client.log_in()
            for host in CHAOS:
                await client.wait_for_status(host, "Connected", within=30)

    async def wait_until_it_answers(self) -> None:
        """Wait until the service answers: Docker checks its health every few seconds only."""
        deadline = time.monotonic() + READY_SECONDS
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.api}/readyz") as answer:
                        assert answer.status == 200
                        return
                except aiohttp.ClientError:
                    assert time.monotonic() < deadline, "the service chaos does not answer"
                    await asyncio.sleep(0.1)

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Call the API and return its answer."""
        async with Client(self.api) as client:
            return await client.request(method, f"{self.api}/lab/v1{path}", body)

    async def apply(self, host: str, kind: str, **parameters: object) -> str:
        """Put a fault on a host, and return its id."""
        answer = await self.ask("POST", f"/hosts/{host}/faults", {"kind": kind, **parameters})
        assert answer.status == 201, answer.text
        return str(answer.body["id"])

    async def show(self, host: str) -> dict[str, Any]:
        """Return a host, as the API shows it."""
        answer = await self.ask("GET", f"/hosts/{host}")
        assert answer.status == 200, answer.text
        return answer.body

    async def faults(self, host: str) -> list[str]:
        """Return the kinds of the faults on a host."""
        return [one["kind"] for one in (await self.show(host))["faults"]]

    async def heal(self, host: str) -> None:
        """Heal all faults on a host."""
        answer = await self.ask("POST", f"/hosts/{host}/heal")
        assert (answer.status, answer.body["faults"]) == (200, [])

    async def probe(self, host: str) -> Capacity | ProbeFailure:
        """Probe a host, with the account that the lab began with."""
        user, url, password = "store", "/zs", "password"
        if host in HOSTS:
            user, url, password = f"store-{host[-1]}", f"/zs/{host[-1]}", f"password-{host[-1]}"
        address = next(iter((await self.inspect(host))["NetworkSettings"]["Networks"].values()))["IPAddress"]
        prober = Prober(RealClock())
        try:
            return await prober.probe(Target(address, 22, user, url, password))
        finally:
            await prober.close()

    async def capacity(self, host: str) -> Capacity:
        """Return the capacity that a probe finds."""
        found = await self.probe(host)
        assert isinstance(found, Capacity), found
        return found

    async def reason(self, host: str) -> Reason:
        """Return why a probe fails."""
        found = await self.probe(host)
        assert isinstance(found, ProbeFailure), found
        return found.reason


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chaos(lab_folder: Path) -> AsyncIterator[ChaosLab]:
    """Yield a lab without faults."""
    async with ChaosLab(lab_folder) as lab:
        yield lab
    assert await lab.leftovers() == ""


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def blackholed(chaos: ChaosLab) -> AsyncIterator[asyncio.Task[Reason]]:
    """Put a blackhole on chaos-1 until the node notices it; the task returns why a probe fails.

    It takes long, so that the other tests run at the same time.
    """

    async def wait() -> Reason:
        fault = await chaos.apply("chaos-1", "blackhole")
        async with Client(chaos.url) as client:
            await client.log_in()
            reason, _ = await asyncio.gather(
                chaos.reason("chaos-1"), client.wait_for_status("chaos-1", "Disconnected", within=30)
            )
            shown = await chaos.show("chaos-1")
            assert (shown["listening"], shown["size"]) == (True, 32 * MIB)
            assert [one["id"] for one in shown["faults"]] == [fault]
            healed = await chaos.ask("DELETE", f"/hosts/chaos-1/faults/{fault}")
            assert (healed.status, healed.body["faults"]) == (200, [])
            await client.wait_for_status("chaos-1", "Connected", within=30)
        return reason

    task = asyncio.create_task(wait())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_fault_heals_by_itself_after_its_time(chaos: ChaosLab) -> None:
    await chaos.apply("chaos-2", "refuse", **{"for": "6s"})
    assert await chaos.reason("chaos-2") is Reason.REFUSED
    [fault] = (await chaos.show("chaos-2"))["faults"]
    assert 0 <= fault["secondsLeft"] < 6
    await asyncio.sleep(fault["secondsLeft"] + 0.5)
    assert await chaos.faults("chaos-2") == []
    assert (await chaos.capacity("chaos-2")).total == 32 * MIB


async def test_a_fault_is_refused_on_a_host_without_the_privileges_naming_those_that_have_them(chaos: ChaosLab) -> None:
    for kind, right in (("blackhole", "NET_ADMIN"), ("read_only", "SYS_ADMIN")):
        refused = await chaos.ask("POST", "/hosts/imagestore-1/faults", {"kind": kind})
        error = f"fault {kind}: not on imagestore-1, which has no {right}; chaos-1, chaos-2 and chaos-3 may"
        assert (refused.status, refused.body) == (409, {"error": error})
    kinds = {one["kind"]: one["form"] for one in (await chaos.ask("GET", "/faults")).body["faults"]}
    assert kinds.keys() == FAULTS.keys()
    assert kinds["blackhole"]["hosts"] == list(CHAOS)
    assert kinds["password_rotated"]["hosts"] == [*CHAOS, *HOSTS]
    assert (await chaos.ask("POST", "/hosts", {"name": "gold"})).status == 405


async def test_faults_that_need_no_privilege_work_on_plain_hosts_too(chaos: ChaosLab) -> None:
    before = await chaos.capacity("imagestore-1")
    await chaos.apply("imagestore-1", "password_rotated")
    assert await chaos.reason("imagestore-1") is Reason.AUTH_FAILED
    await chaos.heal("imagestore-1")
    filled = await chaos.ask("POST", "/hosts/imagestore-1/fill", {"to": "75%"})
    assert filled.status == 201, filled.text
    await chaos.apply("imagestore-1", "no_statvfs")
    found = await chaos.capacity("imagestore-1")
    assert (found.method, found.available) == ("df", before.total // 4)
    await chaos.heal("imagestore-1")
    after = await chaos.capacity("imagestore-1")
    assert (after.method, after.available) == ("statvfs", before.available)


async def test_the_agent_of_a_plain_host_is_shown_and_stopped(chaos: ChaosLab) -> None:
    shown = await chaos.ask("GET", "/hosts/imagestore-1/agent")
    assert shown.status == 200, shown.text
    assert (shown.body["running"], shown.body["authority"].count("BEGIN CERTIFICATE")) == (True, 1)
    other = await chaos.ask("GET", "/hosts/imagestore-2/agent")
    assert other.body["authority"] == shown.body["authority"]
    assert other.body["certificateSha256"] != shown.body["certificateSha256"]
    await chaos.apply("imagestore-1", "agent_down")
    down = await chaos.ask("GET", "/hosts/imagestore-1/agent")
    assert (down.body["running"], down.body["instance"]) == (False, None)
    assert (await chaos.ask("GET", "/hosts/imagestore-1")).body["agentRunning"] is False
    await chaos.heal("imagestore-1")
    assert (await chaos.ask("GET", "/hosts/imagestore-1/agent")).body["running"] is True


async def test_a_start_of_the_agent_waits_for_one_that_gets_no_processor_at_first(chaos: ChaosLab) -> None:
    script = r"""
    service=/etc/init.d/zstack-imagestorebackupstorage
    $service stop
    printf '#!/bin/sh\nsleep 1\nexec "$@"\n' >/run/slow
    sed "s,/bin/busybox setsid,/run/slow," $service >/run/late
    chmod +x /run/late /run/slow
    /run/late start
    """
    await chaos.execute("imagestore-3", "sh", "-c", script)
    assert (await chaos.ask("GET", "/hosts/imagestore-3/agent")).body["running"] is True


async def test_a_disk_grows_shrinks_fills_and_heals_in_any_order(chaos: ChaosLab) -> None:
    before = await chaos.capacity("chaos-2")
    full = await chaos.apply("chaos-2", "fill")
    grown = await chaos.apply("chaos-2", "resize", size="64 MiB")
    await chaos.apply("chaos-2", "read_only")
    found = await chaos.capacity("chaos-2")
    assert (found.total, found.available, found.read_only) == (64 * MIB, 32 * MIB, True)
    for fault in (full, grown):
        assert (await chaos.ask("DELETE", f"/hosts/chaos-2/faults/{fault}")).status == 200
    await chaos.apply("chaos-2", "resize", size="16 MiB")
    found = await chaos.capacity("chaos-2")
    assert (found.total, found.available, found.read_only) == (16 * MIB, 16 * MIB, True)
    await chaos.heal("chaos-2")
    await chaos.apply("chaos-2", "out_of_inodes")
    assert (await chaos.capacity("chaos-2")).inodes == Inodes(16384, 0)
    await chaos.heal("chaos-2")
    after = await chaos.capacity("chaos-2")
    assert (after.total, after.available, after.read_only) == (before.total, before.available, False)
    assert (await chaos.show("chaos-2"))["freeInodes"] > 16_000


async def test_faults_stay_on_a_host_that_is_stopped(chaos: ChaosLab) -> None:
    for kind in ("no_sftp", "fill", "latency"):
        await chaos.apply("chaos-3", kind)
    stopped = await chaos.ask("POST", "/hosts/chaos-3/stop")
    assert (stopped.status, stopped.body["listening"], stopped.body["size"]) == (200, False, None)
    started = await chaos.ask("POST", "/hosts/chaos-3/start")
    assert (started.status, started.body["listening"], len(started.body["faults"])) == (200, True, 3)
    found = await chaos.capacity("chaos-3")
    assert (found.method, found.available) == ("df", 0)
    await chaos.compose("restart", "--timeout", "2", "chaos-3")
    await chaos.wait_until_healthy("chaos-3")
    assert await chaos.faults("chaos-3") == ["no_sftp"], "a host that others stop loses its mounts, rules and disk"
    await chaos.heal("chaos-3")
    assert (await chaos.capacity("chaos-3")).method == "statvfs"


async def test_a_fault_that_expires_while_others_have_stopped_its_host_heals_after_the_start(chaos: ChaosLab) -> None:
    await chaos.apply("chaos-3", "password_rotated", **{"for": "8s"})
    await succeed("docker", "stop", "--time", "0", await chaos.container("chaos-3"))
    await asyncio.sleep(8)
    assert await chaos.faults("chaos-3") == ["password_rotated"]
    await succeed("docker", "start", await chaos.container("chaos-3"))
    await chaos.wait_until_healthy("chaos-3")
    deadline = time.monotonic() + 60
    while await chaos.faults("chaos-3"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await chaos.capacity("chaos-3")


async def test_a_blackhole_is_a_timeout_to_the_node_until_it_heals(blackholed: asyncio.Task[Reason]) -> None:
    assert await blackholed is Reason.TIMEOUT


async def test_the_openapi_document_describes_the_answers(chaos: ChaosLab) -> None:
    described = (await chaos.ask("GET", "/openapi.json")).body
    OpenAPIV31SpecValidator(described).validate()
    for path in ("/hosts", "/hosts/{name}", "/faults"):
        content = described["paths"][f"/lab/v1{path}"]["get"]["responses"]["200"]["content"]["application/json"]
        answer = await chaos.ask("GET", path.format(name="chaos-1"))
        assert answer.status == 200
        Draft202012Validator(content["schema"] | {"components": described["components"]}).validate(answer.body)


async def test_nothing_is_left_when_the_service_stops_and_faults_of_a_killed_one_are_noticed(chaos: ChaosLab) -> None:
    for kind in ("password_rotated", "fill"):
        await chaos.apply("imagestore-2", kind)
    for kind in ("host_key_changed", "blackhole", "fill"):
        await chaos.apply("chaos-1", kind)
    service = await chaos.container("chaos")
    await succeed("docker", "stop", "--time", "30", service)
    assert (await chaos.inspect("chaos"))["State"]["ExitCode"] == 0, "ended by itself, not killed"
    for host in ("chaos-1", "imagestore-2"):
        await chaos.capacity(host)
    for folder in FAULT_FOLDERS:
        assert (await chaos.execute("imagestore-2", "sh", "-c", f"[ -e {folder} ] || echo gone")).strip() == "gone"
    assert (await chaos.execute("imagestore-2", "ls", "-A", "/zs/2")).split() == ["export", "registry"]
    assert (await chaos.execute("chaos-1", "ls", "-A", "/zs")).split() == ["export", "registry"]
    assert "fault-" not in await chaos.execute("chaos-1", "iptables-save")
    assert (await chaos.execute("chaos-1", "cat", "/etc/ssh/sshd_config.d/00-faults.conf")).strip() == ""

    await succeed("docker", "start", service)
    await chaos.wait_until_it_answers()
    await chaos.apply("chaos-1", "no_sftp")
    await succeed("docker", "kill", service)
    await succeed("docker", "start", service)
    await chaos.wait_until_it_answers()
    assert await chaos.faults("chaos-1") == []
    refused = await chaos.ask("POST", "/hosts/chaos-1/faults", {"kind": "fill"})
    assert (refused.status, "docker-compose up -d --force-recreate" in refused.body["error"]) == (409, True)
    await chaos.compose("up", "-d", "--force-recreate", "--no-deps", "chaos-1")
    await chaos.wait_until_healthy("chaos-1")
    await chaos.apply("chaos-1", "fill")
