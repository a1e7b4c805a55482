"""Asynchronous calls: run as tasks, kept in the database, polled without a session (wire-protocol 3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import orjson
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagestore_sim.clock import Clock
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, StoreUnavailable, Vault
from imagestore_sim.database.models import Job
from imagestore_sim.rest.encoding import to_json
from imagestore_sim.rest.errors import ApiError, ErrorCode, PlainError, internal_error
from imagestore_sim.rest.messages import Reply
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
POLLS = "api-jobs"
"""Where jobs are polled."""
RETENTION_SECONDS = 10_800
PURGE_EVERY_SECONDS = 3600


REPLACED = "records were replaced"


class JobState(StrEnum):
    """How far a job is."""

    PROCESSING = "Processing"
    DONE = "Done"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: its body, and the schema that goes into it where a client asks for one."""

    success: bool
    reply: Reply

    @property
    def state(self) -> JobState:
        """As it is stored."""
        return JobState.DONE if self.success else JobState.FAILED

    def body(self, *, with_schema: bool) -> bytes:
        """What polling answers."""
        if with_schema and self.success:
            return to_json({**self.reply.body, "schema": dict(self.reply.schema)})
        return to_json(dict(self.reply.body))


@dataclass(frozen=True, slots=True)
class Found:
    """A job as it is stored: `body` is empty until it has ended; times in epoch seconds."""

    message: str
    state: JobState
    body: dict[str, object]
    began: int
    ended: int


OnEnd = Callable[[Ended], None]
Observe = Callable[[str, "JobState", float], None]
"""Is told the API of a job that has ended, how it ended, and the seconds it took."""
WITHOUT_RESULT = "{}"
ANSWER_CLASS = "answer"
NO_OWN_CLASS = "base"
"""In the schema of a failed call: ZStack answered it before it came to the API's handler, with a base class."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job that runs."""

    uuid: str
    api_name: str
    waits: bool


class _CutOff(Exception):
    """A job was ended by somebody else, who replaced all records: what it was going to change is no more."""


