"""A simulated ImageStore host: a real SSH server on a loopback port, over a virtual disk."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncssh

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.context_managers import Startable
from imagestore_sim.faults import Behaviour, Fault, HostState
from imagestore_sim.host_names import host_and_port
from imagestore_sim.hosts.accounts import Accounts, Credentials
from imagestore_sim.hosts.agent import Agent
from imagestore_sim.hosts.applied_faults import HostFaults, SimulatedFault
from imagestore_sim.hosts.commands import COMMANDS, with_faults
from imagestore_sim.hosts.disk import VirtualDisk
from imagestore_sim.hosts.installation import COMMAND_LINE
from imagestore_sim.hosts.link import Link, abort_all
from imagestore_sim.hosts.listener import LOOPBACK, Listener, NewListener
from imagestore_sim.hosts.shell import Command
from imagestore_sim.hosts.sshd import Sshd
from imagestore_sim.tasks import Tasks

INIT, SSHD = "/usr/lib/systemd/systemd", "/usr/sbin/sshd -D"
KEPT_STOPS = 100
"""Times that a host was shut down which it remembers."""
FOLDERS = ("/etc", "/home", "/root", "/tmp", "/var")  # noqa: S108 - of virtual disks


@dataclass(slots=True)
class Stop:
    """A host was shut down at `since` and started at `until` (epoch seconds); None: it is not running."""

    since: float
    until: float | None = None


class SimulatedHost(Startable):
    """A host that is reached by SSH as a real one is (`faults.target.Host`).

    Its attributes can be changed while it runs. What goes wrong with it is in `faults`.
    """

    def __init__(
        self,
        name: str,
        *,
        port: int = 22,
        disk: VirtualDisk | None = None,
        credentials: Credentials | None = None,
        sftp: bool = True,
        statvfs: bool = True,
        commands: Mapping[str, Command] = COMMANDS,
        clock: Clock | None = None,
        seed: int = 0,
        listener: NewListener = Listener,
        agent_listener: NewListener = Listener,
    ) -> None:
        """Describe a host; `start` makes it listen, by `listener`, and its agent by `agent_listener`.

        `port` is the one that storages know it by, not the real one. Without credentials every login succeeds. `sftp`
        and `statvfs` are whether its sshd has SFTP and whether that has statvfs@openssh.com. What its faults leave to
        chance follows from its name and `seed`.
        """
        self.name = name
        self.port = port
        self.clock = clock or RealClock()
        self.disk = disk or VirtualDisk(clock=self.clock)
        self.disk.furnish(FOLDERS)
        self.credentials = credentials
        self.trusted_keys: list[asyncssh.SSHKey] = []
        """Keys that log in beside the credentials."""
        self.host_key: asyncssh.SSHKey | None = None
        """Its host key; None: the one that all hosts of this process share."""
        self.sftp = sftp
        self.statvfs = statvfs
        self._commands = commands
        self._seed = f"{seed} {name}"
        self._random: random.Random | None = None
        self.faults = HostFaults(self)
        self.logins = 0
        """Successful logins so far."""
        self.stops: list[Stop] = []
        """The latest times that it was shut down, the oldest first."""
        self.after_start: Callable[[], Awaitable[None]] | None = None
        """Called each time that it has begun to listen."""
        self.links: dict[Link, None] = {}
        """Connections that are open, from TCP on; the oldest first."""
        self.tasks = Tasks()
        self.accounts = Accounts(self)
        self.sshd = Sshd(self)
        self._listener = listener(lambda: Link(self), self.clock, self.tasks)
        self.agent = Agent(self, agent_listener)

    @property
    def listening(self) -> bool:
        """Return whether it runs. A fault may have closed its port all the same."""
        return self._listener.is_open

    @property
    def address(self) -> tuple[str, int]:
        """Return the real address and port that it listens on, or did last. Raise RuntimeError before the start."""
        if self._listener.address is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._listener.address

    @property
    def random(self) -> random.Random:
        """Return what its faults leave to chance, which can be repeated. It is made at the first use: it is large."""
        if self._random is None:
            self._random = random.Random(self._seed)  # noqa: S311 - chance that can be repeated
        return self._random

    @property
    def behaviour(self) -> Behaviour:
        """Return how it behaves now, with the faults on it."""
        return self.faults.behaviour

    @property
    def commands(self) -> Mapping[str, Command]:
        """Return the commands that it can run now, by name. Set it for a host that has other commands."""
        return with_faults(self, self._commands)

    @commands.setter
    def commands(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    @property
    def processes(self) -> Sequence[str]:
        """Return the command lines of the programs that run on it; the agent's is that of ImageStore (domain 7.3)."""
        return (INIT, SSHD, COMMAND_LINE) if self.agent.is_running else (INIT, SSHD)

    async def wait_until(self, met: Callable[[Behaviour], bool]) -> None:
        """Wait until its behaviour meets a condition."""
        await self.faults.wait_until(met)

    async def apply(self, fault: Fault) -> SimulatedFault:
        """Put a fault on it, beside those that are on it. Raise FaultProblem when it is not possible, and OSError."""
        return await self.faults.apply(fault)

    async def state(self) -> HostState:
        """Return how it is now, with the disk of its storage. Raise RuntimeError before the first start."""
        return HostState(
            at=self.clock.monotonic(),
            name=self.name,
            port=self.port,
            listening=self.listening,
            address=host_and_port(*self.address),
            disk=self.disk.storage_disk().state(),
            logins=self.logins,
            connections=len(self.links),
            username=self.credentials.username if self.credentials else None,
            faults=self.faults,
            agent_running=self.agent.is_running,
        )

    async def start(self, host: str = LOOPBACK, port: int = 0) -> None:
        """Listen on `host`, unless it does already: with port 0 where it did before if it can, else on any free port.

        Raise OSError.
        """
        if self.listening:
            return
        await self._listener.open(host, port, self.behaviour.port)
        if self.stops and self.stops[-1].until is None:
            self.stops[-1].until = self.clock.time()
        self.agent.begin()
        self.faults.resume()
        if self.after_start is not None:
            await self.after_start()

    async def settle(self) -> None:
        """Have the port do what the behaviour says. Raise OSError."""
        await self.agent.settle()
        moved = await self._listener.become(self.behaviour.port)
        if moved and self.after_start is not None:
            await self.after_start()

    async def stop(self) -> None:
        """Stop listening, and cut every connection at once; do nothing when it does not run.

        Its faults stay on it, and are there when it is started again.
        """
        if self.listening:
            self.stops.append(Stop(self.clock.time()))
            del self.stops[:-KEPT_STOPS]
        self._listener.close()
        self.agent.end()
        await self.faults.pause()
        await abort_all(self.links)
        await self.tasks.close()
        await abort_all(self.links)  # connections that were being accepted meanwhile

    async def become(self, other: SimulatedHost) -> None:
        """Take over what `other` is, a host that was never started: its disk, credentials and chance, without faults.

        It listens then, where it did before. Raise OSError.
        """
        await self.faults.heal_all()
        await self.stop()
        self.faults = HostFaults(self)
        self.port, self.disk, self.credentials = other.port, other.disk, other.credentials
        self.sftp, self.statvfs, self._commands = other.sftp, other.statvfs, other._commands
        self._random, self._seed, self.logins = other._random, other._seed, 0
        self.stops.clear()
        self.sshd = Sshd(self)
        await self.start()
