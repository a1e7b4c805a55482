"""Real clients of ZStack, built or installed once, and a lab whose node fails them: fixtures, for tests/clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from commands import execute
from compose.compose_lab import ROOT, what_is_missing
from imagestore_sim.testing import Client
from processes import running

HERE = Path(__file__).parent / "clients"
PACKAGES = HERE / "assistant" / "requirements.txt"
BUILD_SECONDS = INSTALL_SECONDS = 300.0
BUILD_IMAGE_SECONDS = 600.0
TESTCONTAINERS = {"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": "localhost"}
"""Settings of Testcontainers: without its reaper, which comes from a registry of images, and with the ports of
containers at localhost. It takes a machine with a file /.dockerenv for a container, and asks its gateway else."""


@pytest.fixture(scope="session")
def image_of_a_lab() -> Iterator[str | None]:
    """Build the image of the node once, and return its name; None without a Docker that works."""
    if what_is_missing() is not None:
        yield None
        return
    name = f"imagestore-sim-kits:{os.getpid()}"
    build = ["docker", "build", "--quiet", "--tag", name, "--file", "docker/mn/Dockerfile", "."]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_IMAGE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    try:
        yield name
    finally:
        subprocess.run(["docker", "image", "rm", name], capture_output=True, timeout=BUILD_SECONDS, check=True)


@pytest.fixture
def lab_image(image_of_a_lab: str | None) -> str:
    """Return the name of an image of the node. Skip without a Docker that works."""
    if image_of_a_lab is None:
        pytest.skip(what_is_missing() or "no image")
    return image_of_a_lab


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go program once, and return its path. Skip without Go."""
    if shutil.which("go") is None:
        pytest.skip("needs Go (1.22 or newer)")
    built = tmp_path_factory.mktemp("go") / "drive"
    status, output = await execute("go", "build", "-o", str(built), ".", cwd=HERE / "go", seconds=BUILD_SECONDS)
    assert status == 0, output
    return built


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mcp_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of a virtual environment with the MCP server, whose requirements conflict with the node's."""
    folder = tmp_path_factory.mktemp("mcp") / "venv"
    status, output = await execute(
        sys.executable, "-m", "venv", str(folder), cwd=folder.parent, seconds=INSTALL_SECONDS
    )
    assert status == 0, output
    install = (str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(PACKAGES))
    status, output = await execute(*install, cwd=folder.parent, seconds=INSTALL_SECONDS)
    if status != 0:
        pytest.skip(f"needs {PACKAGES.read_text().split()} from a package index: {output[-200:]}")
    return folder / "bin"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def faulty_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Return a client, logged in as admin, of the node of a lab whose faults the tests set."""
    folder = tmp_path_factory.mktemp("lab")
    async with running("lab", "--port", "0", "--ping-interval", "3600", cwd=folder) as lab:
        async with Client(lab.url, timeout=60.0) as client:
            await client.log_in()
            yield client
        assert await lab.stop() == 0
