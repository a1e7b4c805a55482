"""The guide for CI keeps its word: its files are valid, and what they do is done as a runner does it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from ci_runner import GitHubRunner
from code_blocks import code_blocks, shell
from commands import execute
from compose.compose_lab import BUILD_SECONDS, succeed, what_is_missing

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guides" / "ci.md").read_text(encoding="utf-8")
SECONDS = 240.0
NAME = f"imagestore-ci-guide-{os.getpid()}"
SCHEMAS = {".github/workflows/": "vendor.github-workflows", ".gitlab-ci.yml": "vendor.gitlab-ci"}
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
NO_PROXY = ("dial tcp", "no such host", "proxyconnect", "404 Not Found", "i/o timeout")
NO_INDEX = ("No matching distribution", "Could not find a version", "Network is unreachable", "NewConnectionError")
RUN_TESTS = '''#!/usr/bin/env python3
"""A client's test: it logs in, and every storage is Connected."""
import hashlib, json, os, urllib.request

url = os.environ["LAB_URL"]


def call(method, path, body=None, **headers):
    request = urllib.request.Request(url + path, body and json.dumps(body).encode(), headers, method=method)
    return json.load(urllib.request.urlopen(request, timeout=60))


account = {"accountName": "admin", "password": hashlib.sha512(b"password").hexdigest()}
session = call("PUT", "/zstack/v1/accounts/login", {"logInByAccount": account})["inventory"]["uuid"]
storages = call("GET", "/zstack/v1/backup-storage", Authorization=f"OAuth {session}")["inventories"]
assert {one["status"] for one in storages} == {"Connected"}, storages
print(f"{len(storages)} storages are Connected")
'''


def named_blocks() -> list[tuple[str, str]]:
    """Return the YAML files of the guide, with the name in the comment at the top of each."""
    return [(block.partition("\n")[0].removeprefix("# "), block) for block in code_blocks(TEXT, "yaml")]


def block_of(name: str, having: str) -> Any:
    """Return the YAML file of the guide with a name, and with a text in it."""
    [found] = [yaml.safe_load(block) for one, block in named_blocks() if one == name and having in block]
    return found


def as_options(flag: str, pairs: dict[str, Any]) -> list[str]:
    """Return NAME=VALUE for each pair, after a flag."""
    return [word for name, value in pairs.items() for word in (flag, f"{name}={value}")]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the folder of a job, with the tests of a client."""
    (tmp_path / "run-tests").write_text(RUN_TESTS)
    (tmp_path / "run-tests").chmod(0o755)
    return tmp_path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def image() -> AsyncIterator[str]:
    """Yield the name of the image, built as the guide says."""
    if (missing := what_is_missing()) is not None:
        pytest.skip(missing)
    [build] = [block for block in code_blocks(TEXT, "sh") if "docker build" in block]
    status, said = await shell(build.replace("--tag imagestore-sim", f"--tag {NAME}"), cwd=ROOT, seconds=BUILD_SECONDS)
    assert status == 0, said
    yield NAME
    await succeed("docker", "image", "rm", NAME)


@asynccontextmanager
async def service(image: str, *options: str) -> AsyncIterator[str]:
    """Start a service container, as a runner does, and remove it at the end."""
    made = (await succeed("docker", "run", "--detach", *options, image)).strip()
    try:
        yield made
    finally:
        await succeed("docker", "rm", "--force", "--volumes", made)


@pytest.mark.processes
async def test_the_action_and_the_files_of_the_guide_follow_their_schemas(tmp_path: Path) -> None:
    files: dict[str, list[Path]] = {"vendor.github-actions": [ROOT / "action.yml"]}
    for number, (name, block) in enumerate(named_blocks()):
        for begin, schema in SCHEMAS.items():
            if name.startswith(begin):
                (file := tmp_path / f"{number}.yml").write_text(block)
                files.setdefault(schema, []).append(file)
    assert [len(found) for found in files.values()] == [1, 2, 2]
    for schema, found in files.items():
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, found)]
        await succeed(*command, seconds=SECONDS)


@pytest.mark.clients
async def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """It checks expressions, contexts and the inputs of the action as well."""
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    (workflows := tmp_path / ".github" / "workflows").mkdir(parents=True)
    shutil.copy(ROOT / "action.yml", tmp_path)
    shutil.copy(ROOT / ".github" / "workflows" / "ci.yml", workflows)
    for name, block in named_blocks():
        if name.startswith(".github"):
            (tmp_path / name).write_text(block.replace("imagestore-sim/imagestore-sim@main", "./"))
    await succeed("git", "init", "--quiet", str(tmp_path))
    status, output = await execute("go", "run", ACTIONLINT, cwd=tmp_path, seconds=SECONDS)
    if status and any(one in output for one in NO_PROXY):
        pytest.skip("needs actionlint from a Go proxy")
    assert status == 0, output


@pytest.mark.clients
async def test_the_action_starts_a_lab_for_the_steps_after_it(job: Path) -> None:
    runner = GitHubRunner(ROOT, job, {})
    with runner.job():
        try:
            said = await runner.run(block_of(".github/workflows/test.yml", "uses:")["jobs"]["test"]["steps"])
        except AssertionError as error:
            if any(one in str(error) for one in NO_INDEX):
                pytest.skip("needs the dependencies from a package index")
            raise
        assert "2 storages are Connected" in said
        url = runner.environment["IMAGESTORE_LAB_URL"]
        assert url == runner.values["steps.lab.outputs.url"]
        assert f"ready {url}\n" in Path(runner.values["steps.lab.outputs.log"]).read_text()
        assert await succeed(runner.environment["IMAGESTORE_SIM_COMMAND"], "ready", url) == f"ready {url}\n"
        with pytest.raises(AssertionError, match=r"(?s)--no-such-option.*::error::the lab did not get ready"):
            await runner.run([{"uses": "imagestore-sim/imagestore-sim@main", "with": {"options": "--no-such-option"}}])
    await _wait_until_gone(url)


async def _wait_until_gone(url: str) -> None:
    deadline = time.monotonic() + 90
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(f"{url}/readyz"):
                    await asyncio.sleep(0.1)
            except aiohttp.ClientConnectionError:
                return
    raise AssertionError(f"{url} still answers")


@pytest.mark.clients
async def test_the_image_serves_a_job_on_this_machine(image: str, job: Path) -> None:
    [script] = [block for block in code_blocks(TEXT, "sh") if "./run-tests" in block]
    calls = [block for block in code_blocks(TEXT, "sh") if "$LAB_URL/lab/v1" in block]
    assert len(calls) == 2
    whole = script.replace("imagestore-sim)", f"{image})").replace(
        "./run-tests\n", "./run-tests\n" + calls[1] + calls[0]
    )
    status, said = await shell(whole, cwd=job, seconds=SECONDS)
    assert status == 0, said
    assert "3 storages are Connected" in said
    assert "/accounts/login" in (job / "requests.json").read_text()
    assert "The failed test" in (job / "story.json").read_text()


@pytest.mark.clients
async def test_a_service_of_github_is_reached_at_its_published_port(image: str, job: Path) -> None:
    """A runner creates the container with these options, and waits for the health check of its image."""
    about = block_of(".github/workflows/service.yml", "services:")["jobs"]["test"]
    lab = about["services"]["lab"]
    assert lab["image"] == "${{ vars.LAB_IMAGE }}"
    ports = [word for port in lab["ports"] for word in ("--publish", str(port))]
    async with service(image, *ports, *as_options("--env", lab["env"])) as container:
        deadline = time.monotonic() + SECONDS
        ask = ("docker", "inspect", "--format", "{{.State.Health.Status}}", container)
        while (health := (await succeed(*ask)).strip()) != "healthy":
            assert time.monotonic() < deadline, health
            await asyncio.sleep(0.2)
        published = (await succeed("docker", "port", container, "8080/tcp")).split()[0].rpartition(":")[2]
        runner = GitHubRunner(ROOT, job, {"job.services.lab.ports['8080']": published})
        with runner.job():
            assert "2 storages are Connected" in await runner.run(about["steps"])


@pytest.mark.clients
async def test_a_service_of_gitlab_is_reached_by_its_alias(image: str, job: Path) -> None:
    """A runner starts it on the network of the job, under its alias, and runs the script in another container."""
    about = block_of(".gitlab-ci.yml", "services:")["test"]
    [lab] = about["services"]
    assert lab["name"] == "$LAB_IMAGE"
    network = f"{NAME}-network"
    await succeed("docker", "network", "create", network)
    try:
        joined = ("--network", network, "--network-alias", lab["alias"])
        async with service(image, *joined, *as_options("--env", lab["variables"])):
            said = await _run_gitlab_job(about, about["image"], job, "--network", network)
    finally:
        await succeed("docker", "network", "rm", network)
    assert "2 storages are Connected" in said


async def _run_gitlab_job(about: dict[str, Any], image: str, folder: Path, *options: str) -> str:
    script = "\n".join((*about["before_script"], *about["script"]))
    here = ("--volume", f"{folder}:/builds", "--workdir", "/builds", "--user", "0", "--entrypoint", "sh")
    given = as_options("--env", about["variables"])
    command = ("docker", "run", "--rm", "--interactive", *options, *given, *here, image, "-e")
    return await succeed(*command, given=script, seconds=SECONDS)


@pytest.mark.clients
async def test_a_job_of_gitlab_without_a_service_starts_the_command(image: str, job: Path) -> None:
    """The image that is built here has what pip would install; the other lines are the guide's."""
    about = block_of(".gitlab-ci.yml", "pip install")["test"]
    install, *about["before_script"] = about["before_script"]
    assert install == 'pip install --quiet "$IMAGESTORE_SIM"'
    assert "2 storages are Connected" in await _run_gitlab_job(about, image, job)


@pytest.mark.clients
async def test_a_build_of_jenkins_has_a_container_beside_it(image: str, job: Path) -> None:
    """Jenkins runs a step `sh` with `sh -xe`."""
    [pipeline] = code_blocks(TEXT, "groovy")
    [script] = re.findall(r"sh '''(.*?)'''", pipeline, re.DOTALL)
    status, said = await execute("sh", "-xe", "-c", script, cwd=job, seconds=SECONDS, LAB_IMAGE=image)
    assert status == 0, said
    assert "2 storages are Connected" in said
    assert "ready http://" in (job / "lab.log").read_text()
    assert await succeed("docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}") == ""


@pytest.mark.clients
async def test_a_pod_runs_with_the_rights_that_it_is_given(image: str) -> None:
    """Docker stands in for Kubernetes: the same account, capabilities, read-only root and variables."""
    [block] = [block for name, block in named_blocks() if name == "lab.yaml"]
    pod, _ = yaml.safe_load_all(block)
    [container] = pod["spec"]["containers"]
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"]
    options = ["--read-only", "--security-opt", "no-new-privileges:true", "--user", str(rights["runAsUser"])]
    options += [word for one in rights["capabilities"]["drop"] for word in ("--cap-drop", one)]
    variables = {one["name"]: one["value"] for one in container["env"]} | {
        "IMAGESTORE_SIM_PORT": "tcp://10.96.0.7:8080"
    }
    probe = container["readinessProbe"]["httpGet"]
    async with service(image, *options, *as_options("--env", variables), "--publish", "127.0.0.1::8080") as lab:
        url = "http://" + (await succeed("docker", "port", lab, f"{probe['port']}/tcp")).strip() + probe["path"]
        deadline = time.monotonic() + SECONDS
        async with aiohttp.ClientSession(headers={"Host": "lab.default.svc.cluster.local:8080"}) as session:
            while (status := await _status_of(session, url)) != 200:
                assert time.monotonic() < deadline, (status, await succeed("docker", "logs", lab))
                await asyncio.sleep(0.2)


async def _status_of(session: aiohttp.ClientSession, url: str) -> int | None:
    try:
        async with session.get(url) as answer:
            return answer.status
    except aiohttp.ClientConnectionError:
        return None
