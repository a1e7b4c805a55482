"""APIs of long jobs: submit, query, cancel, resume, run again, change, clean and delete them (observed 14)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated

import orjson
from sqlalchemy import Row, delete, insert, select, update

from imagestore_sim import ids
from imagestore_sim.api import image, image_export, image_from_volume
from imagestore_sim.api.long_job_runner import (
    CANCELED,
    CANCELING,
    ENDED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    SUSPENDED,
    Work,
    image_added_by,
    seconds_since,
)
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.tags import delete_tags
from imagestore_sim.database import StoreConflict
from imagestore_sim.database.models import LongJob
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.query import LONG_JOB
from imagestore_sim.rest.binding import Values, parse_body
from imagestore_sim.rest.errors import (
    ApiError,
    ErrorCode,
    NothingToDo,
    PlainError,
    internal_error,
    invalid_argument,
)
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Message, Reply
from imagestore_sim.rest.parameters import Rule
from imagestore_sim.tasks import by_size

PACKAGE = "org.zstack.header.longjob"
JOBS: Mapping[str, type[Message]] = MappingProxyType(
    {
        message.__name__: message
        for message in (
            image.APIAddImageMsg,
            image.APISyncImageFromImageStoreBackupStorageMsg,
            image_export.APIExportImageFromBackupStorageMsg,
            image_from_volume.APICreateRootVolumeTemplateFromRootVolumeMsg,
            image_from_volume.APICreateDataVolumeTemplateFromVolumeMsg,
        )
    }
)
"""The APIs that can be long jobs."""
EXPECTED_OBJECT = "java.lang.IllegalStateException: Expected BEGIN_OBJECT but"
NOT_HERE = "of ZStack's long jobs those of images alone; a job that was cut off by a restart has failed"
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="LongJobVO")]
Name = Annotated[str | None, Rule(max_length=255)]
Description = Annotated[str | None, Rule(max_length=2048)]


class APIQueryLongJobMsg(
    QueryMessage,
    method="GET",
    path="/longjobs",
    optional_paths=("/longjobs/{uuid}",),
    package=PACKAGE,
):
    """Query long jobs. An account sees its own."""

    inventory = LONG_JOB


@handlers.handles
async def query_long_job(services: Services, message: APIQueryLongJobMsg, call: Call) -> Reply:
    """Return the long jobs that the query selects."""
    return await answer(services, message, call)


class APISubmitLongJobMsg(
    CreateMessage,
    method="POST",
    path="/longjobs",
    package=PACKAGE,
    reply={"inventory": LONG_JOB},
    for_everyone=True,
    deviation=NOT_HERE,
):
    """Start an API as a long job: `jobData` is its message as JSON."""

    name: Name = None
    """The name; that of the API by default."""
    description: Description = None
    """A text for people."""
    jobName: str
    """The message of the API, such as `APIAddImageMsg`; only APIs of images can be long jobs."""
    jobData: str
    """The parameters of that API, as a JSON object in a text."""
    targetResourceUuid: Annotated[str | None, Rule(resource="ResourceVO")] = None


@handlers.handles
async def submit_long_job(services: Services, message: APISubmitLongJobMsg, call: Call) -> Reply:
    """Validate the message in `jobData`, store the job and start it; return it.

    Raise ApiError SYS.1007 for an API that cannot be a long job, and what that API raises for its message.
    """
    if message.jobName not in JOBS:
        raise invalid_argument(f"{message.jobName} is not an API")
    values = await _read(JOBS[message.jobName], message.jobData)
    uuid = new_uuid(message.resourceUuid)
    work = Work(uuid, call.uuid, JOBS[message.jobName], values, str(call.account_uuid))
    await services.long_jobs.check(work.message, values, call.uuid, work.account_uuid)
    resource = _resource(work.message, values)
    if "url" in values:
        values["url"] = image.without_password(str(values["url"]))
    row = {
        "uuid": work.job_uuid,
        "name": message.jobName if message.name is None else message.name,
        "description": message.description,
        "jobName": message.jobName,
        "jobData": orjson.dumps(values).decode(),
        "targetResourceUuid": message.targetResourceUuid or resource,
        "accountUuid": work.account_uuid,
    }
    async with services.database.transaction() as connection:
        await refuse_taken(connection, work.job_uuid)
        await connection.execute(insert(LongJob).values(**row, **_begun(services, call)))
    await services.database.after_commit(partial(services.long_jobs.start, work))
    return await services.inventory(LONG_JOB, work.job_uuid)


class APICancelLongJobMsg(
    AsyncMessage, method="PUT", path="/longjobs/{uuid}/actions", package=PACKAGE, for_everyone=True
):
    """Cancel a long job that runs."""

    uuid: Existing


@handlers.handles
async def cancel_long_job(services: Services, message: APICancelLongJobMsg, call: Call) -> Reply:
    """Mark the job as Canceling and cancel it, and return an empty reply. Raise ApiError SYS.1007 after its end."""
    job = await _job(services, message.uuid)
    if job.state in (SUCCEEDED, FAILED):
        raise invalid_argument(f"cannot cancel longjob that is {job.state.lower()}")
    if job.state != CANCELED:
        await _move(services, job, {"state": CANCELING})
        await services.database.after_commit(partial(services.long_jobs.cancel, message.uuid))
        if (image_uuid := image_added_by(job)) is not None:
            await services.database.after_commit(partial(services.uploads.cancel, image_uuid))
    return Reply()


class APIResumeLongJobMsg(
    AsyncMessage,
    method="PUT",
    path="/longjobs/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": LONG_JOB},
    for_everyone=True,
    deviation="only a job whose upload stood still is ever Suspended",
):
    """Resume a long job that is suspended."""

    uuid: Existing


@handlers.handles
async def resume_long_job(services: Services, message: APIResumeLongJobMsg, call: Call) -> Reply:
    """Wait again for the upload of the job's image, and return the job. Raise ApiError SYS.1007 for any other."""
    job = await _job(services, message.uuid)
    if job.state != SUSPENDED:
        raise invalid_argument(f"can only resume longjob that is {SUSPENDED}")
    await _move(services, job, {"state": RUNNING, "lastOpDate": services.clock.local()})
    await services.database.after_commit(partial(services.uploads.resume, str(image_added_by(job))))
    return await services.inventory(LONG_JOB, job.uuid)


