"""The hosts of a lab over `/lab/v1`: shown, added, changed, stopped, broken and healed."""

from __future__ import annotations

import asyncio
import hashlib
import ssl

import pytest

from imagestore_sim.faults import FAULTS
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Answer, Client
from kept_lab import reset_fixtures
from rows import rows

TIB = 2**40
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=1, ping_interval=1)]


imagestore_lab, imagestore_client = reset_fixtures()


async def ask(client: Client, method: str, path: str, body: object = None) -> Answer:
    return await client.request(method, f"{client.url}/lab/v1{path}", body)


async def test_a_host_is_shown_with_its_disk_its_logins_and_its_faults(imagestore_client: Client) -> None:
    listed = (await ask(imagestore_client, "GET", "/hosts")).body["hosts"]
    assert [one["name"] for one in listed] == ["imagestore-1"]
    shown = (await ask(imagestore_client, "GET", "/hosts/IMAGESTORE-1")).body
    [storage] = await imagestore_client.query("/backup-storage")
    assert shown["size"] == storage["totalCapacity"]
    assert shown["available"] == storage["availableCapacity"]
    assert (shown["port"], shown["listening"], shown["readOnly"]) == (22, True, False)
    assert shown["logins"] >= 1
    assert (shown["username"], shown["faults"]) == (None, [])


async def test_an_added_host_accepts_its_password(imagestore_client: Client) -> None:
    body = {"name": "gold", "size": "1 TiB", "used": "40%", "username": "root", "password": "secret"}
    added = await ask(imagestore_client, "POST", "/hosts", body)
    assert added.status == 201, added.text
    assert (added.body["size"], added.body["used"], added.body["username"]) == (TIB, 439804653568, "root")
    assert "secret" not in added.text
    storage = await imagestore_client.add_image_store("gold", password="secret")
    assert storage["availableCapacity"] == added.body["available"] == TIB - added.body["used"]
    again = await ask(imagestore_client, "POST", "/hosts", body)
    assert (again.status, again.body) == (409, {"error": "name: there is a host gold already"})
    assert (await ask(imagestore_client, "DELETE", "/hosts/gold")).body == {"done": True}
    assert (await ask(imagestore_client, "GET", "/hosts/gold")).status == 404


async def test_a_host_is_added_with_a_disk_of_its_own_and_room_for_root(imagestore_client: Client) -> None:
    body = {"name": "gold", "size": "1 TiB", "used": "40%", "reserved": "5%", "mount": "/Cloud_bs"}
    added = (await ask(imagestore_client, "POST", "/hosts", body)).body
    assert (added["size"], added["used"], added["reserved"]) == (TIB, 439804653568, 54975582208)
    assert added["available"] == TIB - added["used"] - added["reserved"]
    storage = await imagestore_client.add_image_store("gold")
    assert (storage["totalCapacity"], storage["availableCapacity"]) == (TIB, added["available"])
    changed = (await ask(imagestore_client, "PATCH", "/hosts/gold", {"reserved": 0})).body
    assert changed["reserved"] == 0


async def test_disks_are_filled_and_resized_and_all_is_healed(imagestore_client: Client) -> None:
    await ask(imagestore_client, "POST", "/hosts", {"name": "gold", "size": "1 TiB"})
    filled = await ask(imagestore_client, "POST", "/hosts/gold/fill", {"to": "90%"})
    resized = await ask(imagestore_client, "POST", "/hosts/gold/resize", {"size": "2 TiB"})
    assert [(one.status, one.body) for one in (filled, resized)] == [(201, {"id": "fill-1"}), (201, {"id": "resize-2"})]
    shown = (await ask(imagestore_client, "GET", "/hosts/gold")).body
    assert (shown["size"], shown["used"]) == (2 * TIB, 989560467456)
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "read_only"})
    one_kind = (await ask(imagestore_client, "POST", "/hosts/gold/heal", {"kind": "fill"})).body
    assert [one["id"] for one in one_kind["faults"]] == ["resize-2"]
    everywhere = (await ask(imagestore_client, "POST", "/heal", {"kind": "resize"})).body["hosts"]
    assert {one["name"]: [fault["id"] for fault in one["faults"]] for one in everywhere} == {
        "imagestore-1": ["read_only-1"], "gold": []
    }  # fmt: skip
    assert (await ask(imagestore_client, "POST", "/hosts/imagestore-1/heal")).body["faults"] == []
    for path, body, status, error in (
        ("/hosts/gold/fill", {"to": "190%"}, 400, "to: '190%' is more than 100%"),
        ("/hosts/gold/resize", {}, 400, "size: is required"),
        ("/hosts/gold/fill", {"path": "/nowhere"}, 409, "fault fill: /nowhere: No such file"),
        ("/heal", {"kind": "fil"}, 400, "kind: there is no fault 'fil'"),
        ("/hosts/none/heal", {}, 404, "there is no host none"),
    ):
        answer = await ask(imagestore_client, "POST", path, body)
        assert answer.status == status
        assert answer.body["error"].startswith(error)


