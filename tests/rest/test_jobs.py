"""Asynchronous calls: 202, polling, retention, web hooks (wire-protocol 3), special headers (wire-protocol 5.5)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from raw_client import STORAGE, STORAGES, ZONE, ZONES, RawClient, ShiftedClock, open_raw_client

from imagestore_sim.database import StoreUnavailable, health
from imagestore_sim.database.health import Side
from imagestore_sim.rest.job_store import JobResult, JobState
from imagestore_sim.rest.job_web_hooks import JobWebHook, JobWebHooks
from imagestore_sim.rest.messages import AsyncMessage, Reply
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
V1 = "/zstack/v1"
NEW_ZONE = {"params": {"name": "z"}}
SCHEMA = {"inventory": "org.zstack.header.zone.ZoneInventory"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("jobs")) as raw_client:
        yield raw_client


async def test_the_answer_202_has_time_out_and_location(raw_client: RawClient) -> None:
    """The whole body, its order of keys, and no Location header (wire-protocol 3.2)."""
    job = uuid.uuid4().hex
    answer = await raw_client.send("POST", ZONES, NEW_ZONE, X_Job_UUID=job, Host="mn:8080")
    location = f"http://mn:8080/zstack/v1/api-jobs/{job}"
    assert answer.text == f'{{"apiTimeout":1800000,"location":"{location}"}}'
    assert "location" not in answer.headers


async def test_the_location_is_below_the_context_whichever_path_was_called(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.2, clients 1.4."""
    answer = await raw_client.send("POST", "/v1/zones", NEW_ZONE)
    assert "/zstack/v1/api-jobs/" in answer.json["location"]


@rows(
    ("method", "target", "body"),
    [
        pytest.param("POST", ZONES, {"params": {}}, id="3.1 an invalid POST"),
        pytest.param("PUT", f"{STORAGES}/nosuch/actions", {"reconnectImageStoreBackupStorage": {}}, id="3.1 a PUT"),
        pytest.param("DELETE", f"{ZONES}/nosuch", None, id="3.1 a DELETE"),
        pytest.param("POST", f"{ZONES}/{ZONE}/backup-storage/nosuch", None, id="3.1 a POST without a body"),
        pytest.param("DELETE", f"{ZONES}/{ZONE}/backup-storage/nosuch?deleteMode=Permissive", None, id="3.1 a detach"),
    ],
)
async def test_a_command_that_fails_at_once_is_accepted_nevertheless(
    raw_client: RawClient, method: str, target: str, body: object
) -> None:
    accepted = await raw_client.send(method, target, body)
    ended = await raw_client.follow(accepted)
    assert (accepted.status, ended.status, list(ended.json)) == (202, 503, ["error"])