class APIRerunLongJobMsg(
    AsyncMessage,
    method="PUT",
    path="/longjobs/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": LONG_JOB},
    for_everyone=True,
):
    """Run a long job again that has ended."""

    uuid: Existing


@handlers.handles
async def rerun_long_job(services: Services, message: APIRerunLongJobMsg, call: Call) -> Reply:
    """Start the job again with the same message, and return it. Raise ApiError SYS.1007 before its end."""
    job = await _job(services, message.uuid)
    if job.state not in ENDED:
        raise invalid_argument("rerun longjob only when its succeeded, canceled, or failed")
    values = await _read(JOBS[job.jobName], job.jobData)
    work = Work(job.uuid, call.uuid, JOBS[job.jobName], values, job.accountUuid)
    await services.long_jobs.check(work.message, values, call.uuid, work.account_uuid)
    await _move(services, job, {"jobResult": None, "executeTime": None, **_begun(services, call)})
    await services.database.after_commit(partial(services.long_jobs.start, work))
    return await services.inventory(LONG_JOB, job.uuid)


class APIUpdateLongJobMsg(
    AsyncMessage,
    method="PUT",
    path="/longjobs/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": LONG_JOB},
    for_everyone=True,
):
    """Change the name or the description of a long job."""

    uuid: Existing
    name: Name = None
    """The new name."""
    description: Description = None
    """A text for people."""


@handlers.handles
async def update_long_job(services: Services, message: APIUpdateLongJobMsg, call: Call) -> Reply:
    """Change what was given, and return the job."""
    if changed := message.given("name", "description"):
        values = {**changed, "lastOpDate": services.clock.local()}
        async with services.database.transaction() as connection:
            await connection.execute(update(LongJob).where(LongJob.uuid == message.uuid).values(**values))
    return await services.inventory(LONG_JOB, message.uuid)