@pytest.mark.imagestore_lab(hosts=1, ping_interval=1, clock="virtual")
async def test_a_host_is_stopped_and_started(imagestore_client: Client, imagestore_lab: Lab) -> None:
    assert (await ask(imagestore_client, "POST", "/hosts/imagestore-1/stop")).body["listening"] is False
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=5)
    assert (await ask(imagestore_client, "POST", "/hosts/imagestore-1/start")).body["listening"] is True
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=5)


async def test_disk_and_password_are_changed(imagestore_client: Client, imagestore_hosts: HostNetwork) -> None:
    body = {"size": "2 TiB", "used": "50%", "readOnly": True, "password": "other"}
    changed = (await ask(imagestore_client, "PATCH", "/hosts/imagestore-1", body)).body
    assert (changed["size"], changed["used"], changed["readOnly"]) == (2 * TIB, TIB, True)
    host = imagestore_hosts["imagestore-1"]
    assert host.accounts.accepts_password("root", "other")
    assert not host.accounts.accepts_password("root", "password")


async def test_an_invalid_change_changes_nothing(imagestore_client: Client, imagestore_hosts: HostNetwork) -> None:
    host = imagestore_hosts["imagestore-1"]
    host.disk.write_file("/data", b"x" * 8192)
    before = (host.disk.size, host.disk.used)
    answer = await ask(imagestore_client, "PATCH", "/hosts/imagestore-1", {"size": 4096, "used": 0, "password": "x"})
    assert answer.status == 409
    assert answer.body["error"].startswith("used cannot be 0: the files on this disk take 8192 bytes")
    assert (host.disk.size, host.disk.used, host.credentials) == (*before, None)


async def test_a_fault_is_applied_to_a_host_and_healed(imagestore_client: Client) -> None:
    first = await ask(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "read_only", "for": "1h"})
    second = await ask(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "fill", "to": "100%"})
    assert (first.status, first.body, second.body) == (201, {"id": "read_only-1"}, {"id": "fill-2"})
    shown = (await ask(imagestore_client, "GET", "/hosts/imagestore-1")).body
    assert (shown["available"], shown["readOnly"]) == (0, True)
    [read_only, fill] = shown["faults"]
    assert 3590 < read_only.pop("secondsLeft") <= 3600
    assert read_only == {"id": "read_only-1", "kind": "read_only", "parameters": {"for": 3600}}
    assert (fill["kind"], fill["secondsLeft"]) == ("fill", None)
    healed = await ask(imagestore_client, "DELETE", "/hosts/imagestore-1/faults/fill-2")
    assert [one["id"] for one in healed.body["faults"]] == ["read_only-1"]
    assert (await ask(imagestore_client, "DELETE", "/hosts/imagestore-1/faults")).body["faults"] == []
    gone = await ask(imagestore_client, "DELETE", "/hosts/imagestore-1/faults/fill-2")
    assert (gone.status, gone.body) == (404, {"error": "there is no fault fill-2 on imagestore-1"})


