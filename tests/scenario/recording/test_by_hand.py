"""What was done on a lab by hand is saved over the lab's API, and holds when it is replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from imagestore_sim.faults import NODE_FAULTS, NodeFault
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.call_history import MOST_CALLS, CallHistory
from imagestore_sim.rest.journal import Journal
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.recording.by_hand import ScenarioWriter
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import CallFailed
from imagestore_sim.virtual_clock import run_virtually, virtual_clock

SECRET = "correct-horse-battery"
IMAGE_STORE = "/backup-storage/image-store"


class Hands:
    """Does by hand, over HTTP, what the page does; time is virtual."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self.running = lab
        self.client = client

    async def lab(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        await self.wait(0.01)  # as between two clicks: in virtual time, one could come with the other
        answer = await self.client.request(method, f"{self.client.url}/lab/v1{path}", body)
        assert answer.status < 300, answer.text
        return dict(answer.body)

    async def zstack(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        await self.wait(0.01)
        return await self.client.call(method, path, body)

    async def zstack_fails(self, method: str, path: str, body: object = None) -> str:
        with pytest.raises(CallFailed) as failure:
            await self.zstack(method, path, body)
        return str(failure.value)

    async def wait(self, seconds: float) -> None:
        await self.running.clock.sleep(seconds)

    async def uuid(self, name: str) -> str:
        [storage] = await self.client.query("/backup-storage", f"name={name}")
        return str(storage["uuid"])

    async def save(self, **wanted: object) -> dict[str, Any]:
        return await self.lab("POST", "/scenario", wanted)


Doing = Callable[[Hands], Awaitable[dict[str, Any]]]


def saved(folder: Path, doing: Doing, **settings: Any) -> dict[str, Any]:
    """Return what a lab has saved after something was done on it."""

    async def work() -> dict[str, Any]:
        clock = virtual_clock()
        chosen = Settings(**{"port": 0, "hosts": 3, "ping_interval": 5, "database": str(folder / "lab.db"), **settings})
        async with (
            Lab(chosen, clock=clock, story_writer=ScenarioWriter()) as lab,
            Client(lab.url, clock=clock) as client,
        ):
            await client.log_in()
            await clock.sleep(2)
            return await doing(Hands(lab, client))

    story = run_virtually(work())
    assert SECRET not in story["yaml"]
    return story


def replayed(story: dict[str, Any]) -> tuple[Scenario, Result]:
    """Play what was saved, and check that it holds."""
    scenario = parse_scenario(story["yaml"])
    result = play_virtually(scenario)
    assert (result.verdict, result.wrong) == (Verdict.HELD, []), story["yaml"]
    return scenario, result


def lived(result: Result) -> dict[str, list[str]]:
    return {lane.name: [status for _, status in lane.statuses if status] for lane in result.lanes}


def kinds(scenario: Scenario) -> list[str]:
    return [step.kind for step in scenario.timeline]


async def break_and_heal(hands: Hands) -> dict[str, Any]:
    for name in ("imagestore-1", "imagestore-2"):
        await hands.lab("POST", f"/hosts/{name}/faults", {"kind": "refuse"})
    await hands.wait(8)
    await hands.lab("POST", "/heal", {})
    await hands.wait(12)
    await hands.lab("POST", "/hosts/imagestore-3/fill", {"to": "90%"})
    await hands.wait(8)
    return await hands.save(title="A cable is pulled")


def test_a_break_and_its_healing_become_a_story_that_holds(tmp_path: Path) -> None:
    story = saved(tmp_path, break_and_heal)
    scenario, result = replayed(story)
    assert scenario.title == "A cable is pulled"
    assert kinds(scenario) == ["fault", "eventually", "heal", "eventually", "fill", "eventually"]
    assert scenario.timeline[0].content.host == ("imagestore-1", "imagestore-2")
    first = lived(result)["imagestore-1"]
    assert (first[:2], first[-2:]) == (["Connected", "Disconnected"], ["Connecting", "Connected"])
    assert lived(result)["imagestore-3"] == ["Connected"]
    assert (story["steps"], story["expectations"], story["leftOut"], story["check"]) == (3, 3, [], None)
    assert len(scenario.hosts) == 3


async def use_the_api(hands: Hands) -> dict[str, Any]:
    added = await hands.client.add_image_store("new-1", name="gold", password=SECRET)
    gold = added["uuid"]
    await hands.wait(3)
    body = {"updateImageStoreBackupStorage": {"name": "gold 2", "password": SECRET}}
    await hands.zstack("PUT", f"{IMAGE_STORE}/{gold}/actions", body)
    zone = (await hands.zstack("POST", "/zones", {"params": {"name": "second"}}))["inventory"]["uuid"]
    await hands.zstack("POST", f"/zones/{zone}/backup-storage/{gold}")
    await hands.lab("POST", "/hosts/new-1/stop")
    await hands.wait(10)
    failed = await hands.zstack_fails("PUT", f"/backup-storage/{gold}/actions", {"reconnectBackupStorage": {}})
    assert "BS.1500" in failed
    await hands.lab("POST", "/hosts/new-1/start")
    await hands.wait(10)
    await hands.zstack_fails("POST", IMAGE_STORE, {"params": {
        "name": "twice", "hostname": "new-1", "url": "/zs", "username": "root", "password": SECRET,
    }})  # fmt: skip
    option = "/global-configurations/backupStorage/ping.interval/actions"
    await hands.zstack("PUT", option, {"updateGlobalConfig": {"value": "7"}})
    await hands.wait(20)
    second = await hands.uuid("imagestore-2")
    await hands.zstack("DELETE", f"/zones/{zone}/backup-storage/{gold}")
    await hands.zstack("DELETE", f"/backup-storage/{second}")
    await hands.zstack("DELETE", f"/backup-storage/{gold}")
    return await hands.save()


def test_calls_of_clients_are_told_with_names_for_uuids_and_without_passwords(tmp_path: Path) -> None:
    story = saved(tmp_path, use_the_api)
    scenario, result = replayed(story)
    calls = [step.content for step in scenario.timeline if step.call is not None]
    paths = [f"{one.method} {one.path}" for one in calls]
    assert paths[0] == "POST /backup-storage/image-store"
    assert calls[0].known_as == "gold"
    assert calls[0].body["params"]["password"] == "password"
    assert "PUT /backup-storage/$gold/actions" in paths
    assert paths[-2:] == ["DELETE /backup-storage/$imagestore-2", "DELETE /backup-storage/$gold"]
    assert [str(one.error) for one in calls if one.error is not None] == ["BS.1500", "SYS.1006"]
    assert story["leftOut"] == []
    assert scenario.settings["ping.interval"] == 5
    gone = {lane.name for lane in result.lanes if lane.statuses[-1][1] == ""}
    assert gone == {"gold", "imagestore-2"}


async def use_images(hands: Hands) -> dict[str, Any]:
    uuid = await hands.uuid("imagestore-1")

    def image(name: str) -> dict[str, Any]:
        url = f"http://user:{SECRET}@images/{name}"
        return {"params": {"name": name, "url": url, "format": "qcow2", "backupStorageUuids": [uuid]}}

    first = (await hands.zstack("POST", "/images", image("debian")))["inventory"]["uuid"]
    await hands.zstack("POST", "/images", image("alpine"))
    await hands.zstack("DELETE", f"/images/{first}")
    await hands.zstack("PUT", f"/images/{first}/actions", {"expungeImage": {}})
    await hands.lab("POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    await hands.wait(10)
    await hands.zstack_fails("POST", "/images", image("gentoo"))
    await hands.lab("DELETE", "/hosts/imagestore-1/faults")
    await hands.wait(10)
    await hands.zstack("DELETE", f"/backup-storage/{uuid}")
    return await hands.save()


@pytest.mark.thorough
@pytest.mark.usefixtures("few_steps")
def test_images_come_and_go_as_they_did(tmp_path: Path) -> None:
    story = saved(tmp_path, use_images)
    scenario, _ = replayed(story)
    assert [kind for kind in kinds(scenario) if kind != "eventually"] == [
        "add_image", "add_image", "delete_image", "expunge_image", "fault", "call", "heal", "call",
    ]  # fmt: skip
    assert [one.url for one in scenario.imageSources] == ["http://images/debian", "http://images/alpine"]


async def break_the_node(hands: Hands) -> dict[str, Any]:
    first, second = await hands.uuid("imagestore-1"), await hands.uuid("imagestore-2")
    await hands.lab("POST", "/node/faults", {"kind": "api_error", "when": {"api": "Reconnect*", "first": 1}})
    await hands.zstack_fails("PUT", f"/backup-storage/{first}/actions", {"reconnectBackupStorage": {}})
    await hands.lab("POST", "/node/faults", {"kind": "job_fails", "when": {"api": "ChangeBackupStorageState"}})
    body = {"changeBackupStorageState": {"stateEvent": "disable"}}
    await hands.zstack_fails("PUT", f"/backup-storage/{second}/actions", body)
    await hands.wait(1)
    await hands.lab("POST", "/heal", {"kind": "job_fails"})
    await hands.wait(1)
    await hands.zstack("PUT", f"/backup-storage/{second}/actions", body)
    return await hands.save()


def test_faults_of_the_management_plane_are_met_by_clients_again(tmp_path: Path) -> None:
    scenario, result = replayed(saved(tmp_path, break_the_node))
    assert [kind for kind in kinds(scenario) if kind != "eventually"] == [
        "client", "fault", "client", "fault", "client", "heal", "call",
    ]  # fmt: skip
    assert [step.content.path for step in scenario.timeline if step.client is not None] == [
        "/zones?limit=1", "/backup-storage/$imagestore-1/actions", "/backup-storage/$imagestore-2/actions",
    ]  # fmt: skip
    assert result.wrong == []


async def meet(hands: Hands, kind: type[NodeFault]) -> dict[str, Any]:
    """Set a fault of the management plane, make calls of each sort as a program does, heal it."""
    uuid, clock = await hands.uuid("imagestore-1"), hands.running.clock
    await hands.lab("POST", "/node/faults", {"kind": kind.kind, **kind.example})
    disable = {"changeBackupStorageState": {"stateEvent": "disable"}}
    action = f"/backup-storage/{uuid}/actions"
    for method, path, body in (
        ("GET", "/zones", None),
        ("PUT", action, disable),
        ("GET", "/backup-storage?start=1", None),
        ("PUT", action, {"reconnectBackupStorage": {}}),
    ):
        await hands.wait(1)
        with suppress(TimeoutError, OSError, ValueError, aiohttp.ClientError):  # that is what the fault is for
            answer = await clock.wait_for(hands.client.request(method, path, body), 15)
            for _ in range(5):
                if answer.status != 202:
                    break
                await hands.wait(1)
                poll = answer.body["location"].partition("/zstack/v1")[2]
                answer = await clock.wait_for(hands.client.request("GET", poll), 15)
    await hands.wait(1)
    await hands.lab("POST", "/heal", {})
    await hands.wait(5)
    return await hands.save()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", sorted(NODE_FAULTS))
def test_each_fault_of_the_management_plane_makes_a_story_that_holds(kind: str, tmp_path: Path) -> None:
    scenario, _ = replayed(saved(tmp_path, partial(meet, kind=NODE_FAULTS[kind]), hosts=2))
    assert "fault" in kinds(scenario)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_makes_a_story_that_holds(seed: int, tmp_path: Path) -> None:
    replayed(saved(tmp_path, partial(do_anything, random=Random(seed))))


async def do_anything(hands: Hands, random: Random) -> dict[str, Any]:
    """Do a dozen things that are drawn at random, and look at nothing that comes of them."""
    kinds_of_fault = ["refuse", "blackhole", "latency", "half_open", "unreachable", "no_sftp", "slow_login", "not_ssh"]
    names = ["imagestore-1", "imagestore-2", "imagestore-3"]
    uuids = [await hands.uuid(name) for name in names]
    for number in range(12):
        await hands.wait(random.choice([1, 3, 7, 13, 25, 120]) + random.random())
        host, uuid = f"/hosts/{random.choice(names)}", random.choice(uuids)
        image = {"name": f"i {number}", "url": f"http://x/{number}", "format": "qcow2", "backupStorageUuids": [uuid]}
        method, path, body = random.choice([
            ("POST", f"{host}/faults", {"kind": random.choice(kinds_of_fault)}),
            ("POST", f"{host}/faults", {"kind": "refuse", "for": "20s"}),
            ("POST", f"{host}/heal", {}),
            ("POST", "/heal", {}),
            ("POST", f"{host}/stop", {}),
            ("POST", f"{host}/start", {}),
            ("POST", f"{host}/fill", {"to": random.choice(["90%", "50%"])}),
            ("POST", f"{host}/resize", {"size": "10 TiB"}),
            ("POST", "/images", {"params": image}),
            ("PUT", f"/backup-storage/{uuid}/actions", {"reconnectBackupStorage": {}}),
        ])  # fmt: skip
        of_zstack = path.startswith(("/images", "/backup-storage"))
        with suppress(CallFailed):
            await (hands.zstack if of_zstack else hands.lab)(method, path, body)
    await hands.wait(random.choice([1, 20]))
    return await hands.save()


@pytest.mark.thorough
async def test_time_that_was_stepped_is_time_of_the_story(tmp_path: Path) -> None:
    settings = Settings(port=0, hosts=1, ping_interval=60, database=str(tmp_path / "lab.db"))
    async with Lab(settings, story_writer=ScenarioWriter()) as lab, Client(lab.url) as client:

        async def call(path: str, body: object) -> dict[str, Any]:
            answer = await client.request("POST", f"{client.url}/lab/v1{path}", body)
            assert answer.status < 300, answer.text
            return dict(answer.body)

        await call("/hosts/imagestore-1/faults", {"kind": "refuse"})
        await call("/clock/step", {"seconds": "5m"})
        await call("/heal", {})
        await call("/clock/step", {"seconds": "1h"})
        story = await call("/scenario", {})
    assert story["to"] - story["from"] > 3600
    scenario, result = await asyncio.to_thread(replayed, story)
    assert kinds(scenario) == ["fault", "eventually", "heal", "eventually"]
    assert scenario.timeline[2].at == pytest.approx(300, abs=5)
    assert result.wrong == []


async def break_twice(hands: Hands) -> dict[str, Any]:
    await hands.lab("POST", "/hosts/imagestore-1/faults", {"kind": "refuse", "for": "10s"})
    await hands.wait(25)
    began = hands.running.clock.time()
    await hands.lab("POST", "/hosts/imagestore-2/faults", {"kind": "blackhole"})
    await hands.wait(40)
    ended = hands.running.clock.time()
    await hands.lab("POST", "/hosts/imagestore-3/stop")
    await hands.wait(10)
    return {"part": await hands.save(**{"from": began - 0.5, "to": ended}), **await hands.save()}


@pytest.mark.thorough
def test_a_part_of_the_time_can_be_saved_alone(tmp_path: Path) -> None:
    story = saved(tmp_path, break_twice)
    whole, _ = replayed(story)
    part, result = replayed(story["part"])
    assert kinds(whole) == ["fault", "eventually", "heal", "eventually", "fault", "eventually", "stop", "eventually"]
    assert kinds(part) == ["fault", "eventually"]
    assert lived(result)["imagestore-2"][:2] == ["Connected", "Disconnected"]
    assert story["part"]["to"] - story["part"]["from"] == pytest.approx(40.5, abs=0.1)


async def break_in_the_middle(hands: Hands) -> dict[str, Any]:
    await hands.lab("POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    await hands.wait(20)
    began = hands.running.clock.time()
    await hands.wait(1)
    await hands.lab("POST", "/heal", {})
    await hands.wait(20)
    return await hands.save(**{"from": began})


def test_a_fault_from_before_the_time_is_there_in_the_beginning(tmp_path: Path) -> None:
    scenario, _ = replayed(saved(tmp_path, break_in_the_middle))
    assert kinds(scenario)[0] == "fault"
    assert "heal" in kinds(scenario)


async def do_nothing(hands: Hands) -> dict[str, Any]:
    return await hands.save()


@pytest.mark.thorough
def test_nothing_becomes_a_story_in_which_nothing_happens(tmp_path: Path) -> None:
    scenario, _ = replayed(saved(tmp_path, do_nothing))
    assert kinds(scenario) == ["note"]


async def break_one_of_many(hands: Hands) -> dict[str, Any]:
    await hands.lab("POST", "/hosts/imagestore-7/faults", {"kind": "refuse"})
    await hands.wait(10)
    return await hands.save()


@pytest.mark.thorough
def test_of_a_big_fleet_only_those_are_told_of_that_took_part(tmp_path: Path) -> None:
    scenario, _ = replayed(saved(tmp_path, break_one_of_many, hosts=12))
    assert [one.name for one in scenario.storages or ()] == ["imagestore-7"]


async def do_what_cannot_be_told(hands: Hands) -> dict[str, Any]:
    session = {"uuid": hands.client.session_uuid}
    body = {"org.zstack.header.zone.APICreateZoneMsg": {"name": "z", "session": session}}
    await hands.client.request("POST", f"{hands.client.url}/zstack/api", body)
    await hands.client.request("DELETE", "/backup-storage/0123456789abcdef0123456789abcdef")
    return await hands.save()


def test_what_is_not_in_it_is_said(tmp_path: Path) -> None:
    story = saved(tmp_path, do_what_cannot_be_told)
    replayed(story)
    legacy, unknown = story["leftOut"]
    assert legacy == "POST /zstack/api (APICreateZoneMsg): only calls of the REST API can be told"
    assert "it names 0123456789abcdef0123456789abcdef, which the scenario does not have" in unknown


async def ask_badly(hands: Hands) -> dict[str, Any]:
    answers = {}
    await hands.lab("POST", "/hosts/imagestore-1/stop")
    for name, body in {"order": {"from": 9, "to": 8}, "past": {"to": 8}}.items():
        answers[name] = (await hands.client.request("POST", f"{hands.client.url}/lab/v1/scenario", body)).text
    return {"yaml": "", **answers}


def test_a_time_that_cannot_be_is_refused(tmp_path: Path) -> None:
    answers = saved(tmp_path, ask_badly)
    assert "from: expected a time before `to`" in answers["order"]
    assert "the story would end before it begins" in answers["past"]


@pytest.mark.imagestore_lab(hosts=1)
async def test_a_lab_without_a_writer_says_so(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/scenario", {})
    assert answer.status == 404
    assert "cannot write scenarios" in answer.text


@pytest.mark.processes
async def test_a_story_is_checked_in_a_process_of_its_own(tmp_path: Path) -> None:
    story = await asyncio.to_thread(saved, tmp_path, break_and_heal)
    checked = await ScenarioWriter().check(story["yaml"])
    assert checked.held
    assert checked.text.startswith("held    story.yaml: A cable is pulled")
    broken = await ScenarioWriter().check(story["yaml"].replace("kind: refuse", "kind: latency"))
    assert not broken.held


def test_the_history_of_calls_is_bounded() -> None:
    history, journal = CallHistory(), Journal()
    with journal.watching("calls", history.concerns, history.add):
        for number in range(MOST_CALLS + 5):
            journal.add(ended=float(number), method="POST", path="/zstack/v1/zones", status=202, seconds=0.0,
                        account=None, job=None, body=None, api="APICreateZoneMsg")  # fmt: skip
        journal.add(ended=0.0, method="GET", path="/zstack/v1/zones", status=200, seconds=0.0, account=None, job=None,
                    body=None, api="APIQueryZoneMsg")  # fmt: skip
    kept = list(history)
    assert (len(kept), kept[0].number, kept[-1].number) == (MOST_CALLS, 6, MOST_CALLS + 5)
    assert history.forgotten == 4.0
