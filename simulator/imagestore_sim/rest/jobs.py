"""Jobs: asynchronous calls run as tasks, stored, and polled without a session (wire-protocol 3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from imagestore_sim.clock import Clock
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, StoreUnavailable, Vault
from imagestore_sim.rest.encoding import to_json
from imagestore_sim.rest.errors import ApiError, PlainError, internal_error
from imagestore_sim.rest.job_store import REPLACED, JobAborted, JobResult, JobState, JobStore
from imagestore_sim.rest.messages import Reply
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
POLLS = "api-jobs"
"""The path segment below the version where jobs are polled."""
PURGE_EVERY_SECONDS = 3600
ANSWER_CLASS = "answer"
NO_OWN_CLASS = "base"
"""In the schema of a failed call: ZStack answers with a base class, as it did not reach the API's handler."""
Work = Callable[[], Awaitable[Reply]]
OnEnd = Callable[[JobResult], None]
ObserveJob = Callable[[str, JobState, float], None]
"""Called with the API of a job that has ended, its state, and the seconds it took."""


@dataclass(frozen=True, slots=True)
class _RunningJob:
    """A job that runs. `waits`: its handler writes in more than one transaction."""

    uuid: str
    api_name: str
    waits: bool


class Jobs:
    """The jobs of a node. A result is stored together with what its handler wants committed with it."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        observe: ObserveJob = lambda *_: None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._observe = observe
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self.store = JobStore(database, vault, clock)
        self._tasks = Tasks()

    async def open(self) -> None:
        """Fail the jobs that an earlier run did not finish, and start purging old ones."""
        await self.store.fail_running("the management node was restarted before this job had ended")
        self._start_purging()

    async def fail_running(self) -> None:
        """Store SYS.1012 for every running job: all records are being replaced. Call `cut_off` once committed."""
        await self.store.fail_running(f"the management node's {REPLACED} before this job had ended")

    async def cut_off(self) -> None:
        """Cancel the tasks of all running jobs."""
        await self._tasks.close()
        self._start_purging()

    async def forget(self) -> None:
        """Delete all jobs but those that a replacement of the records cut off: their clients still poll them."""
        await self.store.forget()

    async def close(self) -> None:
        """Cancel the tasks of all running jobs. The next start fails those jobs."""
        await self._tasks.close()

    async def start(
        self, uuid: str, api_name: str, work: Work, on_end: OnEnd | None = None, *, waits: bool = False
    ) -> int:
        """Store a job and run `work` in a task; return when it began, in epoch seconds.

        `on_end` is called once the result is stored. What `work` writes is one transaction with that result, unless it
        `waits`. Raise StoreUnavailable, and PlainError 400 for a uuid that has been used (wire-protocol 5.5).
        """
        began = await self.store.insert(uuid, api_name)
        self._tasks.begin(self._run(_RunningJob(uuid, api_name, waits), work, on_end), f"job {uuid} {api_name}")
        return began

    async def _run(self, job: _RunningJob, work: Work, on_end: OnEnd | None) -> None:
        began = self._clock.monotonic()
        with correlated(job.uuid):
            result = await self._result_of(job, work)
        if result is None:
            return
        self._observe(job.api_name, result.state, self._clock.monotonic() - began)
        if on_end is not None:
            on_end(result)

    async def _result_of(self, job: _RunningJob, work: Work) -> JobResult | None:
        """Do the work, store the result and return it; None for a job that was aborted and has changed nothing."""
        try:
            if job.waits:
                result = JobResult(True, await work())
                await self._finish_surely(job, result)
            else:
                async with self._database.atomic():
                    result = JobResult(True, await work())
                    await self.store.finish(job.uuid, result)
        except JobAborted:
            return None
        except Exception as error:
            return await self._fail(job, error)
        return result

    async def _fail(self, job: _RunningJob, error: Exception) -> JobResult | None:
        """Store an error as the job's result: none of its changes is left, or its handler has undone them."""
        if isinstance(error, ApiError):
            logger.info("job %s %s failed: %s", job.uuid, job.api_name, error)
            failure = error
        elif isinstance(error, StoreUnavailable):
            failure = internal_error(str(error))
        else:
            logger.exception("the result of job %s %s cannot be stored", job.uuid, job.api_name, exc_info=error)
            failure = internal_error(str(error))
        result = failed(failure)
        try:
            await self._finish_surely(job, result)
        except JobAborted:
            return None
        return result

    async def _finish_surely(self, job: _RunningJob, result: JobResult) -> None:
        """Store the result as soon as the store takes it; until then a poll answers that the job still runs."""
        while True:
            try:
                async with self._database.atomic():
                    return await self.store.finish(job.uuid, result)
            except StoreUnavailable:
                await self._database.health.until_next_try()

    async def poll(self, uuid: str, *, with_schema: bool) -> tuple[int, bytes]:
        """Return the status and body that a poll answers: 202 with `{}`, 200, or 503. Raise PlainError 404."""
        job = await self.store.find(uuid)
        if job is None:
            raise PlainError(404, "the job has been expired")
        if job.state == JobState.PROCESSING:
            return 202, b"{}"
        if not with_schema or job.state == JobState.FAILED:
            job.body.pop("schema", None)
        return (200 if job.state == JobState.DONE else 503), to_json(job.body)

    async def purge(self) -> None:
        """Delete the jobs that have ended and are older than three hours."""
        await self.store.purge()

    def _start_purging(self) -> None:
        until_next_purge = partial(self._clock.sleep, PURGE_EVERY_SECONDS)
        self._supervisor.keep(self._tasks, "purge of jobs", until_next_purge, lambda _: self.purge())


def failed(failure: ApiError) -> JobResult:
    """Return the result of a failed call. Its schema names the class of the answer where that is not the API's own."""
    schema = {} if failure.from_handler else {ANSWER_CLASS: NO_OWN_CLASS}
    return JobResult(False, Reply({"error": failure.error.to_json()}, schema))
