"""One container of an engine: its life, and scripts that run in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagestore_sim.containers.archives import pack
from imagestore_sim.containers.engine import engine_errors
from imagestore_sim.containers.errors import ContainerProblem

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer
    from aiodocker.networks import DockerNetwork

SHELL = "/bin/sh"
WITH_INPUT = 'printf %s "$1" | exec /bin/sh -c "$0"'
"""Runs its first argument as a script with the second as standard input."""
KILLED = 137
"""The exit status after SIGKILL."""
GRACE = 5.0
"""Seconds that the engine gets beyond the time limit of a script."""
EXCERPT = 300
"""Characters of standard error that an error text shows, the last ones."""


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
        """`name` is for error texts. Reconnected to `network`, the container gets its `address` or its `aliases`."""
        self.name = name
        self.address = address
        self._container = container
        self._network = network
        self._aliases = aliases

    @property
    def id(self) -> str:
        """The engine's id of it."""
        return str(self._container.id)

    async def run(self, script: str, *, user: str = "root", given: str = "", seconds: float) -> str:
        """Run a shell script to its end and return its standard output.

        `given` is its standard input. It is killed after `seconds` of real time. The exit status, unless it is 0, and
        standard error are in the ContainerProblem.
        """
        limit = ["/usr/bin/timeout", "--signal=KILL", f"{seconds:g}"]
        command = [SHELL, "-c", WITH_INPUT, script, given] if given else [SHELL, "-c", script]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            # The engine lives in real time, whatever the clock of the run says
            async with asyncio.timeout(seconds + GRACE):  # real: see above
                status, output, errors = await self._execute([*limit, *command], user)
        except TimeoutError:
            raise ContainerProblem(f"{self.name}: a script was not done within {seconds:g} s") from None
        if status == KILLED and loop.time() - began >= seconds:
            why = f": {_excerpt(errors)}" if errors.strip() else ""
            raise ContainerProblem(f"{self.name}: a script was not done within {seconds:g} s{why}", status, errors)
        if status != 0:
            why = _excerpt(errors) or ("killed" if status == KILLED else "it printed no error")
            raise ContainerProblem(f"{self.name}: a script ended with status {status}: {why}", status, errors)
        return output

    async def _execute(self, command: list[str], user: str) -> tuple[int, str, str]:
        """Run a command. Return its exit status, standard output and standard error."""
        with engine_errors(f"{self.name}: running a script"):
            execution = await self._container.exec(command, user=user)
            streams = {1: bytearray(), 2: bytearray()}
            async with execution.start(detach=False) as stream:
                while (message := await stream.read_out()) is not None:
                    streams[message.stream] += message.data
            status: int = (await execution.inspect())["ExitCode"]
        output, errors = (bytes(one).decode(errors="replace") for one in streams.values())
        return status, output, errors

    async def begin(self, script: str) -> None:
        """Start a shell script in the background, as root. Its exit status stays unknown."""
        with engine_errors(f"{self.name}: beginning a script"):
            execution = await self._container.exec([SHELL, "-c", script])
            await execution.start(detach=True)

    async def put(self, folder: Path, path: str) -> None:
        """Copy the files of `folder` into the directory `path`, which exists in the container."""
        archive = await asyncio.to_thread(pack, folder)
        with engine_errors(f"{self.name}: copying files to {path}"):
            await self._container.put_archive(path, archive.getvalue())

    async def inspect(self) -> dict[str, Any]:
        """Return the engine's description of it, as `docker inspect` prints it."""
        with engine_errors(f"{self.name}: looking at it"):
            found: dict[str, Any] = await self._container.show()
            return found

    async def start(self) -> None:
        """Start it, unless it runs."""
        with engine_errors(f"{self.name}: starting"):
            await self._container.start()

    async def stop(self, seconds: int) -> None:
        """Stop it, unless it is stopped: SIGTERM to its first process, and SIGKILL after `seconds`."""
        with engine_errors(f"{self.name}: stopping"):
            await self._container.stop(t=seconds)

    async def kill(self, signal: str) -> None:
        """Send a signal, such as `STOP`, to its first process."""
        with engine_errors(f"{self.name}: sending {signal}"):
            await self._container.kill(signal=signal)

    async def disconnect(self) -> None:
        """Take it off its network."""
        assert self._network is not None
        with engine_errors(f"{self.name}: disconnecting"):
            await self._network.disconnect({"Container": self.id, "Force": True})

    async def connect(self) -> None:
        """Put it back on its network, with its address or its aliases."""
        assert self._network is not None
        address = {"IPAMConfig": {"IPv4Address": self.address}} if self.address else {}
        with engine_errors(f"{self.name}: connecting"):
            await self._network.connect(
                {"Container": self.id, "EndpointConfig": {**address, "Aliases": list(self._aliases)}}
            )


def _excerpt(errors: str) -> str:
    return " ".join(errors.split())[-EXCERPT:]


def address_in(details: Mapping[str, Any]) -> str:
    """Return the IP address in the engine's description of a container; empty where it has none, as when stopped."""
    networks = details["NetworkSettings"]["Networks"].values()
    return next((str(one["IPAddress"]) for one in networks if one["IPAddress"]), "")
