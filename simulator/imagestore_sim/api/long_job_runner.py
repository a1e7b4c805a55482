"""Runs long jobs: each is an API that is carried out after the call that submitted it was answered (observed 14)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import orjson
from sqlalchemy import ColumnElement, Row, SQLColumnExpression, and_, literal, select, update

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import Peers, has_left
from imagestore_sim.correlation import correlated
from imagestore_sim.database import Database, OutcomeUnknown, StoreUnavailable
from imagestore_sim.database.models import Image, LongJob
from imagestore_sim.images.bits import install_path
from imagestore_sim.images.images import Images
from imagestore_sim.images.rows import READY
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.identity import Claim, Identity
from imagestore_sim.rest.messages import Message, Reply
from imagestore_sim.tasks import Tasks, cancel_and_wait

RUNNING, SUSPENDED = "Running", "Suspended"
SUCCEEDED, FAILED = "Succeeded", "Failed"
CANCELING, CANCELED = "Canceling", "Canceled"
ENDED = (SUCCEEDED, CANCELED, FAILED)
ADD_IMAGE = "APIAddImageMsg"
UPLOADING = "Downloading"
RESTARTED = ErrorCode("SYS.1012", "the management node was restarted before this job had ended")
CANCELLED = "long job[uuid:{}] has been canceled"
INTERRUPTED = (
    "some error interrupt long job[uuid:{}], analysis the cause to fix it and resume long job if you want to continue."
)
CarryOut = Callable[[type[Message], Values, str, Claim], Awaitable[Reply]]
"""Carries out a message with its values, for a call of this uuid, as this caller; see `rest.dispatch`."""
CancelElsewhere = Callable[[str], Awaitable[None]]
"""Cancels what other nodes carry out for a call of this uuid, and waits for its end."""


class Gone(Exception):
    """The job is another's by now: what it writes must not be kept.

    It was deleted, all records were replaced, or another node took this one for dead and ended it, while it ran.
    """


@dataclass(frozen=True, slots=True)
class Work:
    """What a long job does: a message with its values, as an account."""

    job_uuid: str
    call_uuid: str
    """The call that began it, the `apiId` of its row: a job that is run again is another one's."""
    message: type[Message]
    values: Values
    account_uuid: str

    @property
    def caller(self) -> Identity:
        """The account that submitted it."""
        return Identity(self.account_uuid, self.account_uuid)


