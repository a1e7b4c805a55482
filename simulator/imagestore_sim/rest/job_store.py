"""Jobs as they are stored: one row each, with the result once the job has ended (wire-protocol 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.cluster import NodeGone, Peers, has_left
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.models import Job
from imagestore_sim.rest.encoding import to_json
from imagestore_sim.rest.errors import ErrorCode, PlainError
from imagestore_sim.rest.messages import Reply

RETENTION_SECONDS = 10_800
NO_RESULT = "{}"
REPLACED = "records were replaced"
"""Part of the error of a job that was cut off because all records were replaced."""


class JobState(StrEnum):
    """The state of a job."""

    PROCESSING = "Processing"
    DONE = "Done"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended. The schema goes into the body where a client asks for one."""

    success: bool
    reply: Reply

    @property
    def state(self) -> JobState:
        """Return the state that is stored."""
        return JobState.DONE if self.success else JobState.FAILED

    def body(self, *, with_schema: bool) -> bytes:
        """Return the body that a poll answers, as JSON."""
        if with_schema and self.success:
            return to_json({**self.reply.body, "schema": dict(self.reply.schema)})
        return to_json(dict(self.reply.body))


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job's row. `body` is empty until the job has ended; `began` and `ended` are in epoch seconds.

    `node` is the node that carries it out; None for one that has left.
    """

    message: str
    state: JobState
    body: dict[str, object]
    began: int
    ended: int
    node: str | None

    @property
    def result(self) -> JobResult:
        """How it ended, if it has."""
        body = {name: value for name, value in self.body.items() if name != "schema"}
        schema = self.body.get("schema")
        return JobResult(self.state is JobState.DONE, Reply(body, schema if isinstance(schema, dict) else {}))


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store. `web_hook` is the URL that its end is posted to; nobody is shown one that is `lost`.

    `given_to` is another node, which may take it.
    """

    uuid: str
    message: str
    web_hook: str | None = None
    lost: bool = False
    given_to: str | None = None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that has ended in place of what carried it out, and the URL that this is posted to."""

    uuid: str
    message: str
    web_hook: str
    result: JobResult


IS_SHOWN = Job.lost.is_not(True)
"""The condition of the jobs that are shown: a fault has lost the others, though they run."""
_OF_UUID = select(Job).where(Job.uuid == bindparam("of_uuid"), IS_SHOWN)


class JobAborted(Exception):
    """The job was ended from outside, by the replacement of all records: what it writes must not be kept."""


class JobTaken(JobAborted):
    """The other nodes took this one for dead, and have ended the job, or left it for good."""


class JobStore:
    """The table of jobs."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, peers: Peers) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._peers = peers
        self.on_failed: Callable[[FailedJob], None] = lambda _: None
        """Called with each job that has a web hook and is failed here, once that is committed: at no other node."""

    async def insert(self, job: NewJob) -> int:
        """Store a new job of this node; return when it began, in epoch seconds.

        Raise PlainError 400 for a uuid that has been used (wire-protocol 5.5), StoreUnavailable, and OutcomeUnknown.
        """
        began = self.now()
        values = {
            "uuid": job.uuid,
            "apiMessageName": job.message,
            "state": JobState.PROCESSING,
            "createDate": began,
            "lastOpDate": began,
            "managementNodeUuid": self._peers.uuid,
            "givenTo": job.given_to,
            "webHook": job.web_hook,
            "lost": job.lost or None,
        }
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(Job).values(**values))
        except IntegrityError:
            await self._replace(job.uuid, values)
        return began

    async def _replace(self, uuid: str, values: Mapping[str, object]) -> None:
        """Store a new job in place of one that is lost, or was cut off: a reset has the same uuids drawn once more.

        Raise PlainError 400 if there is another one.
        """
        async with self._database.transaction() as connection:
            old = update(Job).where(Job.uuid == uuid, or_(Job.lost.is_(True), Job.result.like(f"%{REPLACED}%")))
            if not (await connection.execute(old.values(**values, result=None))).rowcount:
                raise _duplicate(uuid)

    async def finish(self, uuid: str, result: JobResult) -> None:
        """Store a job's result and execute its reply's statements, in one transaction.

        A secret result is stored encrypted. Raise JobAborted if the job does not run any more, or not on this node.
        """
        reply = result.reply
        text = to_json({**reply.body, "schema": dict(reply.schema)}).decode()
        if reply.secret:
            text = self._vault.encrypt(text)
        async with self._database.transaction() as connection:
            for statement in reply.commit:
                await connection.execute(statement)
            running = update(Job).where(Job.uuid == uuid, *self._runs_on(self._peers.uuid))
            ended = {"state": result.state, "result": text, "lastOpDate": self.now(), "webHook": None}
            stored = await connection.execute(running.values(**ended))
            if not stored.rowcount:
                raise await self._why_aborted(connection, uuid)

    async def commit(self, reply: Reply) -> None:
        """Execute the statements of a reply. Raise StoreUnavailable."""
        async with self._database.transaction() as connection:
            for statement in reply.commit:
                await connection.execute(statement)

    async def require_running(self, uuid: str) -> None:
        """Raise JobAborted if the job does not run any more. Inside `atomic`, no other task can end it until then."""
        async with self._database.transaction() as connection:
            touched = update(Job).where(Job.uuid == uuid, *self._runs_on(self._peers.uuid))
            if not (await connection.execute(touched.values(lastOpDate=self.now()))).rowcount:
                raise JobAborted

    async def drop(self, uuid: str, *, lost: bool) -> None:
        """Delete a job that is lost, or is not, if it is stored. Raise StoreUnavailable."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Job).where(Job.uuid == uuid, Job.lost.is_(True) if lost else IS_SHOWN))

    async def drop_unbegun(self, uuid: str) -> None:
        """Delete a job of this node that nothing carries out, if it is stored. Raise StoreUnavailable."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Job).where(Job.uuid == uuid, *self._runs_on(self._peers.uuid)))

    async def result_of(self, uuid: str) -> JobResult | None:
        """Return the stored result of a job, None if it has not ended or is not there. Raise StoreUnavailable."""
        job = await self.find(uuid)
        return None if job is None or job.state is JobState.PROCESSING else job.result

    async def _why_aborted(self, connection: AsyncConnection, uuid: str) -> JobAborted:
        its_node = await connection.scalar(select(Job.managementNodeUuid).where(Job.uuid == uuid))
        taken = its_node != self._peers.uuid or self._peers.uuid not in self._peers.members
        return JobTaken(f"job {uuid} was taken from management node {self._peers.uuid}") if taken else JobAborted()

    @staticmethod
    def _runs_on(node: str) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions of the jobs that a node carries out: none must end one that was taken from it."""
        return Job.state == JobState.PROCESSING, Job.managementNodeUuid == node

    async def fail_running(self, details: str) -> None:
        """Store SYS.1012 with `details` as the result of every job that runs, on any node."""
        await self._fail(details, true())

    async def fail_running_of(self, node: str) -> None:
        """Store SYS.1012 as the result of the jobs of a node that has left; if it is back, it ends them itself."""
        await self._fail(
            str(NodeGone(node)), Job.managementNodeUuid == node, self._has_left(node), managementNodeUuid=None
        )

    async def fail_untaken(self, uuid: str, details: str) -> None:
        """Store SYS.1012 with `details` as the result of a job that no other node has taken."""
        await self._fail(details, Job.uuid == uuid, Job.managementNodeUuid == self._peers.uuid)

    async def take_over(self, uuid: str, giver: str) -> bool:
        """Make a job of the node `giver` one of this node; return whether it was there, and had not ended.

        One that its giver has taken back is not there. A giver of an older version stores for no node that it gives to.
        """
        may_be_taken = or_(Job.givenTo == self._peers.uuid, Job.givenTo.is_(None))
        async with self._database.transaction() as connection:
            given = update(Job).where(Job.uuid == uuid, *self._runs_on(giver), may_be_taken)
            taken = await connection.execute(given.values(managementNodeUuid=self._peers.uuid, givenTo=None))
            return bool(taken.rowcount)

    async def take_back(self, uuid: str, node: str) -> bool:
        """Let `node` not take a job of this node any more; return whether it has not, and the job has not ended.

        It may be called again where the outcome is not known.
        """
        me = self._peers.uuid
        async with self._database.transaction() as connection:
            given = update(Job).where(Job.uuid == uuid, *self._runs_on(me), Job.givenTo.in_((node, me)))
            return bool((await connection.execute(given.values(givenTo=me))).rowcount)

    async def _fail(self, details: str, *which: ColumnElement[bool], **values: object) -> None:
        error = {"error": ErrorCode("SYS.1012", details).to_json()}
        written = {
            "state": JobState.FAILED,
            "result": to_json(error).decode(),
            "lastOpDate": self.now(),
            "webHook": None,
        }
        running = (Job.state == JobState.PROCESSING, *which)
        columns = select(Job.uuid, Job.apiMessageName, Job.webHook).where(*running, Job.webHook.is_not(None))
        async with self._database.transaction() as connection:
            # Locked, so that of several nodes that see another one leave, one posts the end of a job.
            hooked = (await connection.execute(columns.order_by(Job.uuid).with_for_update())).all()
            await connection.execute(update(Job).where(*running).values(**written, **values))
        for uuid, message, web_hook in hooked:
            failed = FailedJob(uuid, message, str(web_hook), JobResult(False, Reply(error)))
            await self._database.after_commit(partial(self.on_failed, failed))

    async def other_nodes(self) -> set[str]:
        """Return the uuids of the other nodes that carry out jobs."""
        columns = select(Job.managementNodeUuid).where(Job.state == JobState.PROCESSING).distinct()
        return {row[0] for row in await self._database.read(columns) if row[0]} - {self._peers.uuid}

    async def unfinished(self) -> set[str]:
        """Return the uuids of the jobs that have not ended, on any node. Raise StoreUnavailable."""
        rows = await self._database.read(select(Job.uuid).where(Job.state == JobState.PROCESSING))
        return {row[0] for row in rows}

    async def take_from(self, node: str) -> None:
        """Let the jobs of a node that has left run nowhere: should it still live, it ends none of them."""
        async with self._database.transaction() as connection:
            its = (Job.managementNodeUuid == node, self._has_left(node))
            running = update(Job).where(Job.state == JobState.PROCESSING, *its)
            await connection.execute(running.values(managementNodeUuid=None))

    def _has_left(self, node: str) -> ColumnElement[bool]:
        return true() if node == self._peers.uuid else has_left(Job.managementNodeUuid)

    async def find(self, uuid: str) -> StoredJob | None:
        """Return the job of that uuid, or None if it is unknown, purged or lost. Its schema is a member of its body."""
        rows = await self._database.read(_OF_UUID, {"of_uuid": uuid})
        if not rows:
            return None
        row = rows[0]
        result = row.result or NO_RESULT
        body: dict[str, object] = orjson.loads(result if result.startswith("{") else self._vault.decrypt(result))
        return StoredJob(
            row.apiMessageName, JobState(row.state), body, row.createDate, row.lastOpDate, row.managementNodeUuid
        )

    async def refuse_duplicate(self, uuid: str) -> None:
        """Raise PlainError 400 for a uuid that has been used (wire-protocol 5.5)."""
        if await self._database.read(select(Job.uuid).where(Job.uuid == uuid, IS_SHOWN)):
            raise _duplicate(uuid)

    async def forget(self) -> None:
        """Delete all jobs but those that a replacement of the records cut off: their clients still poll them."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Job).where(Job.result.not_like(f"%{REPLACED}%")))

    async def purge(self) -> None:
        """Delete the jobs that have ended and began more than RETENTION_SECONDS ago."""
        old = delete(Job).where(Job.state != JobState.PROCESSING, Job.createDate < self.now() - RETENTION_SECONDS)
        async with self._database.transaction() as connection:
            await connection.execute(old)

    def now(self) -> int:
        """Return the time of the clock, in whole epoch seconds."""
        return int(self._clock.time())


def _duplicate(uuid: str) -> PlainError:
    return PlainError(400, f"Duplicate job uuid[{uuid}]")
