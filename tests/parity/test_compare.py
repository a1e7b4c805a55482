"""`imagestore-sim compare`: what it sends to a node, what it shows and writes, and that it leaves the node alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from imagestore_sim.cli.compare import Options, run_compare
from imagestore_sim.cli.exits import InputError
from imagestore_sim.lab import Lab
from imagestore_sim.parity.corpus import Case, read_cases
from imagestore_sim.parity.safety import Effect, effect_of
from imagestore_sim.parity.sharing import without_private_values
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from processes import run, run_here

pytestmark = pytest.mark.thorough

GROUPS = ("mgmt", "path", "session", "attach", "sim", "simclean")
UUID = "0123456789abcdef0123456789abcdef"


def options(lab: Lab, **changes: object) -> Options:
    chosen: dict[str, object] = {
        "url": lab.url, "account": "admin", "password": "password", "key": None,
        "write": False, "groups": GROUPS, "show": 5, "out": None,
    }  # fmt: skip
    return Options(**(chosen | changes))  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    settings = Settings(port=0, hosts=1, strict=True, database=str(tmp_path / "lab.db"), log_level="error")
    async with Lab(settings) as lab:
        yield lab


async def records(lab: Lab) -> dict[str, object]:
    """Return the records that a client sees, by kind."""
    async with Client(lab.url) as client:
        await client.log_in()
        return {kind: await client.query(f"/{kind}") for kind in ("zones", "backup-storage", "user-tags", "web-hooks")}


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
async def test_a_node_that_is_the_emulator_does_not_differ_and_stays_as_it_is(
    lab: Lab, write: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await records(lab)
    status = await run_compare(options(lab, write=write))
    printed = capsys.readouterr()
    assert status == 0, printed.out
    assert "0 of " in printed.out
    assert await records(lab) == before


async def test_without_write_nothing_is_sent_that_changes_something(lab: Lab) -> None:
    revision = lab.node.parts.store.database.revision
    await run_compare(options(lab, groups=("verb", "tag", "attach", "config")))
    begun_jobs = [entry for entry in lab.node.foundation.journal.since(0) if entry.job and entry.method != "GET"]
    assert not begun_jobs
    assert lab.node.parts.store.database.revision - revision < 20  # its session, and when it ends


async def test_differences_are_printed_and_decide_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Lab(Settings(port=0, hosts=0, database=str(tmp_path / "lenient.db"), log_level="error")) as lenient:
        assert await run_compare(options(lenient, groups=("path",))) == 1
    shown = capsys.readouterr().out
    assert "#190 path: GET /v1/zones" in shown
    assert "status 404" in shown
    assert "the answers differ" in shown


async def test_the_file_is_a_corpus_without_what_is_its_owners(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    await run_compare(options(lab, groups=("mgmt", "path", "extra"), out=out))
    text = out.read_text(encoding="utf-8")
    cases = read_cases(out)
    assert len(cases) > 80
    assert all(case.answers for case in cases)
    assert "imagestore-1" not in text
    assert "127.0.0.1" not in text
    assert json.loads(text.splitlines()[0])["version"] == "5.2.1"


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ('{"inventories":[{"name":"mine","uuid":"<id>"}]}', '{"inventories":[{"name":"<name>","uuid":"<id>"}]}'),
        ('{"inventory":{"name":"known"}}', '{"inventory":{"name":"known"}}'),
        ('{"error":{"description":"An operation failed"}}', '{"error":{"description":"An operation failed"}}'),
        ('{"inventory":{"accessKeySecret":"x"}}', '{"inventory":{"accessKeySecret":"<secret>"}}'),
        ("cannot reach 10.1.2.3:22", "cannot reach <address>:22"),
    ],
)
def test_what_of_an_answer_is_shared(text: str, shared: str) -> None:
    assert without_private_values(text, 'POST {"name": "known"}') == shared


@pytest.mark.parametrize(
    ("method", "target", "body", "effect"),
    [
        ("GET", "/zstack/v1/zones", None, Effect.READS),
        ("PUT", "/zstack/v1/backup-storage", None, Effect.READS),
        ("PUT", "/zstack/v1/management-nodes/actions", b'{"getVersion":{}}', Effect.READS),
        ("POST", "/zstack/v1/zones", b'{"params":{"name":"x"}}', Effect.WRITES),
        ("GET", f"/zstack/v1/tags/{UUID}", None, Effect.WRITES),
        ("POST", "/zstack/v1/zones", b'{"params":{"name":"x","isDefault":true}}', Effect.UNKNOWN),
        ("GET", "/zstack/v1/global-configurations/actions", None, Effect.UNKNOWN),
        ("PUT", "/zstack/v1/accounts/login", b'{"logInByAccount":{}}', Effect.UNKNOWN),
        ("POST", "/zstack/v1/web-hooks", b'{"params":{}}', Effect.UNKNOWN),
        ("GET", "/zstack/v1/vm-instances/x/actions", None, Effect.UNKNOWN),
        ("POST", "/zstack/v1/no-such-path", None, Effect.UNKNOWN),
        ("POST", "/zstack/api", b"{}", Effect.UNKNOWN),
    ],
)
def test_what_a_call_may_do(method: str, target: str, body: bytes | None, effect: Effect) -> None:
    assert effect_of(Case(0, "", method, target), target, body) is effect


async def test_invalid_input_is_one_line(lab: Lab) -> None:
    for changes in ({"password": "wrong"}, {"url": "http://127.0.0.1:1"}, {"url": "ftp://x"}, {"groups": ("nosuch",)}):
        with pytest.raises(InputError) as refused:
            await run_compare(options(lab, **changes))
        assert "\n" not in str(refused.value)


async def test_the_command_ends_with_status_2_for_a_node_that_is_not_there() -> None:
    ended = await asyncio.to_thread(run_here, "compare", "http://127.0.0.1:1", "--password", "x")
    assert (ended.status, ended.output, ended.errors.count("\n")) == (2, "", 1)
    assert "imagestore-sim: http://127.0.0.1:1 cannot be reached" in ended.errors


async def test_a_secret_that_cannot_be_asked_for_is_named_with_its_variable() -> None:
    for options, missing in (
        ((), "Password of admin: there is no terminal to ask for it; set $IMAGESTORE_SIM_ACCOUNT_PASSWORD"),
        (
            ("--access-key", "a"),
            "Secret of the access key: there is no terminal to ask for it; set $IMAGESTORE_SIM_ACCESS_SECRET",
        ),
    ):
        ended = await run("compare", "http://127.0.0.1:1", *options)
        assert (ended.status, ended.output, ended.errors) == (2, "", f"imagestore-sim: {missing}\n")
