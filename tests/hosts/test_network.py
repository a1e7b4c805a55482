"""Names of hosts, the addresses that they resolve to, and the OpenSSH configuration that follows them."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost, default_host, spot_host
from imagestore_sim.probe import Capacity, ProbeFailure, Prober, Reason, Target
from processes import child

needs_openssh = pytest.mark.skipif(not shutil.which("ssh"), reason="needs OpenSSH's ssh (Debian: openssh-client)")


@pytest.fixture
async def network() -> AsyncIterator[HostNetwork]:
    network = HostNetwork(any_host=default_host)
    yield network
    await network.close()


@pytest.fixture
async def closed_world() -> AsyncIterator[HostNetwork]:
    """Return a network that makes no hosts on the spot."""
    network = HostNetwork()
    yield network
    await network.close()


async def refuses(address: tuple[str, int]) -> bool:
    try:
        _, writer = await asyncio.open_connection(*address)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_an_added_host_is_started_and_known_by_its_name_in_any_case(closed_world: HostNetwork) -> None:
    host = SimulatedHost("ImageStore-1")
    await closed_world.add(host)
    assert host.listening
    assert closed_world["imagestore-1"] is closed_world.get("IMAGESTORE-1") is host
    assert (list(closed_world), len(closed_world)) == (["ImageStore-1"], 1)
    assert await closed_world.resolve("IMAGEstore-1", 22) == host.address
    with pytest.raises(ValueError, match="there is a host imagestore-1 already"):
        await closed_world.add(SimulatedHost("imagestore-1"))


async def test_an_unknown_name_does_not_resolve(closed_world: HostNetwork) -> None:
    with pytest.raises(socket.gaierror) as caught:
        await closed_world.resolve("nosuch", 22)
    assert caught.value.errno == socket.EAI_NONAME
    assert closed_world.get("nosuch") is None
    with pytest.raises(KeyError):
        closed_world["nosuch"]


async def test_any_name_gets_one_host_for_many_calls_at_once(network: HostNetwork) -> None:
    addresses = await asyncio.gather(*(network.resolve(name, 2222) for name in ["h-1", "H-1"] * 20))
    assert set(addresses) == {network["h-1"].address}
    assert (len(network), network["h-1"].port) == (1, 2222)


async def test_a_host_that_is_removed_while_it_is_made_is_unreachable(network: HostNetwork, tmp_path: Path) -> None:
    await network.write_ssh_config(tmp_path)
    resolving = asyncio.create_task(network.resolve("h-1", 22))
    while "h-1" not in network:
        await asyncio.sleep(0)
    await network.remove("h-1")
    with pytest.raises(OSError, match="No route to host"):
        await resolving


async def test_hosts_are_renewed_in_order_while_others_come_and_go(network: HostNetwork, tmp_path: Path) -> None:
    await network.write_ssh_config(tmp_path)
    for name in ("h-3", "h-2", "h-1"):
        await network.add(default_host(name))
    coming = [asyncio.create_task(network.resolve(f"spot-{number}", 22)) for number in range(5)]
    going = [asyncio.create_task(network.remove(name)) for name in ("h-2", "h-3")]
    await network.renew([default_host("H-1"), default_host("h-2")])
    assert list(network) == ["h-1", "h-2"]
    assert all(host.listening for host in network.values())
    await asyncio.gather(*coming, *going, return_exceptions=True)
    assert [host.name for host in network.values() if not host.listening] == []


async def test_another_port_leads_to_an_address_that_refuses_and_a_stopped_host_nowhere(network: HostNetwork) -> None:
    host = SimulatedHost("h-1", port=2222)
    await network.add(host)
    assert not await refuses(await network.resolve("h-1", 2222))
    assert await refuses(await network.resolve("h-1", 22))
    await host.stop()
    with pytest.raises(OSError, match="No route to host"):
        await network.resolve("h-1", 2222)
    await host.start()
    assert await network.resolve("h-1", 2222) == host.address


async def test_a_prober_resolves_by_the_network(network: HostNetwork) -> None:
    prober = Prober(RealClock(), resolve=network.resolve)
    try:
        found = await prober.probe(Target("imagestore-1", 22, "root", "/", "password"))
        refused = await prober.probe(Target("imagestore-1", 23, "root", "/", "password"))
    finally:
        await prober.close()
    assert isinstance(found, Capacity)
    assert (found.total, found.available) == (network["imagestore-1"].disk.size, network["imagestore-1"].disk.available)
    assert isinstance(refused, ProbeFailure)
    assert refused.reason is Reason.REFUSED


async def test_a_closed_network_has_stopped_its_hosts_and_makes_no_more() -> None:
    network = HostNetwork(any_host=default_host)
    await network.resolve("h-1", 22)
    await network.resolve("h-1", 23)
    await network.close()
    await network.close()
    assert not network["h-1"].listening
    with pytest.raises(socket.gaierror):
        await network.resolve("h-2", 22)
    with pytest.raises(socket.gaierror):
        await network.resolve("h-1", 22)
    with pytest.raises(RuntimeError, match="the network is closed"):
        await network.add(SimulatedHost("h-3"))


async def test_a_host_that_cannot_start_is_not_known(closed_world: HostNetwork) -> None:
    class Failing(SimulatedHost):
        async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
            raise OSError("no port is free")

    with pytest.raises(OSError, match="no port is free"):
        await closed_world.add(Failing("h-1"))
    assert "h-1" not in closed_world


def test_the_disk_of_a_default_host_follows_from_its_name() -> None:
    disks = [default_host(f"imagestore-{number}").disk for number in (1, 2, 3, 1)]
    numbers = [(disk.size, disk.used, disk.available) for disk in disks]
    assert numbers[0] == numbers[3]
    assert len(set(numbers)) == 3
    for size, used, available in numbers:
        assert 2 * 2**40 <= size < 8 * 2**40
        assert size > available > 0
        assert available != size - used


def test_a_host_made_on_the_spot_has_a_disk_of_ten_tib_with_eight_available() -> None:
    disks = [spot_host(name).disk for name in ("a", "b")]
    assert [(disk.size, disk.available) for disk in disks] == [(10995116277760, 8796093022208)] * 2


# The OpenSSH configuration


async def test_the_configuration_names_every_host_and_keeps_its_identity(network: HostNetwork, tmp_path: Path) -> None:
    await network.add(SimulatedHost("h-1", credentials=Credentials("zstack", "secret")))
    file = await network.write_ssh_config(tmp_path)
    identity = (tmp_path / "identity").read_bytes()
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o600
    host, port = network["h-1"].address
    assert file.read_text() == (
        f"Host h-1\n    HostName {host}\n    Port {port}\n    User zstack\n"
        f'    IdentityFile "{tmp_path}/identity"\n    IdentitiesOnly yes\n'
        "    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    )
    assert await network.write_ssh_config(tmp_path) == file
    assert (tmp_path / "identity").read_bytes() == identity


async def test_the_configuration_of_an_empty_network_is_there_all_the_same(
    network: HostNetwork, tmp_path: Path
) -> None:
    assert (await network.write_ssh_config(tmp_path)).read_text() == ""


async def test_the_configuration_follows_hosts_that_come_and_move(network: HostNetwork, tmp_path: Path) -> None:
    file = await network.write_ssh_config(tmp_path)
    await network.resolve("h-1", 22)
    await network.add(SimulatedHost("h-2"))
    host = network["h-1"]
    assert [line for line in file.read_text().splitlines() if line.startswith("Host ")] == ["Host h-1", "Host h-2"]
    old = host.address[1]
    await host.stop()
    async with SimulatedHost("thief") as thief:
        await thief.stop()
        await thief.start(port=old)
        await host.start()
        assert f"    Port {host.address[1]}\n" in file.read_text()
        assert f"    Port {old}\n" not in file.read_text()
    assert [one.name for one in tmp_path.iterdir() if one.name not in ("identity", "ssh_config")] == []


async def test_many_hosts_made_at_once_are_all_in_the_configuration(network: HostNetwork, tmp_path: Path) -> None:
    file = await network.write_ssh_config(tmp_path)
    await asyncio.gather(*(network.resolve(f"h-{number}", 22) for number in range(100)))
    assert file.read_text().count("Host h-") == 100


@needs_openssh
async def test_openssh_reaches_hosts_by_name_without_a_password(network: HostNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    await network.add(SimulatedHost("locked-1", credentials=Credentials("zstack", "secret")))
    file = await network.write_ssh_config(folder)
    await network.add(default_host("imagestore-1"))
    for name, user in (("locked-1", "zstack"), ("imagestore-1", "root")):
        async with child(
            "ssh", "-F", file, "-o", "BatchMode=yes", name, "whoami; df -kP /",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        ) as process:  # fmt: skip
            output, _ = await asyncio.wait_for(process.communicate(), 60)
        lines = output.decode().splitlines()
        assert (process.returncode, lines[0]) == (0, user)
        assert int(lines[2].split()[1]) * 1024 == network[name].disk.size
