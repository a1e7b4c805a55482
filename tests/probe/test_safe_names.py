"""Names of records: ssh's own rules hold, and none becomes a word of a command, a pattern or the name of a file."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.faults import FaultProblem, read_fault
from imagestore_sim.host_names import is_host_name, is_user_name
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Capacity, HostKeyPolicy, ProbeFailure, Prober, Reason, Target
from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.probe.proxy_command import ProxyCommandTransport
from imagestore_sim.testing import Client
from imagestore_sim.units import parse_path
from sshd import StartSshd

USERS = (
    "root", "DOMAIN\\user", "a b", "a -b", "-x", "x;y", "x'y", 'x"y', "x`y", "x&y", "x|y", "x(y", "x)y", "x{y", "x}y",
    "x<y", "x>y", "x$y", "x\\", "x\\y", "x\ny", "x\ty", "x\ry", "x\x7fy", "x#y", "a@b", "x*", "${HOME}", "x\x1b[2J",
    'x "-oProxyCommand=touch /tmp/PWN"', "%r", "x -oProxyCommand=id",
)  # fmt: skip
HOSTS = (
    "h", "h.example", "-h", "-oProxyCommand=id", "h;id", "h`id`", "$(id)", "h|id", "h&", "h'", 'h"', "h\\", "h x",
    "h\tx", "h\nx", "h(x", "h{x", "h<x", "h_x", "::1", "fe80::1%eth0",
)  # fmt: skip
RELAY = """
import json, os, socket, sys, threading
with open(sys.argv[1], "a") as calls:
    calls.write(json.dumps(sys.argv[3:]) + "\\n")
there = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's ssh")
def test_the_rules_are_those_of_ssh_itself() -> None:
    def complaint(user: str, host: str) -> str:
        options = [
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=1",
            "-o",
            "ProxyCommand=false",
            "-l",
            user,
        ]
        return subprocess.run(["ssh", *options, "--", host], capture_output=True, text=True, check=False).stderr

    bad_users = [user for user in USERS if "username contains invalid characters" in complaint(user, "127.0.0.1")]
    assert [user for user in USERS if not is_user_name(user)] == bad_users
    bad_hosts = [host for host in HOSTS if "hostname contains invalid characters" in complaint("root", host)]
    assert [host for host in HOSTS if not is_host_name(host)] == bad_hosts


