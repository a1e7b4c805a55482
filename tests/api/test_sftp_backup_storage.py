"""The Sftp APIs, whose storages live like ImageStores (domain 2.3, 3.1, 3.2, 3.4)."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.lab_thread import LabThread
from kept_lab import reset_fixtures
from rows import rows

PATH = "/backup-storage/sftp"
FOLDERS = "the url contains an invalid folder[/dev or /proc or /sys]"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=1)]


imagestore_lab, imagestore_client = reset_fixtures()


async def add(client: Client, hostname: object = "h-1", **values: object) -> dict[str, object]:
    defaults = {"name": hostname, "username": "root", "password": "password", "url": "/sftp/bs"}
    body = {"params": defaults | {"hostname": hostname} | values}
    inventory: dict[str, object] = (await client.call("POST", PATH, body))["inventory"]
    return inventory


@pytest.fixture(scope="module")
def sftp_1(shared_lab: LabThread) -> None:
    """Add a storage to the lab that tests share."""
    shared_lab.wait(add, shared_lab.client(), "sftp-1")


async def test_an_sftp_storage_is_added_connected_and_without_a_password(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    storage = await add(imagestore_client, sshPort="22")
    disk = imagestore_hosts["h-1"].disk
    assert (storage["type"], storage["status"], storage["state"]) == ("SftpBackupStorage", "Connected", "Enabled")
    assert (storage["totalCapacity"], storage["availableCapacity"]) == (disk.size, disk.available)
    assert (storage["hostname"], storage["username"], storage["sshPort"]) == ("h-1", "root", 22)
    assert "password" not in storage


async def test_an_add_creates_the_url_and_nothing_in_it(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await add(imagestore_client, url="/a/b")
    disk = imagestore_hosts["h-1"].disk
    assert disk.listdir("/a/b") == []
    disk.remove("/a/b")
    storage = await imagestore_client.query(PATH, "name=h-1")
    await imagestore_client.call("PUT", f"{PATH}/{storage[0]['uuid']}/actions", {"reconnectSftpBackupStorage": {}})
    assert disk.is_directory("/a/b")


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.usefixtures("sftp_1")
@rows(
    ("values", "code", "details"),
    [
        ({"hostname": "lab_1"}, "SYS.1007", "hostname[lab_1] is neither an IPv4 address nor a valid hostname"),
        ({"hostname": "::1"}, "SYS.1007", "hostname[::1] is neither an IPv4 address nor a valid hostname"),
        ({"hostname": ""}, "SYS.1007", "field[hostname] cannot be an empty string"),
        ({"url": ""}, "SYS.1007", "field[url] cannot be an empty string"),
        ({"url": "/dev/x"}, "SYS.1007", FOLDERS),
        ({"url": "/development"}, "SYS.1007", FOLDERS),
        ({"url": "/proc"}, "SYS.1007", FOLDERS),
        ({"url": "/system"}, "SYS.1007", FOLDERS),
        ({"url": "bs"}, "SYS.1007", "invalid url[bs], the url must be an absolute path starting with /"),
        ({"sshPort": 70000}, "SYS.1007", "field[sshPort] must be in range of [1, 65535]"),
        # The format of the hostname comes first, then duplicates of the type, then the url, then the other type
        ({"hostname": "lab_1", "url": "bs"}, "SYS.1007", "hostname[lab_1] is neither an IPv4"),
        (
            {"hostname": "sftp-1"},
            "SYS.1006",
            "duplicate backup storage. There has been a sftp backup storage[hostname:sftp-1] existing",
        ),
        (
            {"hostname": "sftp-1", "url": "bs"},
            "SYS.1006",
            "duplicate backup storage. There has been a sftp backup storage[hostname:sftp-1] existing",
        ),
        ({"hostname": "imagestore-1", "url": "/dev"}, "SYS.1007", FOLDERS),
        (
            {"hostname": "imagestore-1"},
            "SYS.1006",
            "More than one BackupStorage on the same host identified by hostname. There has been an"
            " ImageStoreBackupStorage [hostname:imagestore-1] existing. The BackupStorage type to be added is"
            " SftpBackupStorage. ",
        ),
    ],
)
async def test_an_invalid_add_is_refused_with_zstack_s_text(
    shared_client: Client, values: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await add(shared_client, **{"hostname": "h-1", **values})
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)
    assert len(await shared_client.query(PATH)) == 1


async def test_an_image_store_cannot_use_the_host_of_an_sftp_storage(imagestore_client: Client) -> None:
    await add(imagestore_client, "sftp-1")
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.add_image_store("sftp-1")
    assert (caught.value.code, caught.value.error["details"]) == (
        "SYS.1006",
        "More than one BackupStorage on the same host identified by hostname. There has been a SftpBackupStorage"
        " [hostname:sftp-1] existing. The BackupStorage type to be added is ImageStoreBackupStorage. ",
    )


async def test_validation_only_also_checks_hosts_of_the_other_type(imagestore_client: Client) -> None:
    with pytest.raises(CallFailed, match="More than one BackupStorage on the same host"):
        await add(imagestore_client, "imagestore-1", systemTags=["validationOnly"])


async def test_a_failed_add_reports_why_and_leaves_no_row(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_hosts.add(SimulatedHost("locked-1", credentials=Credentials("root", "other")))
    with pytest.raises(CallFailed) as caught:
        await add(imagestore_client, "locked-1")
    error = caught.value.error
    assert (error["code"], error["cause"]["code"], error["cause"]["opaque"]) == (
        "SYS.1002",
        "SYS.1006",
        {"reason": "auth_failed"},
    )
    assert error["details"].startswith("unable to connect to sftp backup storage[hostname:locked-1, sshPort:22]")
    assert await imagestore_client.query("/backup-storage", "name=locked-1") == []


async def test_queries_find_it_among_all_storages_and_among_its_own(imagestore_client: Client) -> None:
    storage = await add(imagestore_client)
    uuid = storage["uuid"]
    for path, expected in (
        (f"{PATH}/{uuid}", [uuid]),
        (f"/backup-storage/{uuid}", [uuid]),
        (f"/backup-storage/image-store/{uuid}", []),
    ):
        assert [one["uuid"] for one in await imagestore_client.query(path)] == expected
    assert len(await imagestore_client.query("/backup-storage")) == 2
    assert await imagestore_client.query("/backup-storage", "type=SftpBackupStorage", "hostname=h-1")
    # A condition on the type means Sftp, whatever its value (domain 1.3)
    for condition in ("type=ImageStoreBackupStorage", "type!=SftpBackupStorage", "type not null"):
        assert len(await imagestore_client.query(PATH, condition)) == 1


async def test_an_update_writes_the_record_and_reconnects_nothing(imagestore_client: Client) -> None:
    storage = await add(imagestore_client)
    path = f"{PATH}/{storage['uuid']}/actions"
    values = {"name": "new", "username": "admin", "sshPort": 23, "description": None, "url": "/other"}
    updated = (await imagestore_client.call("PUT", path, {"updateSftpBackupStorage": values}))["inventory"]
    assert (updated["name"], updated["username"], updated["sshPort"]) == ("new", "admin", 23)
    assert (updated["url"], updated["status"]) == ("/sftp/bs", "Connected")
    with pytest.raises(CallFailed, match="is neither an IPv4 address nor a valid hostname"):
        await imagestore_client.call("PUT", path, {"updateSftpBackupStorage": {"hostname": "a_b"}})
    await add(imagestore_client, "h-2")
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", path, {"updateSftpBackupStorage": {"hostname": "h-2"}})
    assert caught.value.code == "SYS.1000"


async def test_reconnect_sftp_goes_past_connecting_and_a_failure_leaves_the_status(
    imagestore_client: Client, imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    storage = await add(imagestore_client)
    await imagestore_client.call(
        "PUT",
        "/global-configurations/backupStorage/ping.interval/actions",
        {"updateGlobalConfig": {"value": "3600"}},
    )
    path = f"{PATH}/{storage['uuid']}/actions"
    host = imagestore_hosts["h-1"]
    host.disk.resize(2**40)
    with imagestore_lab.node.events.subscribe() as events:
        answer = await imagestore_client.call("PUT", path, {"reconnectSftpBackupStorage": {}})
        assert (answer["inventory"]["status"], answer["inventory"]["totalCapacity"]) == ("Connected", 2**40)
        await host.stop()
        with pytest.raises(CallFailed) as caught:
            await imagestore_client.call("PUT", path, {"reconnectSftpBackupStorage": {}})
    error = caught.value.error
    assert (error["code"], error["description"]) == ("BS.SFTP.1000", "Unable to reconnect to sftp backup storage")
    assert (error["cause"]["code"], error["cause"]["details"]) == ("SYS.1006", error["details"])
    assert [event.path for event in _drained(events) if event.path in (STATUS_CHANGED, DISCONNECTED)] == []
    [after] = await imagestore_client.query(f"{PATH}/{storage['uuid']}")
    assert after["status"] == "Connected"


async def test_the_generic_reconnect_of_one_does_move_its_status(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    storage = await add(imagestore_client)
    await imagestore_hosts["h-1"].stop()
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call(
            "PUT", f"/backup-storage/{storage['uuid']}/actions", {"reconnectBackupStorage": {}}
        )
    assert caught.value.code == "SYS.1006"
    [after] = await imagestore_client.query(f"{PATH}/{storage['uuid']}")
    assert (after["status"], after["totalCapacity"]) == ("Disconnected", storage["totalCapacity"])


@pytest.mark.imagestore_lab(hosts=1, clock="virtual")
async def test_it_is_pinged_and_comes_back_by_itself(imagestore_lab: Lab, imagestore_client: Client) -> None:
    storage = await add(imagestore_client)
    host = imagestore_lab.network["h-1"]
    await host.stop()
    await _wait_for(imagestore_lab, storage, "Disconnected")
    await host.start()
    await _wait_for(imagestore_lab, storage, "Connected")


@pytest.mark.parametrize("mode", ["Permissive", "Enforcing"])
async def test_a_deleted_one_frees_its_hostname(imagestore_client: Client, mode: str) -> None:
    storage = await add(imagestore_client)
    query = [("deleteMode", mode)]
    assert await imagestore_client.call("DELETE", f"/backup-storage/{storage['uuid']}", query=query) == {}
    assert (await imagestore_client.add_image_store("h-1"))["status"] == "Connected"


async def _wait_for(lab: Lab, storage: dict[str, object], status: str) -> None:
    async def until() -> None:
        while True:
            found = await lab.node.storages.records.load(str(storage["uuid"]))
            if found is not None and found.status == status:
                return
            await lab.clock.sleep(0.05)

    await lab.clock.wait_for(until(), 10)


def _drained(queue: asyncio.Queue[Event]) -> list[Event]:
    return [queue.get_nowait() for _ in range(queue.qsize())]
