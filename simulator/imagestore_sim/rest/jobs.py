"""Jobs: asynchronous calls run as tasks, stored, and polled without a session (wire-protocol 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import NodeLeft, Peers
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, OutcomeUnknown, StoreUnavailable, Vault
from imagestore_sim.faults.exchange import Point
from imagestore_sim.rest.encoding import to_json
from imagestore_sim.rest.errors import ApiError, PlainError, internal_error
from imagestore_sim.rest.faulted_job import FaultedJob
from imagestore_sim.rest.job_store import (
    REPLACED,
    JobAborted,
    JobResult,
    JobState,
    JobStore,
    JobTaken,
    NewJob,
    StoredJob,
)
from imagestore_sim.rest.messages import Reply
from imagestore_sim.rest.running_jobs import RunningJobs
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks, cancel_and_wait, is_being_cancelled
from imagestore_sim.web_server import Connection

logger = logging.getLogger(__name__)
POLLS = "api-jobs"
"""The path segment below the version where jobs are polled."""
PURGE_EVERY_SECONDS = 3600
ANSWER_CLASS = "answer"
NO_OWN_CLASS = "base"
"""In the schema of a failed call: ZStack answers with a base class, as it did not reach the API's handler."""
T = TypeVar("T")
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
    faulted: FaultedJob | None

    @property
    def is_shown(self) -> bool:
        """Whether polls find it while it runs."""
        return self.faulted is None or self.faulted.lost is not Point.BEFORE


