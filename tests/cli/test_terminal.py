"""Names that clients have made up are plain text on a terminal."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from imagestore_sim.cli.lab_output import HEADINGS, follow, storage_table
from imagestore_sim.cli.probe_output import print_outcome
from imagestore_sim.lab import Lab
from imagestore_sim.probe import ProbeFailure, Reason
from imagestore_sim.testing import Client

EVIL = "[/red] [link=file:///x]\x1b[2J\nready http://evil.example"
pytestmark = pytest.mark.imagestore_lab(hosts=0)


async def test_no_name_is_markup_or_a_line_of_its_own(
    imagestore_lab: Lab, imagestore_client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    await imagestore_client.add_image_store("h", name=EVIL)
    shown = io.StringIO()
    storages = await imagestore_lab.node.storages.records.tracked()
    console = Console(file=shown, width=200)
    console.print(storage_table(storages, {}, 0.0, 9, console))
    assert "[/red] [link=file:///x]\\x1b[2J\\nready http://evil.example" in shown.getvalue()
    stopped = asyncio.Event()
    following = asyncio.create_task(follow(imagestore_lab, Console(file=io.StringIO()), stopped))
    async with asyncio.timeout(60):
        printed = ""
        while EVIL.splitlines()[1] not in printed:
            await asyncio.sleep(0.01)
            printed += capsys.readouterr().out
    stopped.set()
    await following
    assert not [line for line in printed.splitlines() if line.startswith("ready")]
    assert "\x1b" not in printed + shown.getvalue()


@pytest.mark.imagestore_lab(hosts=2)
async def test_a_narrow_terminal_has_fewer_columns_and_cuts_no_word(imagestore_lab: Lab) -> None:
    storages = await imagestore_lab.node.storages.records.tracked()
    probes = imagestore_lab.node.storages.status.last_probes
    seen = []
    for width in (130, 105, 95, 80, 60):
        console = Console(file=io.StringIO(), width=width)
        console.print(storage_table(storages, probes, imagestore_lab.clock.time(), 9, console))
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert "…" not in shown
        assert shown.count("Connected") == 2
        seen.append([one for one in HEADINGS if f" {one} " in shown])
    assert seen[0] == list(HEADINGS)
    assert seen[-1] == ["name", "status", "available"]
    assert seen == sorted(seen, key=len, reverse=True)


def test_text_of_a_host_moves_no_cursor() -> None:
    shown = io.StringIO()
    print_outcome(ProbeFailure(Reason.NOT_SSH, "it said \x1b[2J[/red]\n", {}), Console(file=shown, width=200))
    assert "it said \\x1b[2J[/red]\\n" in shown.getvalue()


async def test_the_result_of_a_job_is_not_let_in_to_the_lab(imagestore_client: Client) -> None:
    hook = {"X-Web-Hook": f"{imagestore_client.url}/lab/v1/reset"}
    answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "kept"}}, headers=hook)
    assert (await imagestore_client.follow(str(answer.body["location"]))).status == 200
    reset = f"{imagestore_client.url}/lab/v1/reset"
    refused = await imagestore_client.request("POST", reset, headers={"X-Job-Success": "true"})
    assert (refused.status, "web hook" in refused.text) == (403, True)
    await asyncio.sleep(0.2)
    assert len(await imagestore_client.query("/zones", "name=kept")) == 1
