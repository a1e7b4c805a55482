"""One host of a scenario in a container: what can be run in it, and be done to it from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from imagestore_sim.clock import Clock
from imagestore_sim.scenario.format import model

if TYPE_CHECKING:
    from imagestore_sim.containers.container import Container

SECONDS = 30.0
STARTING = 60.0
"""Seconds of the machine until sshd answers; it makes its keys first. docker-compose.yml gives it as long."""
STOPPING = 1
"""Seconds that sshd has to end before it is killed."""


class ContainerProblem(OSError):
    """A script in a container failed, or the engine did what it was asked not to the end."""

    def __init__(self, text: str, status: int | None = None, stderr: str = "") -> None:
        """`status` is the exit status of the script, and `stderr` what it said of its failure."""
        super().__init__(text)
        self.status = status
        self.stderr = stderr


class Disk(Protocol):
    """The disk of a host. Failures: ContainerProblem."""

    size: int
    used: int
    """Bytes, as it has to be."""

    @property
    def in_memory(self) -> bool:
        """Whether it is in the memory of the host, which makes it anew at each start, and changes it from inside."""

    async def fill(self, used: int) -> None:
        """Have `used` bytes in use, or what its files take."""

    async def resize(self, size: int) -> None:
        """Give it another size while it is in use."""

    async def set_read_only(self, read_only: bool) -> None:
        """Remount it, read-only or writable again."""


@dataclass(slots=True)
class ContainerHost:
    """What faults are made of."""

    name: str
    """As the scenario calls it."""
    spec: model.Host
    """As the scenario describes it."""
    paths: tuple[str, ...]
    """The urls of the storages on it."""
    disk: str
    """Where its disk is mounted: `spec.mount`, or the url of its storage where the scenario has no mount."""
    address: str
    """Its IP address in the run's network, which it keeps."""
    clock: Clock
    volume: Disk = field(repr=False)
    """What can be done to its disk."""
    container: Container = field(repr=False)

    async def run(self, script: str, *, user: str = "root", given: str = "", seconds: float = SECONDS) -> str:
        """Run a shell script in the container to its end; answers what it printed.

        `given` is its standard input, `seconds` (of the machine) the longest that it may take, after which it is
        killed. Raises ContainerProblem with its exit status when that is not 0.
        """
        return await self.container.run(script, user=user, given=given, seconds=seconds)

    async def begin(self, script: str) -> None:
        """Run a shell script that goes on in the background. Raises ContainerProblem when it cannot begin."""
        await self.container.begin(script)

    async def start(self) -> None:
        """Start the container, if it does not run. Returns when sshd answers. Raises ContainerProblem."""
        await self.container.start()
        await self.run("until /usr/local/sbin/answers; do sleep 0.1; done", seconds=STARTING)

    async def stop(self) -> None:
        """Shut the container down, if it runs; its files and its disk stay. Raises ContainerProblem."""
        await self.container.stop(STOPPING)

    async def pause(self) -> None:
        """Freeze all its processes; its kernel goes on. Raises ContainerProblem."""
        await self.container.pause()

    async def unpause(self) -> None:
        """Let its processes go on. Raises ContainerProblem."""
        await self.container.unpause()

    async def kill(self, signal: str = "KILL") -> None:
        """Send a signal to its first process, sshd. Raises ContainerProblem."""
        await self.container.kill(signal)

    async def disconnect(self) -> None:
        """Take it off the run's network. Raises ContainerProblem."""
        await self.container.disconnect()

    async def connect(self) -> None:
        """Put it on the run's network again, with its address. Raises ContainerProblem."""
        await self.container.connect()
