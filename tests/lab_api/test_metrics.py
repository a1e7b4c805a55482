"""GET /metrics over a real connection, read with Prometheus' own parser; and its manual page."""

from __future__ import annotations

import gzip
import hashlib
import platform
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from fixed_data import B1, B4
from generators.metrics import page
from imagestore_sim import __version__
from imagestore_sim.backup_storage.recent_probes import RecentProbes
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.clock import START
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.lab_api.metrics import MOST_AT_ONCE, Body
from imagestore_sim.lab_api.storage_series import LINES_IN_A_PIECE, SERIES, StoredStorage, pieces_of, show
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from kept_node import KeptNode
from loop_turns import Turns, counting
from metrics_page import Scrape, scrape
from node_faults import set_fault, shown

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
STORAGES = "/backup-storage/image-store"
pytestmark = pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual")


@pytest_asyncio.fixture
async def fixed(kept_node: KeptNode) -> AsyncIterator[Client]:
    """Return a client of a node whose counters begin with the test."""
    async with kept_node.client(renewed=True) as client:
        yield client


async def test_storages_are_counted_by_status_and_state_and_their_capacity_is_shown(fixed: Client) -> None:
    found = await scrape(fixed)
    assert found.value("backup_storages", status="Connected", state="Enabled") == 2
    assert found.value("backup_storages", status="Connected", state="Disabled") == 1
    assert found.value("backup_storages", status="Disconnected", state="Enabled") == 1
    assert found.value("backup_storages", status="Connecting", state="Enabled") == 0
    labels = {"uuid": B1, "name": "store-1", "type": "ImageStoreBackupStorage"}
    assert found.value("backup_storage_total_bytes", **labels) == 1000
    assert found.value("backup_storage_available_bytes", **labels) == 100
    sftp = {"uuid": B4, "name": "sftp", "type": "SftpBackupStorage"}
    assert found.value("backup_storage_available_bytes", **sftp) == 800


async def test_a_deleted_storage_is_not_shown(fixed: Client) -> None:
    assert B1 in (await scrape(fixed)).text
    await fixed.call("DELETE", f"/backup-storage/{B1}")
    assert B1 not in (await scrape(fixed)).text


async def test_probes_are_counted_by_outcome_with_the_time_of_their_phases(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock) as client:
        before = await scrape(client)
        assert before.value("probes_total", method="statvfs") == 1
        assert before.value("probes_total", method="df") == 0
        assert before.value("probe_failures_total", reason="unreachable") == 0
        assert before.value("probe_phase_duration_seconds_count", phase="auth") == 1
        await imagestore_hosts["imagestore-1"].stop()
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=200)
        after = await scrape(client)
        assert (after.value("probe_failures_total", reason="unreachable") or 0) >= 1
        assert after.value("backup_storages", status="Disconnected", state="Enabled") == 1
        assert (after.value("tracker_lag_seconds_count") or 0) >= 1
        assert after.value("tracker_lag_seconds_sum") == 0


async def test_each_storage_shows_what_its_probes_have_found(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock) as client:
        [storage] = await imagestore_lab.node.storages.records.tracked()
        labels = {"uuid": storage.uuid, "name": "imagestore-1", "type": "ImageStoreBackupStorage"}
        good = await scrape(client)
        connected_at = good.value("backup_storage_last_success_timestamp_seconds", **labels)
        assert connected_at is not None
        assert START <= connected_at <= imagestore_lab.clock.time()
        assert good.value("backup_storage_up", **labels) == 1
        assert good.value("backup_storage_status", status="Connected", **labels) == 1
        assert good.value("backup_storage_probe_duration_seconds", **labels) is not None
        assert (good.value("backup_storage_inodes", **labels) or 0) > 0
        assert (good.value("backup_storage_inodes_available", **labels) or 0) > 0
        assert good.value("backup_storage_read_only", **labels) == 0
        assert "backup_storage_probe_failing{" not in good.text

        await imagestore_hosts["imagestore-1"].stop()
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=200)
        lost = await scrape(client)
        assert lost.value("backup_storage_up", **labels) == 0
        assert lost.value("backup_storage_status", status="Disconnected", **labels) == 1
        assert lost.value("backup_storage_status", status="Connected", **labels) == 0
        assert lost.value("backup_storage_probe_failing", reason="unreachable", **labels) == 1
        assert lost.value("backup_storage_last_success_timestamp_seconds", **labels) == connected_at
        assert lost.value("backup_storage_inodes", **labels) == good.value("backup_storage_inodes", **labels)

        await client.log_in()
        await client.call("DELETE", f"/backup-storage/{storage.uuid}")
        assert storage.uuid not in (await scrape(client)).text


def test_a_name_of_a_storage_is_read_back_whatever_is_in_it() -> None:
    names = ["back\\slash", 'quote"', "two\nlines", "}{=,", "镜像仓库"]
    stored = [StoredStorage(str(number), name, "", "Connected", "Enabled", 1, 1) for number, name in enumerate(names)]
    found = Scrape("".join(pieces_of([show(one, None, RecentProbes()) for one in stored])))
    for number, name in enumerate(names):
        assert found.value("backup_storage_total_bytes", uuid=str(number), name=name, type="") == 1


