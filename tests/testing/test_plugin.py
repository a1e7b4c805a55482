"""The pytest plugin as users have it: in an empty folder, in any mode, beside others, and with tests that block."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from imagestore_sim import lab

TESTS = """
import asyncio, json, time, urllib.request
import pytest

def get(url):
    return json.load(urllib.request.urlopen(url, timeout=20))

def test_a_plain_test_blocks(imagestore_lab):
    assert get(imagestore_lab.url + "/readyz")["ready"]

async def test_an_asynchronous_test_blocks_too(imagestore_lab, imagestore_client, imagestore_hosts):
    assert get(imagestore_lab.url + "/readyz")["ready"]
    assert len(await imagestore_client.query("/backup-storage", "status=Connected")) == 3
    assert sorted(imagestore_hosts) == ["imagestore-1", "imagestore-2", "imagestore-3"]
    assert await imagestore_lab.clock.wait_for(asyncio.sleep(0, "here"), 5) == "here"
    with pytest.raises(TimeoutError):
        await imagestore_lab.clock.wait_for(asyncio.Event().wait(), 0.01)

@pytest.mark.imagestore_lab(hosts=2)
def test_calls_return_when_they_are_done(imagestore_lab, imagestore_hosts, imagestore_client):
    host = imagestore_hosts["imagestore-1"]
    host.stop()
    assert not host.listening
    assert imagestore_lab.wait_for("imagestore-1", "Disconnected", within=60).name == "imagestore-1"
    assert [one["name"] for one in imagestore_client.query("/backup-storage", "status=Connected")] == ["imagestore-2"]
    with pytest.raises(TimeoutError, match="imagestore-2 is Connected"):
        imagestore_lab.wait_for("imagestore-2", "Disconnected", within=0.05)

@pytest.mark.imagestore_lab(clock="virtual", hosts=1, ping_interval=60)
def test_virtual_time_jumps_while_the_test_waits_for_it(imagestore_lab, imagestore_hosts):
    before = imagestore_lab.clock.time()
    imagestore_hosts["imagestore-1"].stop()
    imagestore_lab.clock.sleep(600)
    imagestore_hosts["imagestore-1"].start()
    imagestore_lab.wait_for("imagestore-1", "Connected", within=121)
    now = imagestore_lab.clock.time()
    assert 600 <= now - before < 800
    time.sleep(0.05)
    assert imagestore_lab.clock.time() - now < 20

@pytest.mark.imagestore_lab(clock="virtual", hosts=1, ping_interval=60)
async def test_virtual_time_does_not_run_away_from_one_that_does_not(imagestore_lab, imagestore_client):
    now = imagestore_lab.clock.time()
    await imagestore_client.add_image_store("172.24.189.211")
    await asyncio.sleep(0.4)
    assert get(imagestore_lab.url + "/readyz")["ready"]
    assert imagestore_lab.clock.time() - now < 60

def test_requests_are_found_and_asserted(imagestore_lab, imagestore_client):
    begin = imagestore_lab.requests.last
    imagestore_client.query("/zones", "name=z")
    assert [one.status for one in imagestore_lab.requests.find(path="*/zones", since=begin)] == [200]
    assert imagestore_lab.requests.count({"api": "QueryZone"}) == 1
    assert imagestore_lab.requests.wait(api="QueryZone", within=60)[0].headers["accept"] == "*/*"
    imagestore_lab.requests.assert_received(query={"q": "name=z"}, times=1)
    imagestore_lab.requests.assert_not_received(error="*")
    imagestore_lab.requests.assert_sequence([{"path": "*/login"}, {"path": "*/zones"}], strict=True)
    with pytest.raises(AssertionError, match="query.q: expected name=y, got name=z"):
        imagestore_lab.requests.assert_received(query={"q": "name=y"})

async def test_an_asynchronous_test_waits_for_requests(imagestore_lab, imagestore_client):
    waiting = asyncio.create_task(imagestore_lab.requests.wait(api="QueryZone", count=2, within=60))
    for _ in range(2):
        await imagestore_client.query("/zones")
    assert len(await waiting) == 2
    imagestore_lab.requests.assert_received(api="QueryZone", times=2)
    with pytest.raises(TimeoutError, match="1 of 2 requests came within 0.05 s: "):
        await imagestore_lab.requests.wait(path="*/login", count=2, within=0.05)
    with pytest.raises(ValueError, match="paths: is unknown"):
        imagestore_lab.requests.find(paths="/zones")

@pytest.mark.imagestore_lab(clock="virtual", hosts=1, ping_interval=60)
def test_virtual_time_does_not_jump_while_a_test_waits_for_a_client(imagestore_lab):
    now = imagestore_lab.clock.time()
    with pytest.raises(TimeoutError):
        imagestore_lab.requests.wait(path="/nosuch", within=0.1)
    assert imagestore_lab.clock.time() - now < 60

@pytest.fixture(scope="module")
def shared(imagestore_lab_factory):
    return imagestore_lab_factory(hosts=1)

def test_a_lab_of_a_module_is_there(shared, imagestore_lab):
    assert shared.url != imagestore_lab.url
    assert get(shared.url + "/readyz")["ready"] and get(imagestore_lab.url + "/readyz")["ready"]

def test_and_is_there_for_the_next(shared):
    assert get(shared.url + "/readyz")["ready"]

@pytest.fixture(scope="session")
def imagestore_shared_options():
    return {"hosts": 1, "clock": "paused"}

