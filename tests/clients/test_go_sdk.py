"""ZStack's public Go SDK, which Terraform's and Packer's plugins are built on, works unmodified (clients 1.1)."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from commands import execute

from processes import running

pytestmark = pytest.mark.clients
PROGRAM = Path(__file__).with_name("go")
BUILD_SECONDS = 300.0
RUN_SECONDS = 120.0
KEY_ID, SECRET = "vvSZpmj4cnB53qUDmm6E", "8heumeFTvIeZxkTGfEYvVi9qVVPd9ffQNDALSPPb"
BOOTSTRAP = f"accessKeys: [{{accessKeyId: {KEY_ID}, accessKeySecret: {SECRET}, account: admin}}]\n"
STEPS = [
    "version",
    "query zones",
    "query",
    "query with conditions",
    "page",
    "get",
    "add",
    "update",
    "reconnect",
    "change state",
    "attach",
    "delete",
    "delete it again",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go program once, and return its path. Skip without Go."""
    if shutil.which("go") is None:
        pytest.skip("needs Go (1.22 or newer)")
    built = tmp_path_factory.mktemp("go") / "drive"
    status, output = await execute("go", "build", "-o", str(built), ".", cwd=PROGRAM, seconds=BUILD_SECONDS)
    assert status == 0, output
    return built


@pytest.mark.parametrize(
    ("way", "secrets", "around"),
    [
        ("account", ("admin", "password"), ("login", "validate session", "logout")),
        ("access-key", (KEY_ID, SECRET), ()),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
@pytest.mark.asyncio(loop_scope="module")
async def test_every_call_of_the_go_sdk_is_understood(
    program: Path, tmp_path: Path, way: str, secrets: tuple[str, str], around: tuple[str, ...], zone: str
) -> None:
    (tmp_path / "records.yaml").write_text(BOOTSTRAP)
    async with running("lab", "--port", "0", "--bootstrap", "records.yaml", cwd=tmp_path) as lab:
        url = urlsplit(lab.url)
        command = (str(program), str(url.hostname), str(url.port), way, *secrets)
        status, output = await execute(*command, cwd=tmp_path, seconds=RUN_SECONDS, TZ=zone)
        assert await lab.stop() == 0
    done = [line.removeprefix("ok: ") for line in output.splitlines() if line.startswith("ok: ")]
    assert status == 0, output
    assert [step for step in done if step not in ("port", *around)] == STEPS
    assert set(around) <= set(done)