async def test_a_host_has_no_more_faults_than_can_be_passed_through(
    imagestore_client: Client, imagestore_hosts: HostNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore_sim.faults.base.MOST_ON_A_HOST", 3)
    host = next(name for name in imagestore_hosts)
    statuses = [
        (await ask(imagestore_client, "POST", f"/hosts/{host}/faults", {"kind": "latency", "delay": "1ms"})).status
        for _ in range(3)
    ]
    assert statuses == [201] * 3
    for path, body in (("faults", {"kind": "refuse"}), ("fill", {"to": "10%"}), ("resize", {"size": 2**40})):
        refused = await ask(imagestore_client, "POST", f"/hosts/{host}/{path}", body)
        text = f"{host} has 3 faults, which is the most at once; heal some"
        assert (refused.status, refused.body) == (409, {"error": text})
    assert (await ask(imagestore_client, "DELETE", f"/hosts/{host}/faults")).status == 200
    assert (await ask(imagestore_client, "POST", f"/hosts/{host}/faults", {"kind": "refuse"})).status == 201


async def test_a_fault_heals_by_itself(imagestore_client: Client) -> None:
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "no_sftp", "for": "50ms"})

    async def healed() -> None:
        while (await ask(imagestore_client, "GET", "/hosts/imagestore-1")).body["faults"]:
            await asyncio.sleep(0.01)  # real: the lab's clock is

    await asyncio.wait_for(healed(), 60)  # real: see above


@pytest.mark.asyncio(loop_scope="function")
async def test_the_kinds_of_fault_are_those_of_the_registry(shared_client: Client) -> None:
    kinds = {one["kind"]: one for one in (await ask(shared_client, "GET", "/faults")).body["faults"]}
    assert kinds.keys() == FAULTS.keys()
    fill = kinds["fill"]
    assert [one["name"] for one in fill["parameters"]] == ["path", "to", "over", "for"]
    assert fill["schema"]["properties"].keys() == {"path", "to", "over", "for"}
    assert (fill["layer"], fill["heals"]) == ("disk", FAULTS["fill"].heals)


@pytest.mark.asyncio(loop_scope="function")
@rows(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/hosts/nobody", None, 404, "there is no host nobody"),
        ("POST", "/hosts/nobody/start", None, 404, "there is no host nobody"),
        ("POST", "/hosts", {}, 400, "name: is required"),
        ("POST", "/hosts", {"name": "a b"}, 400, "name: expected a text of the pattern"),
        ("POST", "/hosts", {"name": ".."}, 400, "name: is no name of a host"),
        ("POST", "/hosts", {"name": "-oProxyCommand"}, 400, "name: is no name of a host"),
        ("POST", "/hosts", {"name": "a", "size": "9" * 400 + ".5 TiB"}, 400, "size: '99999"),
        ("POST", "/hosts/imagestore-1/fill", {"to": "9" * 400 + ".5"}, 400, "to: '9999"),
        ("POST", "/hosts", {"name": "a", "size": "much"}, 400, "size: 'much' is no size"),
        ("POST", "/hosts", {"name": "a", "username": "root"}, 400, "password: is required with a username"),
        ("POST", "/hosts", [], 400, "the body: "),
        ("PATCH", "/hosts/imagestore-1", {"used": "101%"}, 400, "used: '101%' is more than 100%"),
        ("POST", "/hosts", {"name": "a", "size": 100_000, "used": 200_000}, 400,
         "used: expected no more than the disk's 100000 bytes, but got 200000"),
        ("POST", "/hosts", {"name": "a", "size": "1 TiB", "reserved": "2 TiB"}, 400, "reserved: expected no more than"),
        ("PATCH", "/hosts/imagestore-1", {"used": "9000 TiB"}, 400, "used: expected no more than the disk's "),
        ("PATCH", "/hosts/imagestore-1", {"size": "1 TiB", "used": "2 TiB"}, 400, "used: expected no more than "),
        ("PATCH", "/hosts/imagestore-1", {"sise": 1}, 400, "sise: is unknown; there are size, used, reserved, "),
        ("POST", "/hosts/imagestore-1/faults", ["hang"], 400, "the body: expected a mapping with kind"),
        ("POST", "/hosts/imagestore-1/faults", {}, 400, "kind: is required"),
        ("POST", "/hosts/imagestore-1/faults", {"kind": "rust"}, 400, "there is no fault 'rust'; there are "),
        ("POST", "/hosts/imagestore-1/faults", {"kind": "fill", "til": 1}, 400, "fault fill: til: is unknown"),
        ("POST", "/hosts/imagestore-1/faults", {"kind": "fill", "path": "/x"}, 409, "fault fill: /x: No such file"),
    ],
)  # fmt: skip
async def test_invalid_input_is_refused(
    shared_client: Client, method: str, path: str, body: object, status: int, error: str
) -> None:
    answer = await ask(shared_client, method, path, body)
    assert answer.status == status
    assert answer.body["error"].startswith(error), answer.text


