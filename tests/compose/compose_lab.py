"""Labs in containers for tests: each a Compose project of its own, on a free port, removed at the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from imagestore_sim.testing import CallFailed, Client
from processes import child

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
HOSTS = ("imagestore-1", "imagestore-2", "imagestore-3")
STORAGES = "/backup-storage/image-store"
ALIASES = 30

COMMAND_SECONDS = 240.0  # `up` waits until hosts are healthy, which neighbours on the machine slow down
BUILD_SECONDS = 600.0
READY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The exit status and the output of a program."""

    status: int
    output: str
    errors: str


class ProgramFailed(AssertionError):
    """The exit status of a program is not 0."""


async def run(*command: str, seconds: float = COMMAND_SECONDS, given: str = "", **environment: str) -> Finished:
    """Run a program with `given` as its standard input. Kill it after `seconds`, and raise TimeoutError.

    A program that is given nothing may end before a write to it.
    """
    async with child(
        *command,
        cwd=ROOT,
        env=_environment() | environment,
        stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    ) as process:
        output, errors = await asyncio.wait_for(process.communicate(given.encode() or None), seconds)
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))


async def succeed(*command: str, seconds: float = COMMAND_SECONDS, given: str = "", **environment: str) -> str:
    """Run a program and return its standard output. Raise ProgramFailed, TimeoutError."""
    finished = await run(*command, seconds=seconds, given=given, **environment)
    if finished.status != 0:
        last = "\n".join((finished.output + finished.errors).splitlines()[-30:])
        raise ProgramFailed(f"status {finished.status} of {' '.join(command)}:\n{last}")
    return finished.output


def _environment() -> dict[str, str]:
    """Return this process's environment, without the variables that docker-compose.yml reads."""
    read = {line.partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines()}
    return {name: value for name, value in os.environ.items() if name not in read and not name.startswith("COMPOSE_")}


def find_compose() -> tuple[str, ...] | None:
    """Return the command of Compose, version 1 or 2; None where it is not installed."""
    for command in (("docker-compose",), ("docker", "compose")):
        if shutil.which(command[0]) and _succeeds(*command, "version"):
            return command
    return None


