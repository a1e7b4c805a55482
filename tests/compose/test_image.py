"""The image of the project by itself, as a service container of a CI system uses it: its default is a lab."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from compose.compose_lab import BUILD_SECONDS, ROOT, run, succeed
from imagestore_sim import __version__

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="session")]

NAME = f"imagestore-image-test-{os.getpid()}"
HEALTHY_SECONDS = 180.0
COMMAND_SECONDS = 240.0
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")
LABELS = ("title", "description", "url", "source", "documentation", "licenses", "version", "revision")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def image(lab_folder: Path) -> AsyncIterator[str]:
    """Yield the name of the image, built from this checkout with the labels of a release."""
    assert lab_folder
    release = ("--build-arg", f"VERSION={__version__}", "--build-arg", "REVISION=0123abc")
    build = ("docker", "build", "--quiet", *release, "--tag", NAME, "--file", "docker/mn/Dockerfile", str(ROOT))
    await succeed(*build, seconds=BUILD_SECONDS)
    yield NAME
    await succeed("docker", "image", "rm", NAME)


@asynccontextmanager
async def container(image: str, *options: str, command: tuple[str, ...] = ()) -> AsyncIterator[str]:
    """Start a container and yield its id; remove it at the end."""
    made = (await succeed("docker", "run", "--detach", *options, image, *command)).strip()
    try:
        yield made
    finally:
        await succeed("docker", "rm", "--force", "--volumes", made)


async def inspect(container: str) -> dict[str, Any]:
    """Return what `docker inspect` prints of a container."""
    found: list[dict[str, Any]] = json.loads(await succeed("docker", "inspect", container))
    return found[0]


async def wait_until_healthy(container: str) -> None:
    """Wait until the image's own health check succeeds, as a CI system does."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while (state := (await inspect(container))["State"])["Health"]["Status"] != "healthy":
        assert state["Running"], await succeed("docker", "logs", container)
        assert time.monotonic() < deadline, state
        await asyncio.sleep(0.2)


async def url_of(container: str, port: int = 8080) -> str:
    """Return where the port of a container is published."""
    return f"http://{(await succeed('docker', 'port', container, f'{port}/tcp')).split()[0]}"


async def status(url: str, **headers: str) -> int:
    """Return the status of the answer to a GET."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status


async def hosts_at(url: str) -> list[str]:
    """Return the names of the hosts of the lab at a URL."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/lab/v1/hosts") as answer:
        return [one["name"] for one in (await answer.json())["hosts"]]


async def test_without_an_argument_it_is_a_lab_that_others_reach_and_pages_of_others_do_not(image: str) -> None:
    async with container(image, *HARDENED, "--publish", "127.0.0.1::8080") as lab:
        await wait_until_healthy(lab)
        url = await url_of(lab)
        assert await hosts_at(url) == ["imagestore-1", "imagestore-2", "imagestore-3"]
        assert await status(f"{url}/lab/v1/hosts", Host="lab:8080") == 200, "the name of a service"
        assert await status(f"{url}/lab/v1/hosts", Host="evil.example") == 421
        assert await status(f"{url}/lab/v1/hosts", Origin="http://evil.example") == 403
        logs = await run("docker", "logs", lab)
        assert "ready http://" in logs.output
        assert "can be reached from other machines" in logs.errors
        assert (await inspect(lab))["Mounts"] == [], "nothing is left of it"
        await succeed("docker", "stop", "--time", "10", lab)
        assert (await inspect(lab))["State"]["ExitCode"] == 0


async def test_it_runs_as_any_user_id(image: str) -> None:
    async with container(image, *HARDENED, "--user", "12345:54321", "--publish", "127.0.0.1::8080") as lab:
        await wait_until_healthy(lab)
        assert await status(f"{await url_of(lab)}/readyz") == 200


async def test_variables_set_it_up_and_every_command_works_beside_it(image: str) -> None:
    given = {"HOSTS": "5", "PORT": "9000", "CLOCK": "paused", "SEED": "7", "LAB_TOKEN": "secret", "PING_INTERVAL": "30"}
    variables = [word for name, value in given.items() for word in ("--env", f"IMAGESTORE_SIM_{name}={value}")]
    async with container(image, *HARDENED, "--publish", "127.0.0.1::9000", *variables) as lab:
        await wait_until_healthy(lab)
        assert await status(f"{await url_of(lab, 9000)}/lab/v1/hosts") == 401
        here = ("docker", "exec", lab, "imagestore-sim")
        node = "http://127.0.0.1:9000"
        assert await succeed(*here, "ready", node, seconds=COMMAND_SECONDS) == f"ready {node}\n"
        assert "1 held" in await succeed(*here, "replay", "one-lost-ping", seconds=COMMAND_SECONDS)
        record = ("record", node, "--for", "100ms", "--out", "/dev/shm/story.yaml")
        recorded = await succeed(*here, *record, seconds=COMMAND_SECONDS)
        assert "0 events" in recorded
        assert "$schema" in await succeed(*here, "schema", "config", seconds=COMMAND_SECONDS)


async def test_it_is_a_service_that_other_containers_know_by_name(image: str) -> None:
    """As GitLab's and GitHub's runners start it: on a network of the job, under an alias."""
    network = f"{NAME}-network"
    await succeed("docker", "network", "create", network)
    try:
        joined = ("--network", network)
        async with container(image, *joined, "--network-alias", "lab", "--env", "IMAGESTORE_SIM_HOSTS=1"):
            job = ("docker", "run", "--rm", *HARDENED, *joined, image)
            ready = await succeed(*job, "ready", "http://lab:8080", "--wait", "180", seconds=COMMAND_SECONDS)
            assert ready == "ready http://lab:8080\n"
    finally:
        await succeed("docker", "network", "rm", network)


async def test_a_signal_right_after_the_start_ends_it(image: str) -> None:
    """The first process of a container does not hear a signal that it has no handler for."""
    for wait in (0.0, 0.05, 0.2, 0.5, 1.0):
        async with container(image, *HARDENED) as lab:
            await asyncio.sleep(wait)
            began = time.monotonic()
            await succeed("docker", "stop", "--time", "30", lab)
            assert time.monotonic() - began < 25
            assert (await inspect(lab))["State"]["ExitCode"] in (0, 143), "ended by itself, not killed"


async def test_a_node_alone_keeps_its_records_in_a_volume(image: str) -> None:
    volume = f"{NAME}-records"
    options = (*HARDENED, "--volume", f"{volume}:/var/lib/imagestore-sim")
    try:
        async with container(image, *options, command=("serve",)) as node:
            await wait_until_healthy(node)
            kept = await succeed("docker", "exec", node, "ls", "/var/lib/imagestore-sim")
        assert {"imagestore-sim.db", "imagestore-sim.db.key"} <= set(kept.split())
    finally:
        await succeed("docker", "volume", "rm", volume)


async def test_it_says_what_it_is(image: str) -> None:
    [details] = json.loads(await succeed("docker", "image", "inspect", image))
    labels = details["Config"]["Labels"]
    assert labels.keys() >= {f"org.opencontainers.image.{name}" for name in LABELS}
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.revision"] == "0123abc"
    assert details["Config"]["User"] == "10001"
    assert details["Config"]["Volumes"] is None
    assert not [one for one in details["Config"]["Env"] if "DATABASE" in one]
