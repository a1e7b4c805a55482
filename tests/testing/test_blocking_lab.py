"""`with Lab() as lab:` for unittest and scripts: its words block, and are those of the kits of other languages."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagestore_sim.bootstrap import BootstrapError
from imagestore_sim.faults import FaultProblem
from imagestore_sim.testing import Lab, LabError


@pytest.fixture(scope="module", params=["in this process", "over HTTP"])
def whole(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(hosts=2, clock="paused", lab_token="secret", ping_interval=60) as lab:
        if request.param == "in this process":
            yield lab
        else:
            with Lab(url=lab.url, hosts=2, clock="paused", lab_token="secret") as elsewhere:
                yield elsewhere


@pytest.fixture
def lab(whole: Lab) -> Lab:
    whole.reset()
    return whole


def get(url: str, session: str = "", headers: Mapping[str, str] | None = None) -> Any:
    given = {"X-Lab-Token": "secret"} | ({"Authorization": f"OAuth {session}"} if session else {}) | dict(headers or {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=given), timeout=20) as answer:
        return json.load(answer)


def statuses(lab: Lab, session: str) -> dict[str, str]:
    found = get(f"{lab.url}/zstack/v1/backup-storage?fields=name,status", session, lab.clock.headers())["inventories"]
    return {one["name"]: one["status"] for one in found}


def test_the_package_alone_imports_nothing_heavy() -> None:
    program = "import sys, imagestore_sim.testing; print([m for m in sys.modules if m in ('aiohttp', 'asyncssh')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"hoss": 1}, "hoss: there is no such option; did you mean hosts?"),
        ({"comand": "x"}, "comand: there is no such option; did you mean command?"),
        ({"hosts": "x"}, "hosts: expected a whole number, but it is 'x'"),
        ({"clock": "noon"}, "clock: expected real, paused or a time; 'noon' is no time with an offset, such as "),
        ({"lab_token": "a secret"}, "lab_token: "),
    ],
)
def test_an_option_that_there_is_not_or_with_another_value_is_one_plain_line(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}") as refused:
        Lab(**options)
    assert type(refused.value) is ValueError
    assert not {"\n", "secret"} & {*str(refused.value), *str(refused.value).split()}
    assert "pydantic" not in str(refused.value)


def test_a_host_that_is_stopped_is_noticed_while_the_clock_stands_still(lab: Lab) -> None:
    session = lab.log_in()
    lab.host("imagestore-1").stop()
    assert lab.wait_for_status("imagestore-1", "Disconnected", within="2m").name == "imagestore-1"
    assert statuses(lab, session) == {"imagestore-1": "Disconnected", "imagestore-2": "Connected"}
    assert not lab.hosts["imagestore-1"].listening
    lab.host("imagestore-1").start()
    lab.wait_for_status("imagestore-1", "Connected", within="2m")
    now = lab.clock.now
    with pytest.raises(TimeoutError, match=r"imagestore-2 is Connected, and was not Disconnected within 0\.5 s"):
        lab.wait_for_status("imagestore-2", "Disconnected", within=0.5)
    assert lab.clock.now == pytest.approx(now + 0.5)


def test_a_lab_in_real_time_that_is_paused_waits_no_longer_than_it_says() -> None:
    with Lab(hosts=1) as lab:
        lab.clock.pause()
        with pytest.raises(TimeoutError, match=r"imagestore-1 is Connected, and was not Disconnected within 5 s"):
            lab.wait_for_status("imagestore-1", "Disconnected", within=5)
        lab.host("imagestore-1").stop()
        lab.wait_for_status("imagestore-1", "Disconnected", within=60)
        assert lab.clock.paused


def test_a_storage_that_is_not_there_and_one_known_by_its_uuid_are_waited_for(lab: Lab) -> None:
    uuid = lab.wait_for_status("imagestore-1", "Connected").uuid
    assert lab.wait_for_status(uuid, "Connected").name == "imagestore-1"
    with pytest.raises(TimeoutError, match=r"^imagestore is not there, and was not Connected within 2 s$"):
        lab.wait_for_status("imagestore", "Connected", within="2s")
    with pytest.raises(ValueError, match=r"^'Gone' is no status: expected Connecting, Connected, Disconnected$"):
        lab.wait_for_status("imagestore-1", "Gone")
    lab.load(lab.snapshot().replace("name: imagestore-2", "name: fixed").replace("tracked: true", "tracked: false"))
    assert lab.wait_for_status("fixed", "Connected", within=0).uuid


def test_a_login_that_fails_says_why(lab: Lab) -> None:
    lab.break_node("status", code=502, when={"path": "*/login"})
    with pytest.raises(LabError, match=f"^PUT {lab.url}/zstack/v1/accounts/login: .*502"):
        lab.log_in()
    lab.heal()
    lab.break_node("answer_lost", when={"path": "*/login"})
    with pytest.raises(LabError, match=f"^PUT {lab.url}/zstack/v1/accounts/login: "):
        lab.log_in()


def test_a_host_breaks_and_heals(lab: Lab) -> None:
    host = lab.host("imagestore-2")
    fault = host.break_("refuse")
    assert (fault.kind, fault.active) == ("refuse", True)
    assert (host.facts().faults, fault.id) == (("refuse",), "refuse-1")
    lab.wait_for_status("imagestore-2", "Disconnected", within="2m")
    fault.heal()
    fault.heal()
    assert not fault.active
    lab.wait_for_status("imagestore-2", "Connected", within="2m")
    host.resize("1T")
    host.resize(used="50%")
    lab.clock.step("2m")
    found = get(f"{lab.url}/zstack/v1/backup-storage?q=name=imagestore-2", lab.log_in())["inventories"]
    assert found[0]["totalCapacity"] == 2**40
    host.break_("resize", size="4T")
    assert (host.facts().size, host.facts().faults, host.facts().listening) == (4 * 2**40, ("resize",), True)
    host.heal()
    assert (host.facts().size, host.facts().used, host.facts().faults) == (2**40, 2**39, ())
    with pytest.raises(ValueError, match=r"^size: .*'much'"):
        host.resize("much")
    with pytest.raises(FaultProblem, match="delai: is unknown"):
        host.break_("latency", delai="1s")
    with pytest.raises(KeyError):
        lab.host("nosuch")


def test_the_management_node_breaks_and_heals(lab: Lab) -> None:
    session = lab.log_in()
    lost = lab.break_node("answer_lost", when={"api": "QueryBackupStorage"})
    with pytest.raises((OSError, http.client.HTTPException)):
        statuses(lab, session)
    assert (lost.kind, lost.id, lost.hits, lost.active) == ("answer_lost", "answer_lost-1", 1, True)
    lost.heal()
    lost.heal()
    assert (lost.hits, lost.active) == (1, False)
    assert statuses(lab, session)["imagestore-1"] == "Connected"
    with pytest.raises(
        FaultProblem, match=r"^fault answer_lost: when\.ap: is unknown; there are api, .*\(did you mean api"
    ):
        lab.break_node("answer_lost", when={"ap": "x"})
    with pytest.raises(FaultProblem, match="nosuch"):
        lab.break_node("nosuch")
    lab.break_node("api_error", code="SYS.1003")
    lab.heal()
    assert statuses(lab, session)["imagestore-1"] == "Connected"


def test_requests_are_asserted(lab: Lab) -> None:
    session = lab.log_in()
    begin = lab.requests.last
    statuses(lab, session)
    matcher = {"api": "QueryBackupStorage", "since": begin}
    assert [one.status for one in lab.assert_requested(matcher, times=1)] == [200]
    lab.assert_requested(matcher)
    lab.assert_requested({"api": "QueryZone"}, never=True)
    with pytest.raises(AssertionError, match="expected 2 requests at least"):
        lab.assert_requested(matcher, at_least=2)
    with pytest.raises(AssertionError, match="the closest"):
        lab.assert_requested({"path": "*/zones"})
    with pytest.raises(AssertionError, match="expected no request"):
        lab.assert_requested(matcher, never=True)
    with pytest.raises(AssertionError, match="expected 3 requests"):
        lab.assert_requested(matcher, times=3)
    requests = lab.requests
    assert [one.path for one in requests.wait(matcher, within=60)] == [one.path for one in requests.find(matcher)]
    with pytest.raises(TimeoutError, match=r"1 of 2 requests came within 0\.05 s"):
        requests.wait(matcher, count=2, within=0.05)
    requests.assert_sequence([{"path": "*/login"}, {"api": "QueryBackupStorage"}])
    with pytest.raises(AssertionError, match="request 2 of 2 of the sequence is missing"):
        requests.assert_sequence([{"path": "*/login"}, {"method": "DELETE"}])
    assert requests.near_misses(path="*/zones", most=1)[0].differences
    with pytest.raises(ValueError, match="paths: is unknown"):
        requests.count(paths="/zones")
    requests.clear()
    assert requests.count() == 0


def test_records_are_kept_and_put_back(lab: Lab) -> None:
    kept = lab.snapshot()
    session = lab.log_in()
    [uuid] = [
        one["uuid"] for one in get(f"{lab.url}/zstack/v1/backup-storage?q=name=imagestore-1", session)["inventories"]
    ]
    url = f"{lab.url}/zstack/v1/backup-storage/{uuid}"
    request = urllib.request.Request(url, headers={"Authorization": f"OAuth {session}"}, method="DELETE")
    urllib.request.urlopen(request, timeout=20).close()
    lab.clock.step(1)
    assert list(statuses(lab, session)) == ["imagestore-2"]
    with pytest.raises(BootstrapError, match="backupStorage"):
        lab.load("backupStorage: []")
    lab.load(kept)
    assert statuses(lab, lab.log_in()) == {"imagestore-1": "Connected", "imagestore-2": "Connected"}


def test_the_clock_is_stepped_set_and_run(lab: Lab) -> None:
    clock = lab.clock
    now = clock.now
    assert clock.paused
    assert clock.step(timedelta(minutes=1))
    assert clock.set(datetime.fromtimestamp(now + 90, UTC))
    assert clock.now == pytest.approx(now + 90)
    assert clock.elapsed == get(f"{lab.url}/lab/v1/clock")["elapsed"]
    assert clock.headers() == {}
    with pytest.raises(ValueError, match="90 s before the lab's time"):
        clock.set(now)
    clock.set_speed(1000)
    clock.resume()
    time.sleep(0.05)
    clock.pause()
    assert clock.now > now + 100


@pytest.mark.thorough
def test_the_lab_follows_a_clock_of_the_test(lab: Lab) -> None:
    time_machine = pytest.importorskip("time_machine")
    session, began = lab.log_in(), lab.clock.elapsed
    lab.clock.resume()
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False) as traveller, lab.clock.following():
        begin = lab.clock.elapsed
        lab.host("imagestore-1").stop()
        traveller.shift(3600)
        assert statuses(lab, session)["imagestore-1"] == "Disconnected"
        assert lab.clock.elapsed - begin == pytest.approx(3600)
        traveller.shift(2 * 3600 + 1)
        with pytest.raises(urllib.error.HTTPError):
            statuses(lab, session)  # a session lasts for two hours
        traveller.shift(32 * 86400)
        with pytest.raises(urllib.error.HTTPError, match="HTTP Error 400"):
            statuses(lab, session)
    assert not lab.clock.paused
    assert lab.clock.elapsed > began + 3 * 3600


def test_a_lab_starts_again_and_says_when_it_does_not_run() -> None:
    lab = Lab(hosts=1, clock="virtual", seed=5)
    with pytest.raises(RuntimeError, match="does not run"):
        print(lab.url)
    sessions = []
    for _ in range(2):
        with lab:
            sessions.append(lab.log_in())
            with pytest.raises(RuntimeError, match="runs already"):
                lab.start()
    lab.stop()
    assert sessions[0] == sessions[1]
    assert (lab.credentials.account_name, lab.credentials.sha512[:8]) == ("admin", "b109f3bb")


def test_a_lab_elsewhere_has_to_be_as_the_test_wants_it() -> None:
    with Lab(hosts=1, clock="paused") as lab:
        with pytest.raises(LabError, match="has 1 hosts, and the test wants 2"):
            Lab(url=lab.url, hosts=2).start()
        with pytest.raises(LabError, match="clock='virtual' needs a lab in the process of the tests"):
            Lab(url=lab.url, clock="virtual").start()
        lab.log_in()
        url = lab.url
        with Lab(url=f"{url}/") as other:
            assert (other.url, other.requests.last) == (url, 0)
        assert lab.host("imagestore-1").listening
    with pytest.raises(LabError, match=f"POST {url}/lab/v1/reset"):
        Lab(url=url).start()
