"""After `kill -9`, every acknowledged change is there, and none is half done."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sqlite3
from pathlib import Path

import aiohttp
import pytest
import yaml

from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.testing import CallFailed, Client
from processes import Running, running

pytestmark = pytest.mark.processes

ADDS = 100
PINGED = 1000
STORAGES = "/backup-storage/image-store"


async def test_no_acknowledged_add_is_lost_and_none_is_half_done(tmp_path: Path) -> None:
    async with SimulatedHost("everywhere") as host:
        await host.stop()
        # Every address of the loopback network is a hostname of its own.
        await host.start("0.0.0.0")
        port = host.address[1]
        arguments = ("serve", "--port", "0", "--database", "node.db", "--ping-interval", "60")
        async with running(*arguments, cwd=tmp_path) as node:
            done, jobs = await _add_until_killed(node.url, port, lambda: node.process.send_signal(signal.SIGKILL))
        assert 0 < len(done) < ADDS
        async with running(*arguments, cwd=tmp_path) as node, Client(node.url) as client:
            await client.log_in()
            storages = await client.query(STORAGES)
            there = {storage["hostname"] for storage in storages}
            assert done <= there
            assert {storage["status"] for storage in storages} == {"Connected"}
            assert all(storage["totalCapacity"] > 0 for storage in storages)
            for hostname, job in jobs.items():
                answer = await client.request("GET", f"/api-jobs/{job}")
                assert answer.status in (200, 503), "a job that was begun can be polled, and has ended"
                assert (answer.status == 200) == (hostname in there)


async def _add_until_killed(url: str, port: int, kill: object) -> tuple[set[str], dict[str, str]]:
    """Add storages all at once, kill the node when a quarter of them is there; which were, and the accepted jobs."""
    done: set[str] = set()
    jobs: dict[str, str] = {}
    assert callable(kill)
    async with Client(url) as client:
        await client.log_in()

        async def add(number: int) -> None:
            hostname = f"127.0.1.{number + 1}"
            body = {"hostname": hostname, "username": "r", "password": "p", "name": hostname, "url": "/zs"}
            accepted = await client.request("POST", STORAGES, {"params": body | {"sshPort": port}})
            jobs[hostname] = accepted.body["location"].rpartition("/")[2]
            answer = await client.follow(accepted.body["location"])
            assert answer.status == 200
            done.add(hostname)
            if len(done) == ADDS // 4:
                kill()

        results = await asyncio.gather(*(add(number) for number in range(ADDS)), return_exceptions=True)
        assert not [error for error in results if isinstance(error, AssertionError)]
    return done, jobs


@pytest.mark.scenarios
async def test_a_kill_while_a_thousand_storages_are_pinged_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with SimulatedHost("everywhere") as host:
        await host.stop()
        await host.start("0.0.0.0")
        await host.faults.apply(read_fault("latency", {"delay": "20ms"}))  # so that pings are always under way
        names = {f"storage-{number}": f"127.0.{2 + number // 250}.{number % 250 + 1}" for number in range(PINGED)}
        (tmp_path / "bootstrap.yaml").write_text(yaml.safe_dump(_bootstrap(names, host.address[1])))
        arguments = ("serve", "--port", "0", "--database", "node.db", "--ping-interval", "1", "--log-level", "error")
        start = (*arguments, "--bootstrap", "bootstrap.yaml")
        async with running(*start, cwd=tmp_path) as node:
            renamed = await _rename_until_killed(node, host)
        assert renamed
        with contextlib.closing(sqlite3.connect(tmp_path / "node.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        logins = host.logins
        async with running(*arguments, cwd=tmp_path) as node, Client(node.url) as client:
            await client.log_in()
            storages = await client.query(STORAGES)
            assert host.logins - logins >= PINGED, "each was connected again"
        assert {storage["hostname"] for storage in storages} == set(names.values())
        assert {storage["status"] for storage in storages} == {"Connected"}
        assert all(storage["availableCapacity"] > 0 for storage in storages)
        now = {storage["uuid"]: storage.get("description") for storage in storages}
        assert {uuid: now[uuid] for uuid in renamed} == renamed


def _bootstrap(names: dict[str, str], port: int) -> dict[str, object]:
    login = {"username": "root", "password": "password", "sshPort": port, "url": "/zs"}
    return {"backupStorages": [{"name": name, "hostname": hostname, **login} for name, hostname in names.items()]}


async def _rename_until_killed(node: Running, host: SimulatedHost) -> dict[str, str]:
    """Describe storages one after another while all are pinged, kill the node amid that; what was acknowledged."""
    described: dict[str, str] = {}
    async with Client(node.url) as client:
        await client.log_in()
        uuids = [storage["uuid"] for storage in await client.query(f"{STORAGES}?fields=uuid")]
        before = await _pings(node.url)

        async def describe() -> None:
            for uuid in uuids:
                body = {"updateImageStoreBackupStorage": {"description": f"of {uuid}"}}
                await client.call("PUT", f"{STORAGES}/{uuid}/actions", body)
                described[uuid] = f"of {uuid}"

        describing = asyncio.create_task(describe())
        while await _pings(node.url) < before + PINGED:
            await asyncio.sleep(0.1)
        assert host.links
        node.process.send_signal(signal.SIGKILL)
        with pytest.raises((aiohttp.ClientError, CallFailed, OSError)):
            await describing
    return described


async def _pings(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        return sum(
            int(float(found)) for found in re.findall(r"imagestore_sim_probes_total{.*} (\S+)", await answer.text())
        )
