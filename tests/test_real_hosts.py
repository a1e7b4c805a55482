"""docs/real-hosts.md keeps its word: what it says is run on a host is what is run there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from imagestore_sim.bootstrap import read_bootstrap
from imagestore_sim.clock import RealClock
from imagestore_sim.probe import Layout, df, stat
from imagestore_sim.probe.connection import Connection, OutputReader
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.target import Request

PAGE = (Path(__file__).parent.parent / "docs" / "real-hosts.md").read_text(encoding="utf-8")
ANSWER = "__BEGIN__{0}\nfs 1 0 1 0% /\n1 1 1 1 1\n__END__{0} rc=0 directory=0\n"
COMMAND_SECONDS = 10  # the prober's own bound, by which the timeout on the host is one shorter


class _Recorder:
    """A connection that notes what is to be run, and runs nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tokens: list[str] = []

    async def run(self, line: str, reader: OutputReader, phases: Phases) -> int:
        line, _, token = line.rpartition(" ")
        self.lines.append(f"{line} TOKEN")
        self.tokens.append(token)
        reader.feed(ANSWER.format(token))
        return 0


async def test_the_commands_on_a_host_are_those_that_the_page_shows() -> None:
    recorder = _Recorder()
    for layout in Layout:
        for method in (df, stat):
            request = Request("/zs/1", layout, Phases(RealClock()), COMMAND_SECONDS - 1)
            await method.measure(cast(Connection, recorder), request)
    [shown] = re.findall(r"^env LC_ALL=C .*$", PAGE, re.MULTILINE)
    others = re.findall(r"^\$t .*$", PAGE, re.MULTILINE)
    assert len(others) == 4
    assert set(recorder.lines) == {shown, *(shown.replace('$t df -kP -- "$1/."', other) for other in others)}
    assert len(set(recorder.tokens)) == len(recorder.tokens)


def test_the_records_on_the_page_can_be_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [records] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "records.yaml").write_text(records)
    [exported] = re.findall(r"^export (.*)$", PAGE, re.MULTILINE)
    for name in exported.split():
        monkeypatch.setenv(name, "secret")
    storages = read_bootstrap(tmp_path / "records.yaml").backupStorages
    assert [(one.hostname, one.sshPort, one.password) for one in storages] == [
        ("10.0.0.1", 22, "secret"),
        ("store-2.example.org", 2222, "secret"),
    ]