def what_is_missing() -> str | None:
    """Return why no lab can run here; None where one can."""
    if not shutil.which("docker"):
        return "needs Docker, and there is no docker command here"
    if not _succeeds("docker", "info"):
        return "needs a running Docker engine, and `docker info` fails here"
    if find_compose() is None:
        return "needs Compose, and there is neither docker-compose nor `docker compose` here"
    return None


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class ComposeLab:
    """A lab in containers: a management node that pings each second, and three hosts.

    `async with` waits until it is ready, and removes it at the end, also when it never was ready. The hosts
    `imagestore-1` to `-3` have other names too, `lab.aliases`, so that a test can add many storages.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        compose = find_compose()
        assert compose is not None
        self.project = f"imagestore-test-{uuid.uuid4().hex[:8]}"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.variables = {"MN_PORT": str(port), "PING_INTERVAL": "1", "COMPOSE_PROJECT_NAME": self.project} | variables
        self.aliases = {f"alias-{number}": HOSTS[number % len(HOSTS)] for number in range(ALIASES)}
        override = folder / f"{self.project}.yml"
        override.write_text(yaml.safe_dump({"services": self.overrides()}))
        no_variables = folder / f"{self.project}.env"  # instead of a .env in the working directory
        no_variables.touch()
        self._command = (*compose, "--env-file", str(no_variables), "-f", str(FILE), "-f", str(override))

    async def __aenter__(self) -> Self:
        try:
            await self.up()
        except BaseException:
            await self.down()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    def overrides(self) -> dict[str, Any]:
        """Return what its services have beside the Compose file, by their names."""
        return {host: self._with_aliases(host) for host in HOSTS}

    def _with_aliases(self, host: str) -> dict[str, Any]:
        return {"networks": {"default": {"aliases": [alias for alias, of in self.aliases.items() if of == host]}}}

    async def compose(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run a Compose command on this lab and return its output. Raise ProgramFailed, TimeoutError."""
        return await succeed(*self._command, *arguments, seconds=seconds, **self.variables)

    async def up(self) -> None:
        """Build its images, start it, and wait until it is ready."""
        await self.compose("build", seconds=BUILD_SECONDS)
        await self.compose("up", "-d")
        await self.wait_until_ready()

    async def down(self) -> None:
        """Remove its containers, network, volume and images."""
        await self.compose("down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "2")

    async def container(self, service: str) -> str:
        """Return the id of the container of a service, running or stopped."""
        labels = [f"label=com.docker.compose.{name}" for name in (f"project={self.project}", f"service={service}")]
        filters = [word for label in labels for word in ("--filter", label)]
        found = (await succeed("docker", "ps", "-aq", "--no-trunc", *filters)).split()
        assert len(found) == 1, f"{service} has containers {found}"
        return found[0]

    async def inspect(self, service: str) -> dict[str, Any]:
        """Return what `docker inspect` prints of the container of a service."""
        found: list[dict[str, Any]] = json.loads(await succeed("docker", "inspect", await self.container(service)))
        return found[0]

    async def execute(self, service: str, *command: str, user: str = "root", given: str = "") -> str:
        """Run a command in a container, with `given` as its input, and return its output. Raise ProgramFailed."""
        container = await self.container(service)
        return await succeed("docker", "exec", "-i", "-u", user, container, *command, given=given)

    async def in_storage(self, host: str, script: str) -> None:
        """Run a shell script in the folder of a host's storage, as the account that owns it."""
        number = host[-1]
        await self.execute(host, "sh", "-c", f"cd /zs/{number} && {script}", user=f"store-{number}")

    async def df(self, host: str) -> tuple[int, int]:
        """Return total and available bytes of a host's disk, as its own df prints them."""
        last = (await self.execute(host, "df", "-P", "-k", f"/zs/{host[-1]}")).splitlines()[-1].split()
        return int(last[1]) * 1024, int(last[3]) * 1024

    async def host_keys(self, host: str) -> str:
        """Return the public host keys of a host."""
        return await self.execute(host, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")

    async def wait_until_ready(self) -> None:
        """Wait until the node is ready. Raise ProgramFailed after READY_SECONDS."""
        wait = ("imagestore-sim", "ready", "--wait", f"{READY_SECONDS:g}")
        await succeed("docker", "exec", await self.container("mn"), *wait, seconds=READY_SECONDS + 10)

    async def wait_until_healthy(self, service: str) -> None:
        """Wait until a service is healthy for Docker."""
        deadline = time.monotonic() + READY_SECONDS
        while (health := (await self.inspect(service))["State"]["Health"])["Status"] != "healthy":
            assert time.monotonic() < deadline, f"{service} is not healthy: {health}"
            await asyncio.sleep(0.2)

    async def is_whole(self) -> bool:
        """Return whether it is as it was made: three storages, all Connected, with the records of the bootstrap."""
        try:
            async with Client(self.url) as client:
                await client.log_in()
                storages = await client.query(STORAGES)
        except (aiohttp.ClientError, CallFailed, TimeoutError):
            return False
        seen = {(one["hostname"], one["username"], one["sshPort"], one["status"]) for one in storages}
        return seen == {(host, f"store-{host[-1]}", 22, "Connected") for host in HOSTS} and len(storages) == len(HOSTS)

    async def leftovers(self) -> str:
        """Return the ids of containers, networks, volumes and images that Docker still has of this lab."""
        label = f"label=com.docker.compose.project={self.project}"
        found = [
            await succeed("docker", "ps", "-aq", "--filter", label),
            await succeed("docker", "network", "ls", "-q", "--filter", label),
            await succeed("docker", "volume", "ls", "-q", "--filter", label),
            await succeed("docker", "images", "-q", "--filter", f"reference={self.project}*"),
        ]
        return "".join(found)
