"""A lab in containers that the tests share; one that does not leave it as it was has it made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from compose.containers import Lab, what_is_missing
from imagestore_sim.testing import Client


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files of labs; skips the test where no lab can be run."""
    if (missing := what_is_missing()) is not None:
        pytest.skip(missing)
    return tmp_path_factory.mktemp("labs")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_lab(lab_folder: Path) -> AsyncIterator[Lab]:
    """The lab behind `lab`."""
    async with Lab(lab_folder) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="session")
async def lab(shared_lab: Lab) -> Lab:
    """A lab with three storages, all Connected."""
    if not await shared_lab.is_whole():
        await shared_lab.down()
        await shared_lab.up()
    return shared_lab


@pytest_asyncio.fixture(loop_scope="session")
async def client(lab: Lab) -> AsyncIterator[Client]:
    """A client of that lab, logged in as admin."""
    async with Client(lab.url) as client:
        await client.log_in()
        yield client