class Jobs:
    """The jobs of a node. A result is stored together with what its handler wants committed with it."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        peers: Peers,
        observe: ObserveJob = lambda *_: None,
        supervisor: Supervisor | None = None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refused` is called with the reason when a result is not stored since the job was taken from this node."""
        self._refused = refused
        self._database = database
        self._peers = peers
        self._clock = clock
        self._observe = observe
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self.store = JobStore(database, vault, clock, peers)
        self.running = RunningJobs(clock)
        self._given: set[str] = set()
        """The jobs that are being given to other nodes."""
        self._in_doubt: set[str] = set()
        """The jobs that nothing carries out, and that may be stored all the same."""
        self._carrying: dict[str, asyncio.Task[None]] = {}
        """What carries out, or gives away, each job of this node that has not ended."""
        self._tasks = Tasks()
        self._upkeep = Tasks()
        """What a replacement of the records does not cut off: the purge, and the end of the jobs of lost nodes."""
        peers.on_left(self._node_left)

    async def open(self) -> None:
        """Fail the jobs that an earlier run did not finish, and start purging old ones.

        Where several nodes share the store, they are the jobs of nodes that have left, and an earlier run of this one.
        """
        if self._database.is_shared:
            left = await self.store.other_nodes() - set(self._peers.members)
            for node in sorted({*left, self._peers.uuid}):
                await self._end_jobs_of(node)
        else:
            await self.store.fail_running("the management node was restarted before this job had ended")
        self._start_purging()

    def _node_left(self, node: str) -> None:
        if self._peers.uuid in self._peers.members:  # else it is this node that leaves
            self._upkeep.begin(self._surely(partial(self._end_jobs_of, node)), f"end of the jobs of {node}")

    async def end_left(self) -> None:
        """End the jobs of all nodes that are no members any more. Raise StoreUnavailable.

        A node that dies while it starts was no member that could leave: its earlier start had jobs all the same.
        """
        for node in sorted(await self.store.other_nodes() - set(self._peers.members)):
            await self._end_jobs_of(node)

    async def _end_jobs_of(self, node: str) -> None:
        """End the jobs of a node that has left, if the mode is quick, and let it end none, should it still live.

        In the faithful mode they stay as they are for good: ZStack never ends a job whose node has died.
        """
        if self._peers.quick:
            await self.store.fail_running_of(node)
        else:
            await self.store.take_from(node)

    async def fail_running(self) -> None:
        """Store SYS.1012 for every running job: all records are being replaced. Call `cut_off` once committed."""
        await self.store.fail_running(f"the management node's {REPLACED} before this job had ended")

    async def cut_off(self) -> None:
        """Cancel the tasks of the jobs that have been ended by `fail_running`, here or on another node.

        One that began after that is a job of the new records, and goes on: nothing else would ever end it.
        """
        if carrying := dict(self._carrying):
            going_on = await self._surely(self.store.unfinished)
            await cancel_and_wait(*(task for uuid, task in carrying.items() if uuid not in going_on))

    async def forget(self) -> None:
        """Delete all jobs but those that a replacement of the records cut off: their clients still poll them."""
        await self.store.forget()

    async def close(self) -> None:
        """Cancel the tasks of all running jobs. The next start fails those jobs."""
        await self._tasks.close()
        await self._upkeep.close()

    async def start(
        self,
        uuid: str,
        api_name: str,
        work: Work,
        on_end: OnEnd | None = None,
        *,
        waits: bool = False,
        web_hook: str | None = None,
        faulted: FaultedJob | None = None,
    ) -> int:
        """Store a job and run `work` in a task; return when it began, in epoch seconds.

        `on_end` is called once the result is stored; what fails the job in place of its work, at another node or after
        a restart, posts that to the URL `web_hook`. What `work` writes is one transaction with the result, unless it
        `waits` or has met faults: `faulted` is what they do to it. Raise StoreUnavailable, and PlainError 400 for a
        uuid that has been used (wire-protocol 5.5).
        """
        job = _RunningJob(uuid, api_name, waits, faulted)
        if faulted is not None and faulted.lost is not None:
            web_hook = None
        began = await self._insert(NewJob(uuid, api_name, web_hook, lost=not job.is_shown))
        self._begin(job, work, on_end)
        return began

    async def hand_over(
        self,
        uuid: str,
        api_name: str,
        work: Work,
        on_end: OnEnd | None = None,
        *,
        waits: bool = False,
        web_hook: str | None = None,
        node: str,
        give: Callable[[], Awaitable[str | None]],
    ) -> int:
        """Store a job that `node` carries out; return when it began, in epoch seconds.

        `give` gives it to that node, and returns why that is not possible, or None; it raises NodeLeft for a node that
        leaves. Then the job is carried out here, with what `start` takes. Until it is taken, it is a job of this node:
        if that ends before, the job ends as its others do. Raise what `start` raises.
        """
        began = await self._insert(NewJob(uuid, api_name, web_hook, given_to=node))
        self._given.add(uuid)
        job = _RunningJob(uuid, api_name, waits, None)
        self._carry(uuid, self._give(job, node, give, work, on_end), f"job {uuid} {api_name} for {node}")
        return began

    async def _insert(self, job: NewJob) -> int:
        """Store a new job; see `JobStore.insert`. One that may be stored, and does not begin, is deleted later."""
        uuid = job.uuid
        if uuid in self._in_doubt:
            raise StoreUnavailable(f"whether a job {uuid} was stored before is not known yet")
        try:
            return await self.store.insert(job)
        except OutcomeUnknown:
            self._in_doubt.add(uuid)
            self._upkeep.begin(self._drop_unbegun(uuid), f"removal of job {uuid}, which has not begun")
            raise

    async def _drop_unbegun(self, uuid: str) -> None:
        try:
            await self._surely(partial(self.store.drop_unbegun, uuid))
        finally:
            self._in_doubt.discard(uuid)

    async def _give(
        self,
        job: _RunningJob,
        node: str,
        give: Callable[[], Awaitable[str | None]],
        work: Work,
        on_end: OnEnd | None,
    ) -> None:
        """Give a job to a node. If that leaves and has not taken it, carry it out here."""
        try:
            if (problem := await give()) is not None:
                await self._surely(partial(self.store.fail_untaken, job.uuid, problem))
            return
        except NodeLeft as left:
            if not await self._surely(partial(self.store.take_back, job.uuid, node)):
                return
            logger.info("job %s %s is carried out here: %s", job.uuid, job.api_name, left)
        finally:
            self._given.discard(job.uuid)
        await self._run(job, work, on_end)

    async def take(
        self, uuid: str, api_name: str, giver: str, work: Work, on_end: OnEnd | None, *, waits: bool
    ) -> None:
        """Carry out a job that the node `giver` has stored, unless it has been ended; see `start`."""
        if await self._surely(partial(self.store.take_over, uuid, giver)):
            self._begin(_RunningJob(uuid, api_name, waits, None), work, on_end)

    def _begin(self, job: _RunningJob, work: Work, on_end: OnEnd | None) -> None:
        self._carry(job.uuid, self._run(job, work, on_end), f"job {job.uuid} {job.api_name}")

    def _carry(self, uuid: str, work: Coroutine[object, object, None], name: str) -> None:
        task = self._carrying[uuid] = self._tasks.begin(work, name)
        task.add_done_callback(partial(self._put_down, uuid))

    def _put_down(self, uuid: str, task: asyncio.Task[None]) -> None:
        if self._carrying.get(uuid) is task:
            del self._carrying[uuid]

    async def _run(self, job: _RunningJob, work: Work, on_end: OnEnd | None) -> None:
        began = self._clock.monotonic()
        with self.running.running(job.uuid), correlated(job.uuid):
            try:
                result = await self._result_of(job, work)
            except asyncio.CancelledError:
                if is_being_cancelled():
                    raise
                result = await self._stored(job, failed(internal_error("what the job waited for was cancelled")))
        if result is None:
            return
        self._observe(job.api_name, result.state, self._clock.monotonic() - began)
        if on_end is not None:
            on_end(result)

    async def _result_of(self, job: _RunningJob, work: Work) -> JobResult | None:
        """Do the work, store the result and return it; None for a job that was aborted and has changed nothing."""
        if job.faulted is not None:
            return await self._faulted_result(job, job.faulted, work)
        try:
            if job.waits:
                return await self._finish_surely(job, JobResult(True, await work()))
            return await self._database.atomically(partial(self._worked_and_stored, job, work))
        except JobAborted as aborted:
            self._note(aborted)
            return None
        except Exception as error:
            return await self._fail(job, error)

    async def _worked_and_stored(self, job: _RunningJob, work: Work) -> JobResult:
        result = JobResult(True, await work())
        await self.store.finish(job.uuid, result)
        return result

    async def _fail(self, job: _RunningJob, error: Exception) -> JobResult | None:
        """Store an error as the job's result: none of its changes is left, or its handler has undone them.

        Where that is not known, its changes may be stored, and its result with them: then return that.
        """
        return await self._stored(job, _failure(job, error), in_doubt=isinstance(error, OutcomeUnknown))

    async def _stored(self, job: _RunningJob, result: JobResult, *, in_doubt: bool = False) -> JobResult | None:
        """Store a result as soon as the store takes it, and return it; None for a job that was aborted."""
        try:
            return await self._finish_surely(job, result, in_doubt=in_doubt)
        except JobAborted as aborted:
            self._note(aborted)
            return None

    def _note(self, aborted: JobAborted) -> None:
        if isinstance(aborted, JobTaken):
            self._refused(str(aborted))

    async def _faulted_result(self, job: _RunningJob, faulted: FaultedJob, work: Work) -> JobResult | None:
        """Do the work and store its changes; store the result apart from them, as the faults want it.

        Return the result, None for a job that has none: it was aborted, or is lost.
        """
        try:
            await faulted.pass_point(Point.BEFORE)
            result = JobResult(True, await self._changes_of(job, work))
            await faulted.pass_point(Point.AFTER)
        except JobAborted as aborted:
            self._note(aborted)
            return None
        except Exception as error:
            result = _failure(job, error)
        if faulted.lost is None:
            return await self._stored(job, result)
        await self._surely(partial(self.store.drop, job.uuid, lost=not job.is_shown))
        return None

    async def _changes_of(self, job: _RunningJob, work: Work) -> Reply:
        """Do the work of a job, store all that it changes, and return its reply. Raise JobAborted, ApiError."""
        if job.waits:
            reply = await work()
            await self._surely(partial(self.store.commit, reply))
        else:
            reply = await self._database.atomically(partial(self._worked_and_committed, job, work))
        return replace(reply, commit=())

    async def _worked_and_committed(self, job: _RunningJob, work: Work) -> Reply:
        if job.is_shown:
            await self.store.require_running(job.uuid)
        reply = await work()
        await self.store.commit(reply)
        return reply

    async def _finish_surely(self, job: _RunningJob, result: JobResult, *, in_doubt: bool = False) -> JobResult:
        """Store the result as soon as the store takes it; until then a poll answers that the job still runs.

        Return it, or the one that an earlier commit has stored whose outcome was `in_doubt`. Raise JobAborted.
        """
        while True:
            try:
                async with self._database.atomic():
                    await self.store.finish(job.uuid, result)
                return result
            except StoreUnavailable as error:
                in_doubt = in_doubt or isinstance(error, OutcomeUnknown)
                await self._database.health.until_next_try()
            except JobTaken:
                raise
            except JobAborted:
                stored = await self._surely(partial(self.store.result_of, job.uuid)) if in_doubt else None
                if stored is None:
                    raise
                return stored

    async def _surely(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write in one transaction, as soon as the store takes it."""

        async def write_it() -> T:
            async with self._database.atomic():
                return await write()

        return await self._database.health.insist(write_it)

    async def find_for_poll(self, uuid: str, connection: Connection | None) -> StoredJob | None:
        """Return the job of that uuid, None if it is unknown or purged. Wait a moment for the end of one that runs."""
        job = await self.store.find(uuid)
        if job is None or job.state != JobState.PROCESSING:
            return job
        runs_elsewhere = job.node not in (None, self._peers.uuid) or uuid in self._given
        if self._peers.is_alone or not runs_elsewhere:
            return await self.store.find(uuid) if await self.running.wait_for_end(uuid, connection) else job
        return await self.running.wait_for_end_elsewhere(job, partial(self.store.find, uuid), connection)

    async def poll(self, uuid: str, connection: Connection | None = None, *, with_schema: bool) -> tuple[int, bytes]:
        """Return the status and body that a poll answers: 202 with `{}`, 200, or 503. Raise PlainError 404."""
        job = await self.find_for_poll(uuid, connection)
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
        self._supervisor.keep(self._upkeep, "purge of jobs", until_next_purge, lambda _: self.purge())


def _failure(job: _RunningJob, error: Exception) -> JobResult:
    """Return the result of a job whose work raised an error, and log that."""
    if isinstance(error, ApiError):
        logger.info("job %s %s failed: %s", job.uuid, job.api_name, error)
        return failed(error)
    if not isinstance(error, StoreUnavailable):
        logger.exception("the result of job %s %s cannot be stored", job.uuid, job.api_name, exc_info=error)
    return failed(internal_error(str(error)))


def failed(failure: ApiError) -> JobResult:
    """Return the result of a failed call. Its schema names the class of the answer where that is not the API's own."""
    schema = {} if failure.from_handler else {ANSWER_CLASS: NO_OWN_CLASS}
    return JobResult(False, Reply({"error": failure.error.to_json()}, schema))
