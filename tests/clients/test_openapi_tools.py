"""What public tools make of the OpenAPI documents: linters, a generator of clients, and a fuzzer."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from commands import execute
from imagestore_sim.testing import Client
from processes import COMMAND, Running, running

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="module")]
HERE = Path(__file__).parent
RULES = HERE.parent / "openapi"
REQUIREMENTS = HERE / "openapi" / "requirements.txt"
REDOCLY, SPECTRAL = "@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3"
NO_REGISTRY = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "E404", "network")
DOCUMENTS = {"zstack.json": (), "unfolded.json": ("--unfolded",), "lab.json": ("--lab",)}
SECONDS = 300.0
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the documents, as the command prints them."""
    folder = tmp_path_factory.mktemp("openapi")
    for name, options in DOCUMENTS.items():
        status, output = await execute(*COMMAND, "openapi", *options, cwd=folder, seconds=SECONDS)
        assert status == 0, output
        (folder / name).write_text(output)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of a virtual environment with schemathesis and openapi-python-client."""
    folder = tmp_path_factory.mktemp("tools") / "venv"
    status, output = await execute(sys.executable, "-m", "venv", str(folder), cwd=folder.parent, seconds=SECONDS)
    assert status == 0, output
    install = (
        str(folder / "bin" / "pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        str(REQUIREMENTS),
    )
    status, output = await execute(*install, cwd=folder.parent, seconds=SECONDS)
    if status != 0:
        pytest.skip(f"needs {REQUIREMENTS.read_text().split()} from a package index: {output[-200:]}")
    return folder / "bin"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("lab", "--port", "0", cwd=tmp_path_factory.mktemp("lab")) as started:
        yield started


async def npm(package: str, *command: str, cwd: Path) -> None:
    """Run a program of an npm package. Skip the test without npm or the package, fail it if the program fails."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node with npm (Debian: npm)")
    run = ("npm", "exec", "--yes", f"--package={package}", "--", *command)
    status, output = await execute(*run, cwd=cwd, seconds=SECONDS)
    if status and "npm error" in output and any(one in output for one in NO_REGISTRY):
        pytest.skip(f"needs {package} from a package index")
    assert status == 0, output


async def test_redocly_finds_nothing(documents: Path) -> None:
    await npm(REDOCLY, "redocly", "lint", *DOCUMENTS, "--config", str(RULES / "redocly.yaml"), cwd=documents)


async def test_spectral_finds_nothing(documents: Path) -> None:
    rules = str(RULES / "spectral.yaml")
    await npm(SPECTRAL, "spectral", "lint", *DOCUMENTS, "-r", rules, "--fail-severity=warn", cwd=documents)


async def test_a_generated_client_adds_polls_and_queries(documents: Path, programs: Path, lab: Running) -> None:
    generate = ("generate", "--path", "zstack.json", "--meta", "none", "--output-path", "zstack_client")
    client = str(programs / "openapi-python-client")
    status, output = await execute(client, *generate, cwd=documents, seconds=SECONDS, PATH="/usr/bin:/bin")
    assert status == 0, output
    program = str(HERE / "openapi" / "add_poll_query.py")
    status, output = await execute(
        str(programs / "python"),
        program,
        lab.url,
        "imagestore-7",
        cwd=documents,
        seconds=SECONDS,
        PYTHONPATH=str(documents),
    )
    assert (status, output.split()[1:]) == (0, ["Connected"]), output


async def test_answers_to_a_fuzzer_are_those_that_the_document_describes(
    documents: Path, programs: Path, lab: Running
) -> None:
    """503 is ZStack's ordinary error. Logins and sessions are left out: too many wrong ones would end the run."""
    async with Client(lab.url) as client:
        session = await client.log_in()
    options = (
        *("--url", lab.url, "-H", f"Authorization: OAuth {session}", "--checks", CHECKS, "--max-failures", "20"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "3", "--max-time", "90", "--seed", "1"),
        *("--exclude-path-regex", "login|sessions", "--generation-database", "none", "--request-timeout", "20"),
    )
    status, output = await execute(
        str(programs / "schemathesis"), "run", "zstack.json", *options, cwd=documents, seconds=SECONDS
    )
    assert status == 0, output