class Jobs:
    """The jobs of a node. A result is stored together with what its handler wants committed with it."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        observe: Observe = lambda *_: None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._observe = observe
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._tasks = Tasks()

    async def open(self) -> None:
        """Fail the jobs that an earlier run left unended, and begin to forget the old ones."""
        await self._fail_unended("the management node was restarted before this job had ended")
        self._begin_to_purge()

    async def fail_running(self) -> None:
        """Store that what runs has failed, as all records are replaced; `cut_off` follows once that is committed."""
        await self._fail_unended(f"the management node's {REPLACED} before this job had ended")

    async def cut_off(self) -> None:
        """Cancel what runs."""
        await self._tasks.close()
        self._begin_to_purge()

    async def forget(self) -> None:
        """Forget all jobs but those that were cut off by a replacement: somebody still waits for these."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Job).where(Job.result.not_like(f"%{REPLACED}%")))

    async def _fail_unended(self, why: str) -> None:
        cut_off = ErrorCode("SYS.1012", why)
        async with self._database.transaction() as connection:
            unended = update(Job).where(Job.state == JobState.PROCESSING)
            result = to_json({"error": cut_off.to_json()}).decode()
            await connection.execute(unended.values(state=JobState.FAILED, result=result, lastOpDate=self._now()))

    async def close(self) -> None:
        """Cancel what still runs: the next start fails those jobs."""
        await self._tasks.close()

    async def start(
        self,
        uuid: str,
        api_name: str,
        work: Callable[[], Awaitable[Reply]],
        on_end: OnEnd | None = None,
        *,
        waits: bool = False,
    ) -> int:
        """Store a job and run it; answers when it began. `on_end` is called once its result is stored.

        What `work` writes is one transaction with that result, unless it `waits`. Raises
        StoreUnavailable, and PlainError 400 for a uuid that has been used (wire-protocol 5.5).
        """
        began = self._now()
        job = insert(Job).values(
            uuid=uuid,
            apiMessageName=api_name,
            state=JobState.PROCESSING,
            createDate=began,
            lastOpDate=began,
        )
        try:
            async with self._database.transaction() as connection:
                await connection.execute(job)
        except IntegrityError:
            raise _duplicate(uuid) from None
        self._tasks.begin(self._run(_Begun(uuid, api_name, waits), work, on_end), f"job {uuid} {api_name}")
        return began

    async def _run(self, job: _Begun, work: Callable[[], Awaitable[Reply]], on_end: OnEnd | None) -> None:
        began = self._clock.monotonic()
        with correlated(job.uuid):
            ended = await self._end_of(job, work)
        if ended is None:
            return
        self._observe(job.api_name, ended.state, self._clock.monotonic() - began)
        if on_end is not None:
            on_end(ended)

    async def _end_of(self, job: _Begun, work: Callable[[], Awaitable[Reply]]) -> Ended | None:
        """Do the work and store how it ended; None for a job that was cut off meanwhile, and has changed nothing."""
        try:
            if job.waits:
                ended = Ended(True, await work())
                await self._finish_surely(job, ended)
            else:
                async with self._database.atomic():
                    ended = Ended(True, await work())
                    await self._finish(job, ended)
        except _CutOff:
            return None
        except Exception as error:
            return await self._fail(job, error)
        return ended

    async def _fail(self, job: _Begun, error: Exception) -> Ended | None:
        """Store that a job failed: nothing of it was committed, or its handler has undone what was."""
        if isinstance(error, ApiError):
            logger.info("job %s %s failed: %s", job.uuid, job.api_name, error)
            failure = error
        elif isinstance(error, StoreUnavailable):
            failure = internal_error(str(error))
        else:
            logger.exception("the result of job %s %s cannot be stored", job.uuid, job.api_name, exc_info=error)
            failure = internal_error(str(error))
        ended = failed(failure)
        try:
            await self._finish_surely(job, ended)
        except _CutOff:
            return None
        return ended

    async def _finish_surely(self, job: _Begun, ended: Ended) -> None:
        """Store the result as soon as the store takes it: until then the job is polled as one that goes on."""
        while True:
            try:
                async with self._database.atomic():
                    return await self._finish(job, ended)
            except StoreUnavailable:
                await self._database.health.until_next_try()

    async def _finish(self, job: _Begun, ended: Ended) -> None:
        reply = ended.reply
        result = to_json({**reply.body, "schema": dict(reply.schema)}).decode()
        if reply.secret:
            result = self._vault.encrypt(result)
        async with self._database.transaction() as connection:
            for statement in reply.commit:
                await connection.execute(statement)
            unended = update(Job).where(Job.uuid == job.uuid, Job.state == JobState.PROCESSING)
            stored = await connection.execute(unended.values(state=ended.state, result=result, lastOpDate=self._now()))
            if not stored.rowcount:
                raise _CutOff

    async def find(self, uuid: str) -> Found | None:
        """The job of that uuid, if there is one and its time is not over; its schema stands in its body."""
        rows = await self._database.read(select(Job).where(Job.uuid == uuid))
        if not rows:
            return None
        row = rows[0]
        result = row.result or WITHOUT_RESULT
        body: dict[str, object] = orjson.loads(result if result.startswith("{") else self._vault.decrypt(result))
        return Found(row.apiMessageName, JobState(row.state), body, row.createDate, row.lastOpDate)

    async def refuse_duplicate(self, uuid: str) -> None:
        """Raises PlainError 400 for a uuid that has been used (wire-protocol 5.5)."""
        if await self._database.read(select(Job.uuid).where(Job.uuid == uuid)):
            raise _duplicate(uuid)

    async def poll(self, uuid: str, *, with_schema: bool) -> tuple[int, bytes]:
        """The status and body that a poll answers: 202 `{}`, 200, or 503. Raises PlainError 404."""
        job = await self.find(uuid)
        if job is None:
            raise PlainError(404, "the job has been expired")
        if job.state == JobState.PROCESSING:
            return 202, b"{}"
        if not with_schema or job.state == JobState.FAILED:
            job.body.pop("schema", None)
        return (200 if job.state == JobState.DONE else 503), to_json(job.body)

    async def purge(self) -> None:
        """Forget the ended jobs that were begun longer ago than the retention."""
        old = delete(Job).where(Job.state != JobState.PROCESSING, Job.createDate < self._now() - RETENTION_SECONDS)
        async with self._database.transaction() as connection:
            await connection.execute(old)

    def _begin_to_purge(self) -> None:
        self._supervisor.keep(
            self._tasks, "purge of jobs", partial(self._clock.sleep, PURGE_EVERY_SECONDS), lambda _: self.purge()
        )

    def _now(self) -> int:
        return int(self._clock.time())


def failed(failure: ApiError) -> Ended:
    """How a call ends that failed; names the class of the answer where that is not the API's own."""
    schema = {} if failure.from_handler else {ANSWER_CLASS: NO_OWN_CLASS}
    return Ended(False, Reply({"error": failure.error.to_json()}, schema))


def _duplicate(uuid: str) -> PlainError:
    return PlainError(400, f"Duplicate job uuid[{uuid}]")