async def test_very_many_storages_are_shown_in_pieces_between_which_others_have_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, pieces = Turns(), []
    add = Body.add

    def note(body: Body, piece: bytes) -> None:
        pieces.append((turns.count, piece.count(b"\n")))
        add(body, piece)

    monkeypatch.setattr(Body, "add", note)
    names = [f"archive-{number}" for number in range(3 * MOST_AT_ONCE)]
    records = Bootstrap(
        backupStorages=tuple(BackupStorageRecord(name=one, hostname=one, url="/zs", tracked=False) for one in names)
    )
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")))
    await node.start(records)
    try:
        async with counting(turns), Client(node.url) as client:
            found = await scrape(client)
    finally:
        await node.stop()
    shown = {one.labels["name"] for one in found.families["imagestore_sim_backup_storage_total_bytes"].samples}
    assert shown == set(names)
    written = pieces[1:]  # the first are the counters
    assert len(written) >= 7
    assert max(lines for _, lines in written) <= LINES_IN_A_PIECE + len(SERIES)  # each begins with two lines in one
    assert len({turn for turn, _ in written}) == len(written)


async def test_faults_of_the_management_plane_are_counted_by_kind(fixed: Client) -> None:
    identity = await set_fault(fixed, "status", code=503, when={"api": "APIQueryZoneMsg", "first": 1})
    before = await scrape(fixed)
    assert before.value("node_faults", kind="status") == 1
    assert before.value("node_faults", kind="answer_lost") == 0
    assert before.value("node_fault_hits_total", kind="status") == 0
    await fixed.request("GET", "/zones")
    after = await scrape(fixed)
    assert (await shown(fixed, identity))["hits"] == after.value("node_fault_hits_total", kind="status") == 1
    assert after.value("node_faults", kind="status") == 0


async def test_counters_are_shown_while_the_store_cannot_be_read(
    fixed: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "read", fail)
        found = await scrape(fixed)
    assert found.value("database_failures_total") is not None
    assert "imagestore_sim_backup_storages{" not in found.text


async def test_the_build_and_the_process_are_shown_and_compressed_for_a_client_that_takes_gzip(fixed: Client) -> None:
    found = await scrape(fixed)
    assert found.value("build_info", version=__version__, python=platform.python_version()) == 1
    assert "process_resident_memory_bytes " in found.text or sys.platform != "linux"
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.get(f"{fixed.url}/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert b"imagestore_sim_build_info" in gzip.decompress(await answer.read())
        async with session.get(f"{fixed.url}/metrics", headers={"Accept-Encoding": "identity"}) as answer:
            assert b"imagestore_sim_build_info" in await answer.read()


async def test_requests_are_counted_by_api_and_status_and_cache_hits_apart(fixed: Client) -> None:
    api = "APIQueryImageStoreBackupStorageMsg"
    for _ in range(3):
        await fixed.query(STORAGES)
    await fixed.query(f"{STORAGES}/{B1}")  # answered at once
    await fixed.request("GET", "/nothing/here")
    await fixed.request("GET", f"{STORAGES}?q=nonsense")
    body = {"org.zstack.header.zone.APIQueryZoneMsg": {"session": {"uuid": fixed.session_uuid}, "conditions": []}}
    await fixed.request("POST", f"{fixed.url}/zstack/api", body)
    found = await scrape(fixed)
    assert found.value("request_duration_seconds_count", api=api, status="200") == 2
    assert found.value("kept_answers_total", api=api) == 2
    assert found.value("request_duration_seconds_count", api="none", status="404") == 1
    assert found.value("request_duration_seconds_count", api=api, status="400") == 1
    assert found.value("request_duration_seconds_count", api="APIQueryZoneMsg", status="200") == 1
    assert found.value("request_duration_seconds_count", api="APILogInByAccountMsg", status="200") == 1


async def test_jobs_are_counted_by_state_and_timed_and_commits_are_counted(fixed: Client) -> None:
    before = await scrape(fixed)
    assert [before.value("jobs", state=state) for state in ("Processing", "Done", "Failed")] == [0, 0, 0]
    await fixed.call("POST", "/zones", {"params": {"name": "zone"}})
    taken = {"name": "again", "url": "/zs", "hostname": "h-1", "username": "root", "password": "password"}
    refused = await fixed.request("POST", STORAGES, {"params": taken})
    assert (await fixed.follow(refused.body["location"])).status == 503
    after = await scrape(fixed)
    assert [after.value("jobs", state=state) for state in ("Processing", "Done", "Failed")] == [0, 1, 1]
    assert after.value("job_duration_seconds_count", api="APICreateZoneMsg", state="Done") == 1
    assert after.value("job_duration_seconds_count", api="APIAddImageStoreBackupStorageMsg", state="Failed") == 1
    assert (after.value("request_duration_seconds_count", api="api-jobs", status="200") or 0) >= 1
    assert (after.value("database_commits_total") or 0) > (before.value("database_commits_total") or 0)


async def test_nodes_in_one_process_count_for_themselves(fixed: Client, tmp_path: Path) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "other.db")))
    await node.start()
    try:
        async with Client(node.url) as other:
            found = await scrape(other)
            assert found.value("request_duration_seconds_count", api="APILogInByAccountMsg", status="200") is None
            assert B1 not in found.text
    finally:
        await node.stop()


async def test_no_secret_is_shown(fixed: Client) -> None:
    text = (await scrape(fixed)).text
    for secret in (str(fixed.session_uuid), hashlib.sha512(b"password").hexdigest(), "password", "h-1"):
        assert secret not in text


async def test_every_metric_is_in_the_manual(fixed: Client) -> None:
    await fixed.call("POST", "/zones", {"params": {"name": "zone"}})
    await fixed.query(STORAGES)
    await fixed.query(STORAGES)
    text = (await scrape(fixed)).text
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    listed = {line.split("`")[1] for line in page().partition("## ")[0].splitlines() if line.startswith("| `")}
    assert shown == listed
    assert "_created" not in text