@pytest.mark.asyncio(loop_scope="function")
async def test_a_body_that_is_not_json_is_refused(shared_client: Client) -> None:
    answer = await shared_client.request("POST", f"{shared_client.url}/lab/v1/hosts", data=b"{")
    assert answer.status == 400
    assert answer.body["error"].startswith("the body is not JSON: ")


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("path", ["/hosts", "/hosts/imagestore-1"])
async def test_a_node_by_itself_has_no_hosts(fixed: Client, path: str) -> None:
    answer = await ask(fixed, "GET", path)
    assert (answer.status, answer.body) == (404, {"error": "this node has no simulated hosts"})


@pytest.mark.imagestore_lab(hosts=1, ping_interval=1, seed=1)  # a lab that starts with it: the agent's first instance
async def test_the_agent_of_a_host_is_shown_with_all_that_a_client_needs(imagestore_client: Client) -> None:
    shown = await ask(imagestore_client, "GET", "/hosts/imagestore-1/agent")
    assert shown.status == 200, shown.text
    assert (shown.body["running"], shown.body["port"], shown.body["instance"]) == (True, 8000, "imagestore-1-1")
    context = ssl.create_default_context(cadata=shown.body["authority"])
    address, _, port = shown.body["address"].rpartition(":")
    _, writer = await asyncio.open_connection(address, int(port), ssl=context, server_hostname="imagestore-1")
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert shown.body["certificateSha256"] == hashlib.sha256(certificate).digest().hex(":").upper()
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "agent_down"})
    down = (await ask(imagestore_client, "GET", "/hosts/imagestore-1/agent")).body
    assert (down["running"], down["instance"], down["address"]) == (False, None, shown.body["address"])
    assert (await ask(imagestore_client, "GET", "/hosts/imagestore-1")).body["agentRunning"] is False


async def test_there_is_no_agent_without_a_running_host(imagestore_client: Client) -> None:
    await ask(imagestore_client, "POST", "/hosts/imagestore-1/stop")
    stopped = await ask(imagestore_client, "GET", "/hosts/imagestore-1/agent")
    assert (stopped.status, stopped.body) == (409, {"error": "imagestore-1 is stopped, and its agent with it"})
    assert (await ask(imagestore_client, "GET", "/hosts/nosuch/agent")).status == 404


async def test_hosts_are_removed_and_added_while_the_lab_is_reset(imagestore_client: Client) -> None:
    calls = [("POST", "/reset", None), ("DELETE", "/hosts/imagestore-1", None), ("DELETE", "/hosts/gold", None),
             ("POST", "/hosts", {"name": "gold"}), ("POST", "/hosts", {"name": "imagestore-1"})]  # fmt: skip
    answers = await asyncio.gather(*(ask(imagestore_client, *call) for call in calls * 3))
    statuses = {call[:2]: {one.status for one in answers[number :: len(calls)]} for number, call in enumerate(calls)}
    assert statuses["POST", "/reset"] == {200}
    assert set().union(*statuses.values()) <= {200, 201, 404, 409}
    await ask(imagestore_client, "POST", "/reset")
    listed = (await ask(imagestore_client, "GET", "/hosts")).body["hosts"]
    assert [(one["name"], one["listening"]) for one in listed] == [("imagestore-1", True)]