class LongJobRunner:
    """The tasks of long jobs, and their end in the database."""

    def __init__(self, database: Database, clock: Clock, images: Images, peers: Peers) -> None:
        self._peers = peers
        self._database = database
        self._images = images
        self._clock = clock
        self._tasks = Tasks()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[asyncio.Task[None]] = set()
        self._carry_out: CarryOut | None = None
        self._cancel_elsewhere: CancelElsewhere | None = None

    def serve(self, carry_out: CarryOut, cancel_elsewhere: CancelElsewhere) -> None:
        """Take what carries out messages: it is wired after the services that it needs, of which this is one."""
        self._carry_out, self._cancel_elsewhere = carry_out, cancel_elsewhere

    async def open(self) -> None:
        """End the jobs that an earlier run has left: those that run fail, those that are cancelled are Canceled.

        A job whose image still waits for its upload goes on. Of several nodes, each ends its own, and those that
        others have left.
        """
        await self._end_cut_off(has_left(LongJob.managementNodeUuid) | (LongJob.managementNodeUuid == self._peers.uuid))

    async def end_left(self) -> None:
        """Do that with the jobs whose nodes have left."""
        await self._end_cut_off(has_left(LongJob.managementNodeUuid))

    async def _end_cut_off(self, left: ColumnElement[bool]) -> None:
        uploads = select(Image.uuid).where(Image.status == UPLOADING, Image.addedByJob.is_(None), adds(Image.uuid))
        now = {"lastOpDate": self._clock.local(), "executeTime": 1}
        result = orjson.dumps(RESTARTED.to_json()).decode()
        async with self._database.transaction() as connection:
            waiting = uploads.exists()
            cut_off = update(LongJob).where(LongJob.state.in_((RUNNING, SUSPENDED)), ~waiting, left)
            await connection.execute(cut_off.values(state=FAILED, jobResult=result, **now))
            cancelled = update(LongJob).where(LongJob.state == CANCELING, ~waiting, left)
            await connection.execute(cancelled.values(state=CANCELED, **now))

    async def follow_cancels(self) -> None:
        """Cancel the jobs that run here and were cancelled at another node. Raise StoreUnavailable."""
        if self._running:
            canceling = select(LongJob.uuid).where(LongJob.state == CANCELING, LongJob.uuid.in_(self._running))
            for row in await self._database.read(canceling):
                self.cancel(row.uuid)

    async def cut_off(self) -> None:
        """Cancel the tasks of the jobs that are no records any more, since all were replaced; one begun since goes on.

        Raise StoreUnavailable.
        """
        if running := dict(self._running):
            rows = await self._database.read(select(LongJob.uuid).where(LongJob.uuid.in_(running)))
            there = {row.uuid for row in rows}
            await cancel_and_wait(*(task for uuid, task in running.items() if uuid not in there))

    async def close(self) -> None:
        """Cancel the tasks of all jobs that run. The next start ends those jobs."""
        await self._tasks.close()

    async def upload_ended(
        self,
        image_uuid: str,
        error: ErrorCode | None,
        changes: dict[str, object],
        *,
        states: tuple[str, ...] = (RUNNING, SUSPENDED, CANCELING),
    ) -> None:
        """End the job that adds an image, in the caller's transaction; `changes` are those of its inventory.

        Leave it in other states: one that is cancelled on a simulator storage waits to be cleaned (call 12253).
        """
        async with self._database.transaction() as connection:
            waits = (adds(image_uuid), LongJob.state.in_(states))
            job = (await connection.execute(select(LongJob.__table__).where(*waits))).first()
            if job is None:
                return
            if error is None:
                state, result = SUCCEEDED, _uploaded(job.jobResult, changes)
            elif job.state == CANCELING:
                state, result = CANCELED, ErrorCode("SYS.1017", CANCELLED.format(job.uuid)).to_json()
            else:
                state, result = FAILED, error.to_json()
            now = self._clock.local()
            ended = {"state": state, "executeTime": seconds_since(job.createDate, now), "lastOpDate": now}
            row = {"jobResult": orjson.dumps(result).decode(), **ended}
            await connection.execute(update(LongJob).where(LongJob.uuid == job.uuid).values(**row))

    async def upload_suspended(self, image_uuid: str, error: ErrorCode) -> bool:
        """Suspend the job that adds an image; return False if none runs. It may be done again."""
        async with self._database.transaction() as connection:
            runs = (adds(image_uuid), LongJob.state.in_((RUNNING, SUSPENDED)))
            uuid = await connection.scalar(select(LongJob.uuid).where(*runs))
            interrupted = ErrorCode("LONG_JOB.1002", INTERRUPTED.format(uuid), cause=error, looked_up=False)
            result = orjson.dumps(interrupted.to_json()).decode()
            values = {"state": SUSPENDED, "jobResult": result, "lastOpDate": self._clock.local()}
            await connection.execute(update(LongJob).where(*runs).values(**values))
        return uuid is not None

    async def is_suspended(self, image_uuid: str) -> bool:
        """Return whether the job that adds an image is Suspended."""
        return await self._is_in(image_uuid, SUSPENDED)

    async def is_cancelled(self, image_uuid: str) -> bool:
        """Return whether the job that adds an image is Canceling."""
        return await self._is_in(image_uuid, CANCELING)

    async def _is_in(self, image_uuid: str, state: str) -> bool:
        these = (adds(image_uuid), LongJob.state == state)
        return bool(await self._database.read(select(LongJob.uuid).where(*these)))

    async def check(self, message: type[Message], values: Values, call_uuid: str, account_uuid: str) -> None:
        """Validate a message as its own API does, without carrying it out. Raise ApiError."""
        tags = values.get("systemTags")
        only = {**values, "systemTags": [*(tags if isinstance(tags, list) else ()), "validationOnly"]}
        await self._dispatch(message, only, call_uuid, Identity(account_uuid, account_uuid))

    def start(self, work: Work) -> None:
        """Carry out the work of a job, whose row says that it runs."""
        task = self._running[work.job_uuid] = self._tasks.begin(self._run(work), f"long job {work.job_uuid}")
        task.add_done_callback(partial(self._put_down, work.job_uuid))

    def cancel(self, job_uuid: str) -> None:
        """Cancel the task of a job, if one runs; with its end the job is Canceled.

        It is cancelled once: another time would break off what undoes its work.
        """
        if (task := self._running.get(job_uuid)) is not None and task not in self._cancelled:
            self._cancelled.add(task)
            task.cancel()

    async def _run(self, work: Work) -> None:
        try:
            with correlated(work.job_uuid):
                await self._carry_out_unless_cancelled(work)
        except Gone:
            return

    async def _carry_out_unless_cancelled(self, work: Work) -> None:
        try:
            await self._carry_out_and_store(work)
        except asyncio.CancelledError:
            if asyncio.current_task() not in self._cancelled:
                raise  # the node stops
            assert self._cancel_elsewhere is not None, "what carries out messages is wired with it"
            await self._cancel_elsewhere(work.job_uuid)
            await self._images.undo(work.job_uuid)
            error = ErrorCode("SYS.1017", CANCELLED.format(work.job_uuid))
            await self._fail(work, CANCELED, error)

    def _put_down(self, job_uuid: str, task: asyncio.Task[None]) -> None:
        self._cancelled.discard(task)
        if self._running.get(job_uuid) is task:
            del self._running[job_uuid]

    async def _carry_out_and_store(self, work: Work) -> None:
        try:
            if work.message.waits:
                reply = await self._dispatch(work.message, work.values, work.job_uuid, work.caller)
                # Nothing undoes what the handler has written.
                await self._store_surely(work, partial(self._succeed, work, reply))
            else:
                async with self._database.atomic():
                    reply = await self._dispatch(work.message, work.values, work.job_uuid, work.caller)
                    await self._succeed(work, reply)
        except ApiError as error:
            await self._fail(work, FAILED, error.error)
        except StoreUnavailable as error:
            in_doubt = isinstance(error, OutcomeUnknown)
            await self._fail(work, FAILED, ErrorCode("SYS.1000", str(error), looked_up=False), in_doubt=in_doubt)

    async def _dispatch(self, message: type[Message], values: Values, uuid: str, caller: Identity) -> Reply:
        if self._carry_out is None:
            raise RuntimeError("nothing carries out messages yet")
        return await self._carry_out(message, values, uuid, caller)

    async def _succeed(self, work: Work, reply: Reply) -> None:
        """Store the answer, and what its handler wants stored with it.

        A job whose image waits for its upload has its answer, and goes on (recorded call 12168).
        """
        async with self._database.transaction() as connection:
            for statement in reply.commit:
                await connection.execute(statement)
        inventory = reply.body.get("inventory")
        uploading = isinstance(inventory, dict) and inventory.get("status") == UPLOADING
        milliseconds = int(self._clock.time() * 1000)
        described: dict[str, object] = {"apiId": work.call_uuid, "success": True, "headers": {}}
        result = {**reply.body, **described, "id": work.job_uuid, "createdTime": milliseconds}
        await self._end(work, None if uploading else SUCCEEDED, result)

    async def _fail(self, work: Work, state: str, error: ErrorCode, *, in_doubt: bool = False) -> None:
        """Store an error as soon as the store takes it; leave an answer alone that may be stored, if one is."""
        await self._store_surely(work, partial(self._end, work, state, error.to_json()), in_doubt=in_doubt)

    async def _store_surely(self, work: Work, store: Callable[[], Awaitable[None]], *, in_doubt: bool = False) -> None:
        """Store how a job ended in one transaction, as soon as the store takes it.

        `in_doubt`: an earlier commit may have stored it; then leave what is there.
        """
        while True:
            try:
                if not (in_doubt and await self._has_result(work)):
                    async with self._database.atomic():
                        await store()
                return
            except StoreUnavailable as error:
                in_doubt = in_doubt or isinstance(error, OutcomeUnknown)
                await self._database.health.until_next_try()

    async def _end(self, work: Work, state: str | None, result: object) -> None:
        """Store a result, and the state if the job has ended. Raise Gone if the job has been ended, or is no more."""
        now = self._clock.local()
        values: dict[str, object] = {"jobResult": orjson.dumps(result).decode(), "lastOpDate": now}
        async with self._database.transaction() as connection:
            runs = (*_of(work), LongJob.state.not_in(ENDED))
            began = await connection.scalar(select(LongJob.createDate).where(*runs))
            if began is not None and state is not None:
                values |= {"state": state, "executeTime": seconds_since(began, now)}
            if began is None or not (await connection.execute(update(LongJob).where(*runs).values(**values))).rowcount:
                raise Gone

    async def _has_result(self, work: Work) -> bool:
        has = (*_of(work), LongJob.jobResult.is_not(None))
        return bool(await self._database.read(select(LongJob.uuid).where(*has)))