class APICleanLongJobMsg(
    AsyncMessage, method="PUT", path="/longjobs/{uuid}/actions", package=PACKAGE, for_everyone=True
):
    """End a long job that is being cancelled, and remove what it has left."""

    uuid: Existing


@handlers.handles
async def clean_long_job(services: Services, message: APICleanLongJobMsg, call: Call) -> Reply:
    """Make the job Canceled, and delete an image that waits for its upload. Raise ApiError LONG_JOB.1003 otherwise."""
    job = await _job(services, message.uuid)
    if job.state != CANCELING:
        raise ApiError(ErrorCode("LONG_JOB.1003", "not supported or state is not Canceling"))
    if (image_uuid := image_added_by(job)) is not None:
        await services.image_life.drop_upload(image_uuid, "canceled")
        await services.database.after_commit(services.uploads.end_deleted)
    now = services.clock.local()
    ended = {"state": CANCELED, "executeTime": seconds_since(job.createDate, now), "lastOpDate": now}
    await _move(services, job, ended)
    return Reply()


class APIDeleteLongJobMsg(DeleteMessage, method="DELETE", path="/longjobs/{uuid}", package=PACKAGE, for_everyone=True):
    """Delete a long job that has ended."""

    uuid: Annotated[str, Rule(resource="LongJobVO", missing_is_done=True)]


@handlers.handles
async def delete_long_job(services: Services, message: APIDeleteLongJobMsg, call: Call) -> Reply:
    """Delete the job, and return an empty reply. Raise ApiError SYS.1007 before its end."""
    jobs = await services.database.read(select(LongJob.state).where(LongJob.uuid == message.uuid))
    if not jobs:
        raise NothingToDo
    if jobs[0].state not in ENDED:
        raise invalid_argument("delete longjob only when its succeeded, canceled, or failed")
    async with services.database.transaction() as connection:
        await connection.execute(delete(LongJob).where(LongJob.uuid == message.uuid))
        await delete_tags(connection, [message.uuid])
    return Reply()


def _resource(message: type[Message], values: Values) -> str:
    """Return the uuid of the resource that a job makes, which is chosen now, or of the one that it works on."""
    if issubclass(message, CreateMessage):
        return str(values.setdefault("resourceUuid", ids.new_uuid()))
    return str(values["imageUuid" if "imageUuid" in values else "uuid"])


async def _job(services: Services, uuid: str) -> Row[tuple[LongJob]]:
    return await services.row(select(LongJob.__table__).where(LongJob.uuid == uuid), "uuid", uuid, "LongJobVO")


async def _move(services: Services, job: Row[tuple[LongJob]], values: Mapping[str, object]) -> None:
    """Move a job on from the state in which it was read. Raise StoreConflict if it has moved since, on another node.

    The call is carried out again then, and sees the state of now.
    """
    as_read = (LongJob.uuid == job.uuid, LongJob.apiId == job.apiId, LongJob.state == job.state)
    async with services.database.transaction() as connection:
        if not (await connection.execute(update(LongJob).where(*as_read).values(**values))).rowcount:
            raise StoreConflict(f"long job {job.uuid} is not {job.state} any more")


def _begun(services: Services, call: Call) -> dict[str, object]:
    """Return the columns of a job that begins."""
    began = {"createDate": services.clock.local(), "lastOpDate": None}
    return {"state": RUNNING, "apiId": call.uuid, "managementNodeUuid": services.node.uuid, **began}


async def _read(message: type[Message], text: str) -> Values:
    """Return what `_values_of` does."""
    return await by_size(len(text), _values_of, message, text)


def _values_of(message: type[Message], text: str) -> Values:
    """Return the values of a message in JSON. Raise ApiError SYS.1000 for a text that Gson does not read as one."""
    blanks = len(text) - len(text.lstrip())
    if text[blanks:].startswith("["):
        raise internal_error(f"{EXPECTED_OBJECT} was BEGIN_ARRAY at line 1 column {blanks + 2} path $")
    try:
        body = parse_body(text.encode())
        if body is None:
            raise internal_error(None)
        return message.bind_fields(body)
    except PlainError as error:
        raise internal_error(error.text) from None
