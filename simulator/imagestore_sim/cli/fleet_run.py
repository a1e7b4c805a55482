"""The run of `imagestore-sim host`: one host at an address, or a fleet of them behind one port."""

from __future__ import annotations

import asyncio
import errno
import gc
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from imagestore_sim import logs, open_files
from imagestore_sim.cli import fleet_files
from imagestore_sim.cli.exits import SUCCESS, InputError
from imagestore_sim.cli.fleet_files import STANDARD_OUTPUT
from imagestore_sim.cli.running import until_stopped, warn_of_openings
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.exposure import is_exposed
from imagestore_sim.hosts import Credentials, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.agent import PORT as AGENT_PORT
from imagestore_sim.hosts.default_hosts import default_disk
from imagestore_sim.hosts.fleet import (
    FILES_OF_A_FLEET,
    FIRST,
    CannotListen,
    Fleet,
    addresses_from,
    host_key,
    numbered_names,
)
from imagestore_sim.hosts.listener import NewListener
from imagestore_sim.node.errors import cannot_listen
from imagestore_sim.settings import LAST_PORT, Settings
from imagestore_sim.web_server import authority

if TYPE_CHECKING:
    from imagestore_sim.lab_api import HostsService

DEFAULT_SIZE = 2**40
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
FOLDERS = (f"{fleet_files.URL}/registry", f"{fleet_files.URL}/export")
"""Folders of the storage that the inventory has on a host: a node that knows it from before creates none."""
DESCRIPTION = "Simulated hosts without a management node, and what is wrong with them."


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the options of `host` say beside the settings."""

    name: str
    count: int
    first: IPv4Address | None
    agent_port: int | None
    username: str
    password: str = field(repr=False)
    size: int | None
    used: int
    inventory: Path | None
    hosts_file: Path | None
    lab_port: int | None
    port_each: bool

    @property
    def is_fleet(self) -> bool:
        """Return whether they are many hosts, or one as there are many."""
        return self.count > 1 or self.first is not None or self.port_each


async def run_hosts(settings: Settings, given: HostOptions) -> int:
    """Run simulated hosts until a signal stops them. Raise InputError for what cannot be had."""
    logs.configure(settings.log_level, settings.log_format)
    open_files.raise_limit()
    hosts = _fleet(settings, given)
    async with until_stopped() as stopped, AsyncExitStack() as exits:
        exits.push_async_callback(hosts.stop)
        await _start(hosts)
        service = None
        if given.lab_port is not None:
            service = await _serve_lab_api(settings, given.lab_port, hosts)
            exits.push_async_callback(service.close)
        await asyncio.to_thread(_write_files, given, hosts)
        gc.freeze()  # a collection would visit every object of every host, and find nothing
        _announce(given, hosts, service)
        await stopped.wait()
    return SUCCESS


def _fleet(settings: Settings, given: HostOptions) -> Fleet:
    """Return the hosts, which have not started. Raise InputError."""
    addresses = [settings.host]
    if given.port_each:
        _check_ports(settings.port, given)
        addresses *= given.count
    elif given.is_fleet:
        _check_files(given.count, 1, "one for the connection that a node keeps to each")
        try:
            addresses = [str(one) for one in addresses_from(given.first or FIRST, given.count)]
        except ValueError as error:
            raise InputError(f"--from: {error}") from None
    names = numbered_names(given.name, given.count) if given.is_fleet else [given.name]  # not before the count is known
    clock = RealClock()
    key = host_key(settings.seed) if "seed" in settings.model_fields_set else None

    def new_host(name: str, listener: NewListener, agent_listener: NewListener) -> SimulatedHost:
        host = SimulatedHost(
            name,
            disk=_disk(given, name, clock),
            credentials=Credentials(given.username, given.password),
            clock=clock,
            seed=settings.seed,
            listener=listener,
            agent_listener=agent_listener,
        )
        host.host_key = key
        return host

    places = dict(zip(names, addresses, strict=True))
    shared = given.is_fleet and not given.port_each
    return Fleet(places, settings.port, given.agent_port, new_host, shared=shared, port_each=given.port_each)


def _disk(given: HostOptions, name: str, clock: Clock) -> VirtualDisk:
    """Return the disk of a host. Those of a fleet differ, unless the options say what they are."""
    if given.is_fleet and given.size is None and not given.used:
        disk = default_disk(name, clock)
    else:
        disk = VirtualDisk(size=given.size or DEFAULT_SIZE, used=given.used, clock=clock)
    if given.is_fleet:
        disk.furnish(FOLDERS)
    return disk


def _check_ports(first: int, given: HostOptions) -> None:
    """Raise InputError if there are not as many ports as hosts, from the first on, or not as many open files."""
    for one in (first, given.agent_port):
        if one and one + given.count - 1 > LAST_PORT:
            there = LAST_PORT + 1 - one
            raise InputError(f"--port-each: from port {one} on there are {there}, which is fewer than {given.count}")
    if given.agent_port is None:
        _check_files(given.count, 2, "one to listen and one for the connection that a node keeps, for each")
    else:
        _check_files(given.count, 3, "two to listen and one for the connection that a node keeps, for each")


def _check_files(count: int, each: int, why: str) -> None:
    """Raise InputError if the process may not open the files of `count` hosts, `each` for one of them."""
    needed, allowed = FILES_OF_A_FLEET + count * each, open_files.limit()
    if needed > allowed:
        raise InputError(
            f"{count} hosts need {needed} open files, {why}, and {allowed}"
            " are the most allowed; raise the hard limit (ulimit -Hn), or run several with --count fewer"
        )


async def _start(hosts: Fleet) -> None:
    """Start a fleet. Raise InputError."""
    try:
        await hosts.start()
    except CannotListen as problem:
        error = problem.__cause__
        assert isinstance(error, OSError)
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"{problem.address} is no address of this machine{_hint()}") from None
        option = "--agent-port" if problem.agents else "--port"
        raise InputError(cannot_listen(problem.address, problem.port, error, option)) from None


def _hint() -> str:
    """Return what to do about an address that is missing."""
    if platform.system() == "Darwin":
        return ": macOS has 127.0.0.1 alone; add more with `ifconfig lo0 alias ADDRESS`, or run each host on a port"
    return "; --from takes the first of addresses that it has"


async def _serve_lab_api(settings: Settings, port: int, hosts: Fleet) -> HostsService:
    """Return the lab's API of the hosts, which listens. Raise InputError."""
    # These take as much memory as all else of this command.
    from imagestore_sim.lab_api import HostChangesRoutes, HostsRoutes, HostsService, SimulatedHosts
    from imagestore_sim.node.from_settings import new_guard

    known = SimulatedHosts(hosts)
    routes = [*HostsRoutes(known).routes(), *HostChangesRoutes(known).routes()]
    service = HostsService(routes, new_guard(settings), DESCRIPTION)
    try:
        await service.listen(settings.host, port)
    except OSError as error:
        await service.close()
        raise InputError(cannot_listen(settings.host, port, error, "--lab-port")) from None
    return service