def adds(image: str | SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Return the condition of the jobs that add an image, by its uuid.

    Others may be about it: its exports are, and a client may name any resource as the target of its job.
    """
    key = literal('"resourceUuid":"').concat(image).concat('"')
    return and_(LongJob.jobName == ADD_IMAGE, LongJob.jobData.contains(key))


def image_added_by(job: Row[tuple[LongJob]]) -> str | None:
    """Return the uuid of the image that a job adds; None if it adds none."""
    given: str | None = orjson.loads(job.jobData).get("resourceUuid") if job.jobName == ADD_IMAGE else None
    return given


def _of(work: Work) -> tuple[ColumnElement[bool], ...]:
    return LongJob.uuid == work.job_uuid, LongJob.apiId == work.call_uuid


def _uploaded(result: str | None, changes: dict[str, object]) -> object:
    """Return the result of a job whose image has come: the inventory of its beginning, with what has changed."""
    told = orjson.loads(result or "{}")
    inventory = told.get("inventory", {})
    inventory |= changes
    for ref in inventory.get("backupStorageRefs", ()):
        if ref["installPath"].startswith("http"):
            ref |= {"installPath": install_path(ref["imageUuid"]), "status": READY}
    return told


def seconds_since(began: datetime, now: datetime) -> int:
    """Return how long a job took, in whole seconds; one at least, as in ZStack."""
    return max(1, int((now - began).total_seconds()))
