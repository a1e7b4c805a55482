"""The kit for JavaScript and TypeScript (`clients/js`), as users get it: packed, installed in an empty folder, run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from client_programs import TESTCONTAINERS
from code_blocks import code_blocks
from commands import execute

pytestmark = [pytest.mark.clients, pytest.mark.asyncio(loop_scope="module")]
DOCS = Path(__file__).parents[2] / "docs"
KIT = Path(__file__).parents[2] / "clients" / "js"
COMMAND = str(Path(sys.executable).with_name("imagestore-sim"))
TOOLS = ("typescript@5.9.3", "vitest@3.2.4", "@types/node@20.19.0", "testcontainers@11.9.0")
QUIET = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund")
NO_REGISTRY = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "E404", "network")
STRICT = ("--strict", "--checkJs", "--noEmit", "--module", "nodenext", "--target", "es2022", "--types", "node")
SECONDS = 240.0
OLDEST_NODE = 20


async def run(*command: str, cwd: Path, **more: str) -> str:
    """Run a program with the installed `imagestore-sim`; return what it prints."""
    environment = {"IMAGESTORE_SIM_COMMAND": COMMAND, "IMAGESTORE_LAB_URL": "", **more}
    status, output = await execute(*command, cwd=cwd, seconds=SECONDS, **environment)
    assert status == 0, output
    return output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a user: the packed kit and the tools are installed, the examples are copied."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip(f"needs Node {OLDEST_NODE} with npm (Debian: nodejs, npm)")
    folder = tmp_path_factory.mktemp("project")
    version = await run("node", "--version", cwd=folder)
    if int(re.findall(r"\d+", version)[0]) < OLDEST_NODE:
        pytest.skip(f"needs Node {OLDEST_NODE}; this is {version.strip()}")
    await run("npm", "pack", "--pack-destination", str(folder), cwd=KIT)
    [packed] = folder.glob("*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    status, output = await execute("npm", "install", *QUIET, packed.name, *TOOLS, cwd=folder, seconds=SECONDS)
    if status and any(one in output for one in NO_REGISTRY):
        pytest.skip(f"needs {', '.join(TOOLS)} from a package index")
    assert status == 0, output
    shutil.copytree(KIT / "examples", folder / "examples")
    return folder


async def test_the_package_holds_sources_types_and_what_it_is(project: Path) -> None:
    files = {str(path.relative_to(KIT)) for path in (*KIT.glob("src/*.js"), *KIT.glob("types/*.d.ts"))}
    installed = project / "node_modules" / "imagestore-lab"
    packed = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert packed == files | {"package.json", "README.md", "LICENSE"}
    about = json.loads((installed / "package.json").read_text())
    assert "dependencies" not in about


async def test_the_kit_passes_its_own_tests(project: Path, image_of_a_lab: str | None) -> None:
    own = ("node", "--test", "--test-reporter=tap", "tests/lab.test.js")
    assert "# fail 0" in await run(*own, cwd=KIT, LAB_IMAGE=image_of_a_lab or "")


async def test_the_example_passes_under_the_test_runner_of_node(project: Path) -> None:
    output = await run("node", "--test", "--test-reporter=tap", "examples/watcher.test.js", cwd=project)
    assert "# pass 3" in output, output


async def test_the_example_passes_under_vitest(project: Path) -> None:
    output = await run("npm", "exec", "--", "vitest", "run", "--testTimeout=120000", "examples/vitest", cwd=project)
    assert "3 passed" in output, output


async def test_the_example_passes_with_testcontainers(project: Path, lab_image: str) -> None:
    """The example stops what it starts."""
    example = ("node", "--test", "--test-reporter=tap", "examples/testcontainers/lab.test.js")
    output = await run(*example, cwd=project, LAB_IMAGE=lab_image, **TESTCONTAINERS)
    assert "# pass 1" in output, output


async def test_the_code_of_the_documents_passes(project: Path, image_of_a_lab: str | None) -> None:
    pages = {"kits": DOCS / "kits.md", "readme": KIT / "README.md", "guide": DOCS / "guides" / "testcontainers.md"}
    for name, page in pages.items():
        if name == "guide" and image_of_a_lab is None:
            continue
        [block] = code_blocks(page.read_text(), "js")
        (project / f"{name}.test.js").write_text(block.replace("'imagestore-sim'", f"'{image_of_a_lab}'"))
        command = ("node", "--test", "--test-reporter=tap", f"{name}.test.js")
        output = await run(*command, cwd=project, **TESTCONTAINERS)
        assert "# pass 1" in output, output


async def test_the_shipped_types_are_those_of_the_sources(project: Path) -> None:
    """`npm run types` writes them."""
    shutil.copytree(KIT / "src", project / "kit" / "src")
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(KIT / name, project / "kit")
    await run("npm", "exec", "--", "tsc", "--project", "kit/tsconfig.json", cwd=project)
    written, shipped = (_texts(folder) for folder in (project / "kit" / "types", KIT / "types"))
    assert written == shipped


async def test_the_types_serve_strict_typescript(project: Path) -> None:
    (project / "use.ts").write_text(_typescript())
    files = (
        "use.ts",
        "examples/watcher.test.js",
        "examples/vitest/watcher.test.js",
        "examples/testcontainers/lab.test.js",
    )
    await run("npm", "exec", "--", "tsc", *STRICT, "--skipLibCheck", *files, cwd=project)


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.d.ts")}


def _typescript() -> str:
    """Return what TypeScript takes of the kit, and under `@ts-expect-error` what it refuses."""
    return """
import { Lab, type LabOptions, type Matcher, type RecordedRequest } from 'imagestore-lab';

const options: LabOptions = { hosts: 3, seed: 1, clock: 'paused' };
const lab: Lab = await Lab.start(options);
const matcher: Matcher = { api: 'Add*', body: { params: { name: 'gold' } } };
const found: RecordedRequest[] = await lab.requests(matcher);
const hits: number = await (await lab.breakNode('status', { code: 502 }, { path: '*' })).hits();
const send: typeof fetch = (await lab.carryTime()).fetch;
// @ts-expect-error no such option
await Lab.start({ host: 3 });
// @ts-expect-error no such status
await lab.waitForStatus('imagestore-1', 'Gone');
export { found, hits, send };
"""
