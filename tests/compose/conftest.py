"""A lab in containers that the tests share. It is recreated for a test that does not find it as it was made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from compose.compose_lab import ComposeLab, what_is_missing
from imagestore_sim.testing import Client


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for files of labs. Skip the test where no lab can run."""
    if (missing := what_is_missing()) is not None:
        pytest.skip(missing)
    return tmp_path_factory.mktemp("labs")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_lab(lab_folder: Path) -> AsyncIterator[ComposeLab]:
    """Yield the lab that `lab` returns."""
    async with ComposeLab(lab_folder) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="session")
async def lab(shared_lab: ComposeLab) -> ComposeLab:
    """Return a lab with three storages, all Connected."""
    if not await shared_lab.is_whole():
        await shared_lab.down()
        await shared_lab.up()
    return shared_lab


@pytest_asyncio.fixture(loop_scope="session")
async def client(lab: ComposeLab) -> AsyncIterator[Client]:
    """Yield a client of that lab, logged in as admin."""
    async with Client(lab.url) as client:
        await client.log_in()
        yield client