@pytest.mark.parametrize("number", [1, 2])
def test_a_lab_that_all_tests_share_is_as_new_for_each(imagestore_shared_lab, number):
    assert imagestore_shared_lab.host("imagestore-1").listening
    assert imagestore_shared_lab.requests.count() == 0
    assert get(imagestore_shared_lab.url + "/readyz")["ready"]
    imagestore_shared_lab.host("imagestore-1").stop()

async def test_it_blocks_in_an_asynchronous_test(imagestore_shared_lab):
    assert imagestore_shared_lab.wait_for_status("imagestore-1", "Connected").name == "imagestore-1"
"""
COUNT = 13


def pytest_in(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="strict mode"),
        pytest.param(
            ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
            id="auto mode",
            marks=pytest.mark.scenarios,
        ),
        pytest.param(("-p", "no:asyncio"), id="without pytest-asyncio", marks=pytest.mark.scenarios),
        pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.scenarios),
    ],
)
def test_tests_of_every_kind_run_in_every_mode(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    status, output = pytest_in(tmp_path, *options)
    assert (status, f"{COUNT} passed" in output) == (0, True), output


ON_TRIO = """
import pytest, trio

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio", "asyncio"])
async def test_calls_are_awaited(imagestore_lab, imagestore_hosts, imagestore_client):
    assert len(await imagestore_client.query("/backup-storage", "status=Connected")) == 3
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=60)
    with pytest.raises(TimeoutError, match="imagestore-2 is Connected"):
        await imagestore_lab.wait_for("imagestore-2", "Disconnected", within=0.05)
"""


@pytest.mark.processes
def test_calls_are_awaited_on_the_event_loop_of_trio(tmp_path: Path) -> None:
    """Trio is kept from our own tests: Hypothesis warns of it there, and a warning is an error."""
    trio, folder = tmp_path / "trio", tmp_path / "tests"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    installed = subprocess.run((*pip, "--target", trio, "anyio[trio]"), capture_output=True, timeout=300, check=False)
    if installed.returncode:
        pytest.skip("needs anyio and trio, which pip cannot install here")
    folder.mkdir()
    (folder / "test_it.py").write_text(ON_TRIO)
    path = os.pathsep.join([str(trio), *filter(None, [os.environ.get("PYTHONPATH")])])
    status, output = pytest_in(folder, PYTHONPATH=path)
    assert (status, "2 passed" in output) == (0, True), output


MARKERS = {
    "hots=1": "imagestore_lab(hots=...): there is no such setting; expected clock, ",
    "hosts=-1": "imagestore_lab(hosts=-1): expected 0 or more",
    "clock='fast'": "imagestore_lab(clock=...) is 'virtual' or 'real', not 'fast'",
    "5": "imagestore_lab(5): expected settings by name, as in hosts=5",
}


@pytest.mark.processes
def test_an_invalid_marker_is_one_line(tmp_path: Path) -> None:
    text = "import pytest\n" + "".join(
        f"@pytest.mark.imagestore_lab({marker})\ndef test_{number}(imagestore_client): pass\n"
        for number, marker in enumerate(MARKERS)
    )
    (tmp_path / "test_it.py").write_text(text)
    status, output = pytest_in(tmp_path, "-p", "no:asyncio")
    for number, complaint in enumerate(MARKERS.values()):
        [error] = [line for line in output.splitlines() if line.startswith(f"test_it.py::test_{number}: ")]
        assert complaint in error
    assert (status, "Traceback" in output, "ValidationError" in output) == (1, False, False), output


FAILING = """
def test_it(imagestore_lab, imagestore_client):
    imagestore_client.add_image_store("silver")
    imagestore_lab.requests.assert_received(method="POST", body={"params": {"name": "gold"}})

async def test_awaited(imagestore_lab, imagestore_client):
    await imagestore_client.query("/zones")
    imagestore_lab.requests.assert_sequence([{"path": "*/zones"}, {"path": "*/images"}])
"""


@pytest.mark.processes
def test_a_failed_assertion_shows_the_line_of_the_test_and_the_closest_request(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    status, output = pytest_in(tmp_path)
    assert (status, "2 failed" in output) == (1, True), output
    assert 'E       AssertionError: expected a request: POST, body {"params": {"name": "gold"}}' in output
    assert 'body.params.name: expected "gold", got "silver"' in output
    assert "request 2 of 2 of the sequence is missing: */images" in output
    assert "no request came after #2" in output
    assert not [line for line in output.splitlines() if "lab_thread.py" in line or "concurrent" in line], output


def test_pytest_uses_the_compiled_modules_of_the_package_and_rewrites_none() -> None:
    rewriting = type(sys.modules[__name__].__loader__)
    assert "rewrite" in rewriting.__module__
    rewritten = [name for name, one in sys.modules.items() if isinstance(getattr(one, "__loader__", None), rewriting)]
    before = {"imagestore_sim", "imagestore_sim.testing", "imagestore_sim.testing.plugin"}
    """What pytest imports before the plugin has a say."""
    assert {name for name in rewritten if name.partition(".")[0] == "imagestore_sim"} <= before
    assert isinstance(lab.__loader__, SourceFileLoader)


@pytest.mark.processes
def test_the_plugin_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(imagestore_lab): pass\n")
    status, output = pytest_in(tmp_path, "-p", "no:imagestore-sim")
    assert (status, "fixture 'imagestore_lab' not found" in output) == (1, True), output
