"""What survives `kill -9`: every change that was acknowledged, and nothing by halves."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from simulator.hosts import SimulatedHost
from simulator.testing import Client

from processes import running

ADDS = 100
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
