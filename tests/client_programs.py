"""Real clients of ZStack, built or installed once, and a lab whose node fails them: fixtures, for tests/clients."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from commands import execute
from imagestore_sim.testing import Client
from processes import running

HERE = Path(__file__).parent / "clients"
PACKAGES = HERE / "assistant" / "requirements.txt"
BUILD_SECONDS = INSTALL_SECONDS = 300.0


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