def _children() -> set[str]:
    """Return the process ids of the children that have not been waited for."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


async def _probe(config: Path | None, target: Target) -> Capacity | ProbeFailure:
    prober = Prober(RealClock(), ssh_config=config, connect_timeout=60)
    try:
        return await prober.probe(target)
    finally:
        await prober.close()


@pytest.mark.thorough
@pytest.mark.sshd
async def test_a_proxy_command_gets_a_name_as_one_word_or_is_not_run(start_sshd: StartSshd, tmp_path: Path) -> None:
    sshd = start_sshd()
    before = _children()
    calls, script, config = tmp_path / "calls", tmp_path / "relay.py", tmp_path / "config"
    script.write_text(RELAY)
    key = f"  IdentityFile {sshd.identity_file}\n"
    config.write_text(f"Host *\n{key}  ProxyCommand {sys.executable} {script} {calls} {sshd.port} -l %r %h:%p %n end\n")
    found = await _probe(config, Target("behind", 22, sshd.username, str(tmp_path)))
    assert isinstance(found, Capacity), found
    words = ["-l", sshd.username, "behind:22", "behind", "end"]
    assert [json.loads(line) for line in calls.read_text().splitlines()] == [words]
    calls.unlink()
    for user in (one for one in USERS if one not in ("root", "x$y", "a@b", "x*", "%r")):
        refused = await _probe(config, Target("behind", 22, user, str(tmp_path)))
        assert isinstance(refused, ProbeFailure)
        assert refused.reason is Reason.AUTH_FAILED
        assert "\n" not in refused.message
    for host in (one for one in HOSTS if not is_host_name(one)):
        refused = await _probe(config, Target(host, 22, "root", str(tmp_path)))
        assert isinstance(refused, ProbeFailure)
        assert refused.reason is Reason.DNS
    assert not calls.exists(), "a command was run for such a name"
    for user in ("x$y", "a@b", "%r"):
        await _probe(config, Target("behind", 22, user, str(tmp_path)))
    given = [json.loads(line)[:2] for line in calls.read_text().splitlines()]
    assert given == [["-l", "x$y"], ["-l", "a@b"], ["-l", "%r"]]
    async with asyncio.timeout(60):
        while _children() - before:
            await asyncio.sleep(0.01)


async def test_a_name_that_no_command_is_given_may_be_what_ssh_takes(tmp_path: Path) -> None:
    async with SimulatedHost("h", credentials=Credentials("DOMAIN\\user", "secret")) as host:
        address, port = host.address
        config = tmp_path / "config"
        config.write_text(f"Host a\n  HostName {address}\n  Port {port}\n")
        assert isinstance(await _probe(config, Target("a", 22, "DOMAIN\\user", "/", "secret")), Capacity)
        assert isinstance(await _probe(None, Target(address, port, "DOMAIN\\user", "/", "secret")), Capacity)


@pytest.mark.parametrize("user", ["../other/key", "..", "~root", "a/b"])
async def test_no_name_leads_to_a_file_of_other_folders(tmp_path: Path, user: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host a\n  HostName 127.0.0.1\n  Port 1\n  IdentityFile {tmp_path}/%r\n")
    found = await _probe(config, Target("a", 22, user, "/", "secret"))
    assert isinstance(found, ProbeFailure)
    assert "IdentityFile cannot be given the name" in found.message


async def test_no_path_holds_a_nul() -> None:
    found = await _probe(None, Target("127.0.0.1", 1, "root", "/zs\0x"))
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.NO_SUCH_PATH


@pytest.mark.parametrize("name", ["*", "a,b", "!h", "@revoked", "#h", "h?"])
async def test_no_name_is_noted_as_a_pattern_of_host_keys(tmp_path: Path, name: str) -> None:
    file = tmp_path / "known_hosts"
    async with SimulatedHost(name, credentials=Credentials("root", "secret")) as host:

        async def resolve(hostname: str, port: int) -> tuple[str, int]:
            return host.address

        prober = Prober(
            RealClock(), resolve=resolve, host_keys=HostKeyPolicy.TOFU, known_hosts=file, connect_timeout=60
        )
        found = await prober.probe(Target(name, 22, "root", "/", "secret"))
        await prober.close()
    assert isinstance(found, ProbeFailure)
    assert found.reason is Reason.HOST_KEY_CHANGED
    assert not file.exists()


async def test_the_configuration_of_a_lab_says_nothing_that_a_client_has_written(tmp_path: Path) -> None:
    evil = "root\n  ProxyCommand touch /tmp/PWN"
    network = HostNetwork()
    before = os.umask(0)
    try:
        config = await network.write_ssh_config(tmp_path)
        await network.add(SimulatedHost("h", credentials=Credentials(evil, "secret")))
        await network.add(SimulatedHost("h\n  ProxyCommand id", credentials=Credentials("root", "secret")))
        await network.add(SimulatedHost("g *", credentials=Credentials("a b", "secret")))
        await network.add(SimulatedHost("i", credentials=Credentials("a b", "secret")))
    finally:
        os.umask(before)
        await network.close()
    text = config.read_text()
    assert "ProxyCommand" not in text
    assert [line for line in text.splitlines() if line.startswith("Host ")] == ["Host h", "Host i"]
    assert '    User "a b"' in text
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.imagestore_lab(hosts=1)
async def test_the_lab_takes_no_user_that_ssh_refuses(imagestore_client: Client, imagestore_lab: Lab) -> None:
    url = f"{imagestore_client.url}/lab/v1/hosts"
    for method, path, body in (("POST", "", {"name": "new"}), ("PATCH", "/imagestore-1", {})):
        for user in ("a\nProxyCommand id", "-oProxyCommand=id", "a;b"):
            answer = await imagestore_client.request(method, f"{url}{path}", {**body, "username": user})
            assert (answer.status, "username" in answer.text) == (400, True), user
    for name in ("a b", "a\nb", "*", "a*"):
        assert (await imagestore_client.request("POST", url, {"name": name})).status == 400
    await asyncio.to_thread(imagestore_lab.ssh_config.read_text)


def test_names_in_faults_are_not_scripts() -> None:
    for name in ("df;id", "$(id)", "a b", "df\noptions df ;id", "-x", "", "'"):
        with pytest.raises(FaultProblem, match="commands"):
            read_fault("command_missing", {"commands": [name]})
    for path in ("/a\nb", "/a\0b", "/a\x1b[2J"):
        with pytest.raises(ValueError, match="cannot be printed"):
            parse_path(path)
    assert read_fault("command_missing", {"commands": ["df", "[", "/usr/bin/stat", "sftp-server"]})


async def test_data_for_a_proxy_command_that_has_ended_is_dropped() -> None:
    tunnel = mock.Mock(spec=BoundedTunnel)
    process, command = await asyncio.get_running_loop().subprocess_exec(lambda: ProxyCommandTransport(tunnel), "cat")
    for fd in (0, 1):
        pipe = process.get_pipe_transport(fd)
        assert pipe is not None
        pipe.close()
    command.write(b"SSH-2.0-x\r\n")
    command.pause_reading()
    command.resume_reading()
    async with asyncio.timeout(60):
        while process.get_returncode() is None:
            await asyncio.sleep(0.01)
    command.close()
    command.write(b"SSH-2.0-x\r\n")
    tunnel.connection_lost.assert_called_once()
