"""A container: scripts in it, and its life."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiodocker
import aiohttp

from imagestore_sim.containers.host import ContainerProblem

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer
    from aiodocker.networks import DockerNetwork

RUNNING = "/bin/sh"
GIVEN = 'printf %s "$1" | exec /bin/sh -c "$0"'
"""Runs its first argument with the second as standard input."""
KILLED = 137
GRACE = 5.0
"""Seconds that the engine has beyond those of a script."""
NOT_MODIFIED, NOT_FOUND = 304, 404
EXCERPT = 300


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Let every failure of the engine be a ContainerProblem that says what was to be done."""
    try:
        yield
    except aiodocker.DockerError as error:
        raise ContainerProblem(f"{what}: {error.message}", error.status) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ContainerProblem(f"{what}: the engine does not answer: {error or type(error).__name__}") from error


class Container:
    """One container. Every failure is a ContainerProblem."""

    def __init__(
        self,
        container: DockerContainer,
        name: str,
        network: DockerNetwork | None,
        address: str = "",
        aliases: Sequence[str] = (),
    ) -> None:
        """`name` is for people. In the network, if it is on any, it keeps its address, or else goes by other names."""
        self.name = name
        self._container = container
        self._network = network
        self._aliases = aliases
        self.address = address

    @property
    def id(self) -> str:
        """The engine's."""
        return str(self._container.id)

    async def run(self, script: str, *, user: str = "root", given: str = "", seconds: float) -> str:
        """What a shell script printed, which is killed after `seconds` of the machine."""
        limit = ["/usr/bin/timeout", "--signal=KILL", f"{seconds:g}"]
        command = [RUNNING, "-c", GIVEN, script, given] if given else [RUNNING, "-c", script]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            # It is the engine's time, whatever the run's clock says
            async with asyncio.timeout(seconds + GRACE):  # real: see above
                status, printed, said = await self._execute([*limit, *command], user)
        except TimeoutError:
            raise ContainerProblem(f"{self.name}: a script was not done within {seconds:g} s") from None
        if status == KILLED and loop.time() - began >= seconds:
            why = f": {' '.join(said.split())[-EXCERPT:]}" if said.strip() else ""
            raise ContainerProblem(f"{self.name}: a script was not done within {seconds:g} s{why}", status, said)
        if status != 0:
            why = " ".join(said.split())[-EXCERPT:] or ("killed" if status == KILLED else "it said nothing")
            raise ContainerProblem(f"{self.name}: a script ended with status {status}: {why}", status, said)
        return printed

    async def _execute(self, command: list[str], user: str) -> tuple[int, str, str]:
        with engine_errors(f"{self.name}: running a script"):
            execution = await self._container.exec(command, user=user)
            streams = {1: bytearray(), 2: bytearray()}
            async with execution.start(detach=False) as stream:
                while (message := await stream.read_out()) is not None:
                    streams[message.stream] += message.data
            status: int = (await execution.inspect())["ExitCode"]
        printed, said = (bytes(one).decode(errors="replace") for one in streams.values())
        return status, printed, said

    async def begin(self, script: str) -> None:
        """Run a shell script in the background."""
        with engine_errors(f"{self.name}: beginning a script"):
            execution = await self._container.exec([RUNNING, "-c", script])
            await execution.start(detach=True)

    async def put(self, folder: Path, path: str) -> None:
        """Copy the files of a folder to one that is there."""
        archive = await asyncio.to_thread(_archive, folder)
        with engine_errors(f"{self.name}: copying files to {path}"):
            await self._container.put_archive(path, archive)

    async def inspect(self) -> dict[str, Any]:
        """What the engine tells of it."""
        with engine_errors(f"{self.name}: looking at it"):
            found: dict[str, Any] = await self._container.show()
            return found

    async def start(self) -> None:
        """Start it, if it does not run."""
        with engine_errors(f"{self.name}: starting"):
            await self._container.start()

    async def stop(self, seconds: int) -> None:
        """Stop it, if it runs; killed after so many seconds."""
        with engine_errors(f"{self.name}: stopping"):
            await self._container.stop(t=seconds)

    async def pause(self) -> None:
        """Freeze its processes."""
        with engine_errors(f"{self.name}: pausing"):
            await self._container.pause()

    async def unpause(self) -> None:
        """Let them go on."""
        with engine_errors(f"{self.name}: unpausing"):
            await self._container.unpause()

    async def kill(self, signal: str) -> None:
        """Send a signal to its first process."""
        with engine_errors(f"{self.name}: sending {signal}"):
            await self._container.kill(signal=signal)

    async def disconnect(self) -> None:
        """Take it off its network."""
        assert self._network is not None
        with engine_errors(f"{self.name}: disconnecting"):
            await self._network.disconnect({"Container": self.id, "Force": True})

    async def connect(self) -> None:
        """Put it on its network, with its address, or its names."""
        assert self._network is not None
        address = {"IPAMConfig": {"IPv4Address": self.address}} if self.address else {}
        with engine_errors(f"{self.name}: connecting"):
            await self._network.connect(
                {"Container": self.id, "EndpointConfig": {**address, "Aliases": list(self._aliases)}}
            )


def _archive(folder: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return archive.getvalue()
