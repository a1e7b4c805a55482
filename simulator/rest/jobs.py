"""Asynchronous calls: run as tasks, kept in the database, polled without a session (wire-protocol 3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

import orjson
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from simulator.clock import Clock
from simulator.correlation import correlated
from simulator.database import Database
from simulator.database.models import Job
from simulator.rest.encoding import to_json
from simulator.rest.errors import ApiError, ErrorCode, PlainError
from simulator.rest.messages import Reply
from simulator.tasks import Tasks

logger = logging.getLogger(__name__)
RETENTION_SECONDS = 10_800
PURGE_EVERY_SECONDS = 3600


class JobState(StrEnum):
    """How far a job is."""

    PROCESSING = "Processing"
    DONE = "Done"
    FAILED = "Failed"


class Jobs:
    """The jobs of a node. A result is stored together with what its handler wants committed with it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._tasks = Tasks()

    async def open(self) -> None:
        """Fail the jobs that an earlier run left unended, and begin to forget the old ones."""
        cut_off = ErrorCode("SYS.1012", "the management node was restarted before this job had ended")
        async with self._database.transaction() as connection:
            unended = update(Job).where(Job.state == JobState.PROCESSING)
            result = to_json({"error": cut_off.to_json()}).decode()
            await connection.execute(unended.values(state=JobState.FAILED, result=result, lastOpDate=self._now()))
        self._tasks.begin(self._purge_for_ever(), "purge of jobs")

    async def close(self) -> None:
        """Cancel what still runs: the next start fails those jobs."""
        await self._tasks.close()

    async def start(self, uuid: str, api_name: str, work: Callable[[], Awaitable[Reply]]) -> None:
        """Store a job and run it. Raises PlainError 400 for a uuid that has been used (wire-protocol 5.5)."""
        job = insert(Job).values(
            uuid=uuid,
            apiMessageName=api_name,
            state=JobState.PROCESSING,
            createDate=self._now(),
            lastOpDate=self._now(),
        )
        try:
            async with self._database.transaction() as connection:
                await connection.execute(job)
        except IntegrityError:
            raise PlainError(400, f"Duplicate job uuid[{uuid}]") from None
        self._tasks.begin(self._run(uuid, api_name, work), f"job {uuid} {api_name}")

    async def _run(self, uuid: str, api_name: str, work: Callable[[], Awaitable[Reply]]) -> None:
        try:
            with correlated(uuid):
                reply = await work()
        except ApiError as failure:
            logger.info("job %s %s failed: %s", uuid, api_name, failure)
            await self._finish(uuid, JobState.FAILED, Reply({"error": failure.error.to_json()}))
        else:
            await self._finish(uuid, JobState.DONE, reply)

    async def _finish(self, uuid: str, state: JobState, reply: Reply) -> None:
        result = to_json({**reply.body, "schema": dict(reply.schema)}).decode()
        async with self._database.transaction() as connection:
            for statement in reply.commit:
                await connection.execute(statement)
            finished = update(Job).where(Job.uuid == uuid)
            await connection.execute(finished.values(state=state, result=result, lastOpDate=self._now()))

    async def poll(self, uuid: str, *, with_schema: bool) -> tuple[int, bytes]:
        """The status and body that a poll answers: 202 `{}`, 200, or 503. Raises PlainError 404."""
        rows = await self._database.read(select(Job.state, Job.result).where(Job.uuid == uuid))
        if not rows:
            raise PlainError(404, "the job has been expired")
        if rows[0].state == JobState.PROCESSING:
            return 202, b"{}"
        body = orjson.loads(rows[0].result)
        if not with_schema or rows[0].state == JobState.FAILED:
            body.pop("schema", None)
        return (200 if rows[0].state == JobState.DONE else 503), to_json(body)

    async def purge(self) -> None:
        """Forget the ended jobs that were begun longer ago than the retention."""
        old = delete(Job).where(Job.state != JobState.PROCESSING, Job.createDate < self._now() - RETENTION_SECONDS)
        async with self._database.transaction() as connection:
            await connection.execute(old)

    async def _purge_for_ever(self) -> None:
        while True:
            await self._clock.sleep(PURGE_EVERY_SECONDS)
            await self.purge()

    def _now(self) -> int:
        return int(self._clock.time())
