"""A poll waits a moment for the end of its job."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from raw_client import RawClient, open_raw_client

from imagestore_sim.rest import running_jobs
from imagestore_sim.rest.messages import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
REST, LEGACY = "/zstack/v1/api-jobs/", "/zstack/api/result/"
PATHS = pytest.mark.parametrize("path", [REST, LEGACY])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("polls")) as raw_client:
        yield raw_client


class Job:
    """A job that ends once it is let go."""

    def __init__(self, raw_client: RawClient) -> None:
        self.uuid = uuid.uuid4().hex
        self.end = asyncio.Event()
        self._client = raw_client

    async def start(self) -> None:
        await self._client.node.parts.jobs.start(self.uuid, "APICreateZoneMsg", self._work)

    async def _work(self) -> Reply:
        await self.end.wait()
        return Reply({"inventory": {"name": "at last"}})


@pytest_asyncio.fixture(loop_scope="module")
async def job(raw_client: RawClient) -> AsyncIterator[Job]:
    job = Job(raw_client)
    await job.start()
    yield job
    job.end.set()


async def waiting(raw_client: RawClient, count: int) -> None:
    """Return as soon as `count` polls wait."""
    async with asyncio.timeout(60):
        while raw_client.node.parts.jobs.running.polls != count:
            await asyncio.sleep(0.001)


@PATHS
async def test_a_poll_is_answered_as_soon_as_the_job_ends(
    raw_client: RawClient, job: Job, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_jobs, "LONGEST_SECONDS", 60)
    polls = [asyncio.create_task(raw_client.send("GET", path + job.uuid, anonymous=True)) for _ in range(3)]
    await waiting(raw_client, 3)
    job.end.set()
    for polled in await asyncio.gather(*polls):
        assert polled.status == 200
        assert "at last" in polled.text


@PATHS
async def test_a_poll_of_a_long_job_is_answered_meanwhile(raw_client: RawClient, job: Job, path: str) -> None:
    polled = await raw_client.send("GET", path + job.uuid, anonymous=True)
    assert (polled.status, "at last" in polled.text) == (202 if path == REST else 200, False)


@PATHS
async def test_a_poll_waits_no_longer_than_its_client(
    raw_client: RawClient, job: Job, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_jobs, "LONGEST_SECONDS", 60)
    poll = asyncio.create_task(raw_client.send("GET", path + job.uuid, anonymous=True))
    await waiting(raw_client, 1)
    poll.cancel()
    await waiting(raw_client, 0)


async def test_only_so_many_polls_wait(raw_client: RawClient, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_jobs, "LONGEST_SECONDS", 60)
    monkeypatch.setattr(running_jobs, "MOST_POLLS", 1)
    first = asyncio.create_task(raw_client.send("GET", REST + job.uuid, anonymous=True))
    await waiting(raw_client, 1)
    assert (await raw_client.send("GET", REST + job.uuid, anonymous=True)).status == 202
    job.end.set()
    assert (await first).status == 200


async def test_a_poll_hears_at_once_that_its_job_was_cut_off(
    raw_client: RawClient, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_jobs, "LONGEST_SECONDS", 60)
    poll = asyncio.create_task(raw_client.send("GET", REST + job.uuid, anonymous=True))
    await waiting(raw_client, 1)
    await raw_client.node.parts.jobs.fail_running()
    await raw_client.node.parts.jobs.cut_off()
    polled = await poll
    assert (polled.status, polled.error["code"]) == (503, "SYS.1012")
