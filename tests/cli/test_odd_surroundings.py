"""Commands where standard files are closed, folders have odd names or are gone, and Python runs in another mode."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import aiohttp
import pytest

from processes import COMMAND, READY_SECONDS, WAIT_SECONDS, child, run_program

pytestmark = pytest.mark.processes

SEARCH = " ".join((*COMMAND, "explore", "--runs", "1", "--seed", "4", "--out"))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_search_runs_without_standard_files(closed: str, tmp_path: Path) -> None:
    done = await run_program("sh", "-c", f"{SEARCH} {tmp_path / 'found'} {closed}")
    assert done.status == 0, done.errors


async def test_a_search_needs_its_working_directory(tmp_path: Path) -> None:
    done = await run_program("sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && {SEARCH} found", cwd=tmp_path)
    assert (done.status, done.errors) == (2, "imagestore-sim: --out found: No such file or directory\n")


async def test_a_search_needs_files_of_some_length(tmp_path: Path) -> None:
    done = await run_program("sh", "-c", f"ulimit -f 8 && {SEARCH} {tmp_path / 'found'}")
    assert (done.status, "which is too little for stories; raise that by ulimit -f" in done.errors) == (2, True)


async def test_the_document_is_made_without_docstrings() -> None:
    done = await run_program(sys.executable, "-OO", "-m", "imagestore_sim", "openapi")
    assert done.errors == ""
    assert len(json.loads(done.output)["paths"]) > 100


@pytest.mark.parametrize("name", [b"no UTF-8 \xff", b'quotes " \\ and %h'])
async def test_ssh_reaches_the_hosts_of_a_lab_whose_folder_has_an_odd_name(name: bytes, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("needs OpenSSH's client (Debian: openssh-client)")
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    async with child(
        *COMMAND, "lab", "--port", "0", "--hosts", "1", env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    ) as lab:  # fmt: skip
        assert lab.stdout is not None
        ready = await asyncio.wait_for(lab.stdout.readline(), READY_SECONDS)
        assert ready.startswith(b"ready ")
        [config] = folder.glob("imagestore-sim-*/ssh_config")
        done = await run_program("ssh", "-F", str(config), "-o", "BatchMode=yes", "imagestore-1", "echo in")
        assert (done.status, done.output) == (0, "in\n"), done.errors
        lab.terminate()
        await asyncio.wait_for(lab.wait(), WAIT_SECONDS)


async def test_nothing_warns_in_the_development_mode() -> None:
    strict = ("-X", "dev", "-W", "error")
    async with child(
        sys.executable, *strict, "-m", "imagestore_sim", "lab", "--port", "0", "--hosts", "1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    ) as lab:  # fmt: skip
        assert lab.stdout is not None
        assert lab.stderr is not None
        ready = await asyncio.wait_for(lab.stdout.readline(), READY_SECONDS)
        url = ready.decode().split()[1]
        async with aiohttp.ClientSession() as http:
            for path in ("/", "/lab/v1/hosts", "/zstack/v1/zones"):
                async with http.get(f"{url}{path}") as response:
                    assert response.status < 500
        lab.terminate()
        errors = (await asyncio.wait_for(lab.stderr.read(), WAIT_SECONDS)).decode()
        assert "Warning" not in errors
