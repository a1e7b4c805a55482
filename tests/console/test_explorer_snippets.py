"""The snippets that the explorer offers in curl and Python: they send what the page sends, and a lab takes them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.request import urlopen

import pytest

from console.snippets import Call, check_all_sent, recorder, snippets
from imagestore_sim.testing.lab_thread import LabThread, running_lab

pytestmark = pytest.mark.browser
IN_PYTHON = """
import json, sys, time
sleep, pause = time.sleep, float(sys.argv[1])
time.sleep = lambda seconds: sleep(pause)
for code in json.load(sys.stdin):
    exec(compile(code, "snippet", "exec"), {})
"""
IN_A_SHELL = """
import json, subprocess, sys
for code in json.load(sys.stdin):
    if subprocess.run(["sh", "-c", code]).returncode != 0:
        sys.exit(code)
"""
NO_SLEEP = "sleep() { :; }\n"
UNUSUAL = """it's "odd" \\ $HOME & 100% + é"""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabThread]:
    """Return a lab whose documents the snippets are made from."""
    with running_lab(hosts=1, ping_interval=3600) as running:
        yield running


@pytest.fixture(scope="module")
def documents(lab: LabThread) -> dict[str, Any]:
    """Return the documents of both APIs."""
    return {"zstack": _read(lab, "/openapi.json?unfolded"), "lab": _read(lab, "/lab/v1/openapi.json")}


def _read(lab: LabThread, path: str) -> Any:
    with urlopen(lab.lab.url + path) as answer:
        return json.load(answer)


def run(command: list[str], calls: Sequence[Call], language: str, before: str = "") -> str:
    """Run snippets one after the other, and return what they print."""
    environment = {**os.environ, **{name: value for call in calls for name, value in call.environment().items()}}
    text = json.dumps([before + call.snippets[language] for call in calls])
    done = subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), calls[-1].snippets[language]
    return done.stdout


def run_python(calls: Sequence[Call], pause: float = 0.0) -> str:
    """Run programs in Python, and return what they print."""
    return run([sys.executable, "-W", "ignore", "-c", IN_PYTHON, str(pause)], calls, "Python")


def run_curl(calls: Sequence[Call], before: str = "") -> str:
    """Run commands of curl, and return what they print."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    return run([sys.executable, "-c", IN_A_SHELL], calls, "curl", before)


def test_python_sends_what_the_page_sends(documents: dict[str, Any]) -> None:
    with recorder() as server:
        calls = snippets(documents, server.url)
        run_python(calls)
        check_all_sent(calls, server, "Python")


def test_curl_sends_what_the_page_sends(documents: dict[str, Any]) -> None:
    with recorder() as server:
        calls = snippets(documents, server.url)
        run_curl(calls, NO_SLEEP)
        check_all_sent(calls, server, "curl")


@pytest.mark.parametrize("language", ["Python", "curl"])
def test_a_lab_takes_them(
    lab: LabThread, documents: dict[str, Any], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(api: str, call: str, **values: object) -> Any:
        calls = snippets(documents, lab.lab.url, [{"api": api, "id": call, "values": values}], needs_token=False)
        printed = run_python(calls, pause=0.1) if language == "Python" else run_curl(calls)
        return json.loads(printed[printed.index("{") : printed.rindex("}") + 1])  # without the status beside it

    monkeypatch.setattr("console.snippets.SECRETS", {"ZSTACK_SESSION": "", "PASSWORD": "password"})
    login = make("zstack", "APILogInByAccountMsg", accountName="admin", password="x")
    session = {"ZSTACK_SESSION": login["inventory"]["uuid"], "PASSWORD": "password"}
    monkeypatch.setattr("console.snippets.SECRETS", session)
    made = make("zstack", "APICreateZoneMsg", name=f"of {language}", description=UNUSUAL)
    assert made["inventory"]["description"] == UNUSUAL
    conditions = [f"name=of {language}", "description~=it_s%"]
    found = make("zstack", "APIQueryZoneMsg", q=conditions, limit="1", fields="description", sort="-uuid")
    assert [row["description"] for row in found["inventories"]] == [UNUSUAL]
    uuid = made["inventory"]["uuid"]
    assert make("zstack", "APIDeleteZoneMsg", uuid=uuid, deleteMode="Enforcing") == {}
    failed = make("zstack", "APIUpdateZoneMsg", uuid=uuid, name="gone")
    assert failed["error"]["code"] == "SYS.1003"
    host = make("lab", "postHosts", name=f"host-of-{language.lower()}", password="x", size="1 TiB", readOnly="false")
    assert host["size"] == 2**40
    assert make("lab", "postHostsNameFaults", kind="latency", name=host["name"])["id"] == "latency-1"