async def test_a_job_that_runs_answers_an_empty_object(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.3, 1.5."""
    never = asyncio.Event()

    async def work() -> Reply:
        await never.wait()
        return Reply({"inventory": {}})

    job = uuid.uuid4().hex
    await raw_client.node.parts.jobs.start(job, "APICreateZoneMsg", work)
    for _ in range(2):
        polled = await raw_client.send("GET", f"{V1}/api-jobs/{job}", anonymous=True)
        assert (polled.status, polled.text) == (202, "{}")
    never.set()


async def test_a_result_is_stored_as_soon_as_the_store_takes_it(
    raw_client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = raw_client.node.parts.jobs._database
    tries: list[str] = []

    async def fail() -> None:
        raise StoreUnavailable("the check fails for longer")

    async def work() -> Reply:
        tries.append("work")
        raise store.health.failed(Side.READ, "for the length of this test")

    monkeypatch.setattr(store.health, "_check", fail)
    monkeypatch.setattr(health, "RETRY_SECONDS", 0.05)
    store_result = raw_client.node.parts.jobs.store.finish

    async def finish(*arguments: Any) -> None:
        tries.append("result")
        if len(tries) < 4:
            raise store.health.failed(Side.WRITE, "it does not fit")
        await store_result(*arguments)

    monkeypatch.setattr(raw_client.node.parts.jobs.store, "finish", finish)
    job = uuid.uuid4().hex
    await raw_client.node.parts.jobs.start(job, "APICreateZoneMsg", work)
    try:
        async with asyncio.timeout(60):
            while (await raw_client.node.parts.jobs.poll(job, with_schema=False))[0] == 202:
                await asyncio.sleep(0.01)
        assert tries == ["work", "result", "result", "result"]
    finally:
        store.health.worked(Side.WRITE)
        store.health.worked(Side.READ)


async def test_a_finished_job_can_be_polled_again_and_by_anyone(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.3."""
    accepted = await raw_client.send("POST", ZONES, NEW_ZONE)
    answers = [await raw_client.follow(accepted, Authorization=header) for header in ("", "OAuth null", "nonsense")]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert list(answers[0].json) == ["inventory"]


async def test_the_poll_decides_on_the_schema(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.3."""
    accepted = await raw_client.send("POST", ZONES, NEW_ZONE, X_JSON_Schema="true")
    assert "schema" not in (await raw_client.follow(accepted)).json
    assert (await raw_client.follow(accepted, X_JSON_Schema="")).json["schema"] == SCHEMA


async def test_a_result_without_members_is_an_empty_object(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.3, 4.1."""
    zone = await raw_client.make_zone()
    assert (await raw_client.call("DELETE", f"{ZONES}/{zone['uuid']}")).text == "{}"


async def test_ended_jobs_are_kept_for_three_hours(tmp_path: Path) -> None:
    """Source: wire-protocol 3.3."""
    async with open_raw_client(tmp_path) as raw_client:
        accepted = await raw_client.send("POST", ZONES, NEW_ZONE)
        await raw_client.follow(accepted)
        raw_client.clock.ahead += 10_799
        await raw_client.node.parts.jobs.purge()
        assert (await raw_client.follow(accepted)).status == 200
        raw_client.clock.ahead += 3
        await raw_client.node.parts.jobs.purge()
        expired = await raw_client.follow(accepted)
        assert (expired.status, expired.text) == (404, "the job has been expired")
        assert 3600 in raw_client.clock.waits


async def test_a_job_that_begins_while_others_are_cut_off_goes_on(raw_client: RawClient) -> None:
    """It is one of the new records: its row is not among those that were ended, and nothing else would end it."""
    jobs = raw_client.node.parts.jobs
    hold, began, cancelled, given = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> Reply:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await hold.wait()
        return Reply()

    async def work() -> Reply:
        await hold.wait()
        return Reply()

    async def give() -> None:
        await given.wait()

    old, new, between, handed = (uuid.uuid4().hex for _ in range(4))
    await jobs.start(old, "APICreateZoneMsg", slow_to_end)
    await began.wait()
    await jobs.fail_running()
    await jobs.start(between, "APICreateZoneMsg", work)
    await jobs.hand_over(handed, "APICreateZoneMsg", work, node="elsewhere", give=give)
    cutting = asyncio.create_task(jobs.cut_off())
    await cancelled.wait()
    await jobs.start(new, "APICreateZoneMsg", work)
    hold.set()
    await cutting
    assert (await raw_client.send("GET", f"{V1}/api-jobs/{old}")).status == 503
    async with asyncio.timeout(60):
        for job in (between, new):
            while (await jobs.poll(job, with_schema=False))[0] == 202:
                await asyncio.sleep(0.01)
            assert (await jobs.poll(job, with_schema=False))[0] == 200
    still = await jobs.store.find(handed)
    assert still is not None
    assert still.state == JobState.PROCESSING
    assert jobs._carrying.keys() == {handed}
    given.set()


async def test_a_job_ends_when_something_is_cancelled_that_it_waits_for(raw_client: RawClient) -> None:
    async def work() -> Reply:
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await waiting
        return Reply()

    jobs = raw_client.node.parts.jobs
    for waits in (False, True):
        job = uuid.uuid4().hex
        await jobs.start(job, "APICreateZoneMsg", work, waits=waits)
        async with asyncio.timeout(60):
            while (ended := await raw_client.send("GET", f"{V1}/api-jobs/{job}")).status == 202:
                await asyncio.sleep(0.01)
        assert (ended.status, ended.error["details"]) == (503, "what the job waited for was cancelled")


async def test_a_running_job_is_never_purged(tmp_path: Path) -> None:
    """Source: wire-protocol 3.3."""
    async with open_raw_client(tmp_path) as raw_client:

        async def work() -> Reply:
            await asyncio.Event().wait()
            return Reply()

        await raw_client.node.parts.jobs.start("a" * 32, "APICreateZoneMsg", work)
        raw_client.clock.ahead += 100_000
        await raw_client.node.parts.jobs.purge()
        assert (await raw_client.send("GET", f"{V1}/api-jobs/{'a' * 32}")).status == 202


@pytest.mark.parametrize("tag", ["validationOnly", "ephemeral::validationOnly"])
@pytest.mark.parametrize("place", ["beside", "inside"])
async def test_validation_only_creates_nothing(raw_client: RawClient, tag: str, place: str) -> None:
    """A valid call answers `{}`, an invalid one its error (wire-protocol 3.3)."""
    parameters = {"name": "n", "hostname": "10.9.9.9", "username": "u", "password": "p", "url": "/z"}
    tags = {"systemTags": [tag]}
    body = {"params": parameters, **tags} if place == "beside" else {"params": parameters | tags}
    assert (await raw_client.call("POST", STORAGES, body)).text == "{}"
    assert len((await raw_client.send("GET", STORAGES)).json["inventories"]) == 1
    parameters["hostname"] = "10.0.0.1"
    duplicate = await raw_client.call("POST", STORAGES, {"params": parameters, **tags})
    assert duplicate.error["details"].startswith("duplicate backup storage")


async def test_validation_only_breaks_a_synchronous_call(raw_client: RawClient) -> None:
    """Source: wire-protocol 3.3."""
    answer = await raw_client.send(
        "PUT", f"{V1}/management-nodes/actions", {"getVersion": {}, "systemTags": ["validationOnly"]}
    )
    text = "Unknown property 'version' on class 'class org.zstack.header.message.APIReply'"
    assert (answer.status, answer.text) == (500, text)


@rows(
    ("headers", "status", "text"),
    [
        pytest.param({"X_Job_UUID": "short"}, 400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped",
            id="5.5 a short job uuid"),
        pytest.param({"X_Job_UUID": str(uuid.uuid4())}, 400,
            "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped", id="5.5 a job uuid with dashes"),
        pytest.param({"X_API_Timeout": "x"}, 500, 'For input string: "x"', id="5.5 no number"),
        pytest.param({"X_API_Timeout": "1.5"}, 500, 'For input string: "1.5"', id="5.5 no whole number"),
        pytest.param({"X_API_Timeout": ""}, 500, 'For input string: ""', id="5.5 an empty number"),
    ],
)  # fmt: skip
@rows(
    ("method", "target", "body"),
    [("POST", ZONES, NEW_ZONE), ("PUT", f"{V1}/management-nodes/actions", {"getVersion": {}})],
    ids=["asynchronous", "synchronous"],
)
async def test_a_bad_special_header(
    raw_client: RawClient, method: str, target: str, body: object, headers: dict[str, str], status: int, text: str
) -> None:
    answer = await raw_client.send(method, target, body, anonymous=False, **headers)
    assert (answer.status, answer.text) == (status, text)


async def test_a_query_ignores_special_headers(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.5, 6.4."""
    assert (await raw_client.send("GET", ZONES, X_Job_UUID="short", X_API_Timeout="x")).status == 200
    assert (await raw_client.send("GET", f"{ZONES}?systemTags=a&systemTags=b")).status == 200


@rows("job", ["Z" * 32, "0123456789abcdef0123456789abcdef", "-" * 32, "." * 32, "!$&'()*+,=:@~_.-!$&'()*+,=:@~_.-"])
async def test_a_job_uuid_of_32_characters_of_a_path_segment_can_be_polled_and_serves_once(
    raw_client: RawClient, job: str
) -> None:
    """It counts for every method but GET, even if the call never becomes a job (wire-protocol 5.5)."""
    accepted = await raw_client.send("POST", ZONES, NEW_ZONE, x_job_uuid=job)
    assert accepted.json["location"].endswith(f"/{job}")
    assert (await raw_client.follow(accepted)).status == 200
    for method, target, body in (
        ("POST", ZONES, NEW_ZONE),
        ("DELETE", f"{ZONES}/{ZONE}", None),
        ("PUT", f"{V1}/management-nodes/actions", {"getVersion": {}}),
    ):
        again = await raw_client.send(method, target, body, X_JOB_UUID=job)
        assert (again.status, again.text) == (400, f"Duplicate job uuid[{job}]")


@rows("character", ["/", "?", "#", "%", ";", "\\", '"', "<", "{", "|", "^", "`", "[", " a", "\t", "\xe9"])
@rows("place", [0, 15, 31])
async def test_a_job_uuid_that_no_path_can_hold_is_refused_and_nothing_is_started(
    raw_client: RawClient, character: str, place: int
) -> None:
    """ZStack accepts it, and answers every poll 404 or 400: no client can learn how such a job ends."""
    job = ("0" * 32)[:place] + character + ("0" * 32)[place + len(character.encode()) :]
    name = f"zone {place} {ord(character[0])}"
    for method, target, body in (
        ("POST", ZONES, {"params": {"name": name}}),
        ("DELETE", f"{ZONES}/{ZONE}", None),
        ("PUT", f"{V1}/management-nodes/actions", {"getVersion": {}}),
    ):
        refused = await raw_client.send(method, target, body, X_JOB_UUID=job)
        text = "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped"
        assert (refused.status, refused.text) == (400, text)
    zones = (await raw_client.send("GET", ZONES)).json["inventories"]
    assert ZONE in [one["uuid"] for one in zones]
    assert name not in [one["name"] for one in zones]


async def test_of_two_calls_at_once_with_one_job_uuid_one_is_carried_out(raw_client: RawClient) -> None:
    job = uuid.uuid4().hex
    calls = [raw_client.send("POST", ZONES, {"params": {"name": job}}, X_JOB_UUID=job) for _ in range(8)]
    answers = await asyncio.gather(*calls)
    assert sorted(one.status for one in answers) == [202, *[400] * 7]
    assert {one.text for one in answers if one.status == 400} == {f"Duplicate job uuid[{job}]"}
    await raw_client.follow(next(one for one in answers if one.status == 202))
    zones = (await raw_client.send("GET", ZONES)).json["inventories"]
    assert [one["name"] for one in zones].count(job) == 1


async def test_a_time_out_is_echoed_in_milliseconds(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.5, 3.2."""
    assert (await raw_client.send("POST", ZONES, NEW_ZONE, X_API_Timeout="7")).json["apiTimeout"] == 7000


async def test_unknown_headers_are_ignored(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.5."""
    headers = {"X_Request_Ip": "1.2.3.4", "X_Session_Id": "nosuch", "X_Forwarded_For": "1.2.3.4"}
    assert (await raw_client.call("POST", ZONES, NEW_ZONE, **headers)).status == 200


class Hook:
    """A receiver of web hooks that answers with the given statuses, one after the other."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], str]] = []
        self.arrived = asyncio.Event()
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.text()))
        status = self.statuses.pop(0) if self.statuses else 200
        if status < 300:
            self.arrived.set()
        return web.Response(status=status)

    async def wait(self) -> tuple[dict[str, str], str]:
        """Return the last delivery."""
        await asyncio.wait_for(self.arrived.wait(), 60)
        return self.got[-1]


@asynccontextmanager
async def open_hook() -> AsyncIterator[Hook]:
    hook = Hook()
    application = web.Application()
    application.router.add_post("/hook", hook.receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield hook
    finally:
        await runner.cleanup()


class TestWebHooks:
    """Source: wire-protocol 3.4."""

    async def test_a_success_is_delivered_as_a_poll_answers_it(self, raw_client: RawClient) -> None:
        async with open_hook() as hook:
            job = uuid.uuid4().hex
            accepted = await raw_client.send("POST", ZONES, NEW_ZONE, X_Web_Hook=hook.url, X_Job_UUID=job)
            headers, body = await hook.wait()
            assert accepted.status == 202
            assert body == (await raw_client.follow(accepted)).text
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert (headers["X-Job-UUID"], headers["X-Job-Success"]) == (job, "true")
        assert not {"Authorization", "X-Job-Batch"} & set(headers)

    async def test_a_failure_is_delivered_too(self, raw_client: RawClient) -> None:
        async with open_hook() as hook:
            accepted = await raw_client.send("POST", ZONES, {"params": {}}, X_Web_Hook=hook.url)
            headers, body = await hook.wait()
            assert body == (await raw_client.follow(accepted)).text
        assert headers["X-Job-Success"] == "false"

    async def test_the_call_decides_on_the_schema(self, raw_client: RawClient) -> None:
        async with open_hook() as hook:
            accepted = await raw_client.send("POST", ZONES, NEW_ZONE, X_Web_Hook=hook.url, X_JSON_Schema="true")
            _, body = await hook.wait()
            assert body == (await raw_client.follow(accepted, X_JSON_Schema="true")).text
            assert '"schema":{"inventory"' in body

    async def test_a_synchronous_call_has_no_web_hook(self, raw_client: RawClient) -> None:
        async with open_hook() as hook:
            await raw_client.send("GET", ZONES, X_Web_Hook=hook.url)
            await raw_client.call("POST", ZONES, NEW_ZONE, X_Web_Hook=hook.url)
            await hook.wait()
            assert len(hook.got) == 1

    async def test_a_delivery_is_tried_fifteen_times_two_seconds_apart(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client, open_hook() as hook:
            hook.statuses = [500, 404, 302, 199 + 200] + [500] * 10
            await raw_client.send("POST", ZONES, NEW_ZONE, X_Web_Hook=hook.url)
            await hook.wait()
            assert len(hook.got) == 15
            assert raw_client.clock.waits.count(2.0) == 14
            assert len({body for _, body in hook.got}) == 1

    async def test_a_delivery_is_given_up_after_the_last_try(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client, open_hook() as hook:
            hook.statuses = [500] * 16
            await raw_client.send("POST", ZONES, NEW_ZONE, X_Web_Hook=hook.url)
            while len(hook.got) < 15:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert len(hook.got) == 15

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "not a url", "ftp://x/", "//x", "http://nosuch.invalid/"])
    async def test_an_unreachable_address_does_no_harm(
        self, tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            assert (await raw_client.call("POST", ZONES, NEW_ZONE, X_Web_Hook=url)).status == 200
            async with asyncio.timeout(60):
                while "given up after 15 attempts" not in caplog.text:
                    await asyncio.sleep(0.01)
        assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []

    @pytest.mark.parametrize(
        ("success", "counts", "state"),
        [(True, (2, 2), "SUCCESS"), (True, (1, 2), "PARTIAL"), (True, (0, 2), "FAIL"), (False, None, "FAIL")],
    )
    async def test_a_batch_reports_how_much_succeeded(
        self, success: bool, counts: tuple[int, int] | None, state: str
    ) -> None:
        class APITrashManyMsg(AsyncMessage, method="PUT", path="/many", package="org.example", batch=True):
            """An API that does many things in one call."""

        hooks = JobWebHooks(ShiftedClock())
        async with open_hook() as hook:
            ended = JobResult(success, Reply({}, batch=counts))
            hooks.deliver(JobWebHook(hook.url, "j" * 32, APITrashManyMsg.api, False), ended)
            headers, _ = await hook.wait()
        await hooks.close()
        assert headers["X-Job-Batch"] == state


@pytest.mark.thorough
async def test_fifty_clients_lose_no_job(raw_client: RawClient) -> None:
    async def work(number: int) -> int:
        zone = await raw_client.make_zone(name=f"z{number}")
        answer = await raw_client.call("POST", f"{ZONES}/{zone['uuid']}/backup-storage/{STORAGE}")
        assert zone["uuid"] in answer.json["inventory"]["attachedZoneUuids"]
        return (await raw_client.call("DELETE", f"{ZONES}/{zone['uuid']}")).status

    assert set(await asyncio.gather(*map(work, range(50)))) == {200}
