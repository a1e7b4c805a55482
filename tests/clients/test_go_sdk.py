"""ZStack's public Go SDK, which Terraform's and Packer's plugins are built on, works unmodified (clients 1.1)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from commands import execute
from processes import running

pytestmark = pytest.mark.clients
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


@pytest.mark.parametrize(
    ("way", "secrets", "around"),
    [
        ("account", ("admin", "password"), ("login", "validate session", "logout")),
        ("access-key", (KEY_ID, SECRET), ()),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
async def test_every_call_of_the_go_sdk_is_understood(
    go_program: Path, tmp_path: Path, way: str, secrets: tuple[str, str], around: tuple[str, ...], zone: str
) -> None:
    (tmp_path / "records.yaml").write_text(BOOTSTRAP)
    async with running("lab", "--port", "0", "--bootstrap", "records.yaml", cwd=tmp_path) as lab:
        url = urlsplit(lab.url)
        command = (str(go_program), str(url.hostname), str(url.port), way, *secrets)
        status, output = await execute(*command, cwd=tmp_path, seconds=RUN_SECONDS, TZ=zone)
        assert await lab.stop() == 0
    done = [line.removeprefix("ok: ") for line in output.splitlines() if line.startswith("ok: ")]
    assert status == 0, output
    assert [step for step in done if step not in ("port", *around)] == STEPS
    assert set(around) <= set(done)
