"""The images of the lab in containers, and the privileges of its containers."""

from __future__ import annotations

import json
import re
import time
from importlib.metadata import version

import pytest

from compose.compose_lab import HOSTS, ROOT, ComposeLab, succeed

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="session")]

# CHOWN, KILL, SETGID, SETUID, SYS_CHROOT and AUDIT_WRITE, by their numbers in <linux/capability.h>.
HOST_CAPABILITIES = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 18 | 1 << 29


async def _status_of_first_process(lab: ComposeLab, service: str) -> dict[str, str]:
    lines = (await lab.execute(service, "cat", "/proc/1/status")).splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


async def test_the_node_runs_without_privileges_on_a_read_only_root(lab: ComposeLab) -> None:
    status = await _status_of_first_process(lab, "mn")
    assert status["Uid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    for path in ("/x", "/opt/imagestore-sim/x", "/etc/imagestore-sim/x", "/home/x"):
        # As root, so that the file system refuses and not its modes
        assert "Read-only file system" in await lab.execute("mn", "sh", "-c", f"touch {path} 2>&1; true")
    await lab.execute("mn", "touch", "/tmp/x", user="10001")


async def test_the_node_is_reached_from_this_machine_only(lab: ComposeLab) -> None:
    details = await lab.inspect("mn")
    assert [one["HostIp"] for one in details["NetworkSettings"]["Ports"]["8080/tcp"]] == ["127.0.0.1"]
    for host in HOSTS:
        assert not (await lab.inspect(host))["HostConfig"]["PortBindings"]


async def test_the_node_has_the_versions_that_the_tests_ran_with(lab: ComposeLab) -> None:
    script = "from importlib.metadata import distributions as d; print(*(f'{i.name}=={i.version}' for i in d()))"
    installed = {_normal(pin) for pin in (await lab.execute("mn", "python", "-c", script)).split()}
    pinned = {_normal(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    ours = {f"imagestore-sim=={version('imagestore-sim')}"}
    assert installed - pinned == ours
    assert not [pin for pin in installed if pin.startswith(("pytest", "mypy", "ruff"))]


def _normal(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() + "==" + pin.partition("==")[2]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_has_the_capabilities_that_sshd_needs_and_no_more(lab: ComposeLab, host: str) -> None:
    status = await _status_of_first_process(lab, host)
    assert status["Name"] == "sshd"
    assert int(status["CapBnd"], 16) == HOST_CAPABILITIES
    assert status["NoNewPrivs"] == "1"


async def test_a_host_runs_openssh_its_agent_and_not_this_project(lab: ComposeLab) -> None:
    running = await lab.execute("imagestore-1", "sh", "-c", "cat /proc/[0-9]*/comm | sort -u")
    assert set(running.split()) <= {"sshd", "sftp-server", "zstore", "sh", "cat", "sort", "answers", "awk", "sleep"}
    find = "command -v imagestore-sim || python3 -c 'import imagestore_sim' 2>&1 || echo not here"
    assert "not here" in await lab.execute("imagestore-1", "sh", "-c", find)
    assert set((await lab.execute("imagestore-1", "ls", "/zs/1")).split()) == {"registry", "export"}
    assert (await lab.execute("imagestore-1", "stat", "-c", "%U", "/zs/1/registry")).strip() == "store-1"


async def test_no_secret_is_in_an_image(lab: ComposeLab) -> None:
    image = (await lab.inspect("imagestore-1"))["Image"]
    inside = "ls /etc/ssh /home; awk -F: '$2 !~ /^[*!]/' /etc/shadow"
    listing = (await succeed("docker", "run", "--rm", "--entrypoint", "sh", image, "-c", inside)).split()
    assert "sshd_config" in listing
    assert not [name for name in listing if "ssh_host" in name or "store" in name]
    for service in ("mn", "imagestore-1"):
        image = (await lab.inspect(service))["Image"]
        environment = json.loads(await succeed("docker", "image", "inspect", image))[0]["Config"]["Env"]
        history = await succeed("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
        assert not [one for one in environment if "PASSWORD" in one or "USER" in one]
        assert "password-" not in history


async def test_hosts_have_keys_of_their_own(lab: ComposeLab) -> None:
    assert len({await lab.host_keys(host) for host in HOSTS}) == len(HOSTS)


@pytest.mark.parametrize("service", ["mn", "imagestore-3"])
async def test_a_container_stops_within_two_seconds(lab: ComposeLab, service: str) -> None:
    container = await lab.container(service)
    began = time.monotonic()
    await succeed("docker", "stop", "--time", "10", container)
    took = time.monotonic() - began
    status = (await lab.inspect(service))["State"]["ExitCode"]
    await succeed("docker", "start", container)
    await lab.wait_until_ready()
    assert took < 2
    assert status == 0, "ended by itself, not killed"