def _write_files(given: HostOptions, hosts: Fleet) -> None:
    """Write the files that the options ask for. Raise InputError."""
    if given.hosts_file is not None:
        lines = fleet_files.hosts_file(_reachable(hosts.addresses), _agents(given, hosts))
        fleet_files.write(given.hosts_file, lines, "--hosts-file")
    if given.inventory is not None:
        named = {name: name for name in hosts} if given.hosts_file else hosts.addresses
        ports = {name: host.address[1] for name, host in hosts.items()}
        lines = fleet_files.inventory(named, ports, given.username, given.password)
        fleet_files.write(given.inventory, lines, "--inventory")


def _agents(given: HostOptions, hosts: Fleet) -> Mapping[str, int]:
    """Return the ports of the agents, if nodes are to find them on others than the one on which they ask for agents."""
    if given.agent_port in (None, AGENT_PORT) and not (given.port_each and hosts.has_agents):
        return {}
    return {name: host.agent.address[1] for name, host in hosts.items()}


def _reachable(addresses: Mapping[str, str]) -> Mapping[str, str]:
    """Return where other machines reach hosts: by the name of this machine those that listen at every address of it."""
    return {name: socket.gethostname() if one in EVERY_ADDRESS else one for name, one in addresses.items()}


def _announce(given: HostOptions, hosts: Fleet, service: HostsService | None) -> None:
    """Warn of what other machines can reach, and print where the hosts are: beside an inventory to standard error."""
    first = next(iter(hosts.values()))
    where = authority(*first.address)
    if is_exposed([first.address, first.agent.address] if hosts.has_agents else [first.address]):
        warn_of_openings(where, [f"{given.username} logs in with the password that --password gives"])
    if given.port_each:
        places = [str(host.address[1]) for host in hosts.values()]
        lines = [f"ready ssh://{where}", f"hosts {_range(list(hosts))} on ports {_range(places)}"]
        if hosts.has_agents:
            lines.append(f"agents on ports {_range([str(host.agent.address[1]) for host in hosts.values()])}")
    else:
        lines = [f"ready ssh://{where}", f"agent https://{authority(*first.agent.address)}"]
        if given.is_fleet:
            lines.append(f"hosts {_range(list(hosts))} at {_range(list(hosts.addresses.values()))}")
    if service is not None:
        warn_of_openings(service.url, service.openings())
        lines.append(f"lab {service.url}")
    print("\n".join(lines), flush=True, file=sys.stderr if given.inventory == STANDARD_OUTPUT else sys.stdout)


def _range(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
