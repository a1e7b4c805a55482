"""APIs that change the record of an image, recover it, or ask its storages about it (domain 4; observed 12, 13)."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypedDict

from sqlalchemy import Row, select

from imagestore_sim.api.image import PACKAGE, Existing
from imagestore_sim.api.long_job_runner import ENDED, image_added_by
from imagestore_sim.api.services import Services
from imagestore_sim.backup_storage.tags import BOOT_MODES
from imagestore_sim.database.models import ADMIN_UUID, Image, LongJob, SystemTag
from imagestore_sim.database.models import ImageBackupStorageRef as Ref
from imagestore_sim.identity.quotas import IMAGE_SIZE
from imagestore_sim.query import IMAGE
from imagestore_sim.rest.errors import operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

STATES = {"enable": "Enabled", "disable": "Disabled"}
HASHES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256"}
MADE_UP = "no bits are read: sizes stay as they are recorded, and a hash is made up of the image's uuid"
handlers = Handlers[Services]()


class UploadJob(TypedDict):
    """An upload that runs."""

    longJobUuid: str
    """The uuid of the long job that waits for it."""
    longJobState: str
    """The state of that job."""
    imageUuid: str
    """The uuid of the image."""
    imageUploadUrl: str
    """The address to send the bytes to."""
    offset: int
    """How many bytes have come."""


class APIChangeImageStateMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source="domain 4; observed 12",
):
    """Enable or disable an image."""

    uuid: Existing
    stateEvent: Annotated[str, Rule(valid_values=("enable", "disable"))]
    """`enable` or `disable`."""


@handlers.handles
async def change_image_state(services: Services, message: APIChangeImageStateMsg, call: Call) -> Reply:
    """Change the state, and return the image."""
    await services.image_life.change(message.uuid, {"state": STATES[message.stateEvent]})
    return await services.inventory(IMAGE, message.uuid)


class APISetImageBootModeMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    for_everyone=True,
    source="recorded calls 10861 to 10867",
):
    """Set the boot mode of an image, which is a system tag."""

    uuid: Existing
    bootMode: Annotated[str, Rule(valid_values=BOOT_MODES)]
    """`Legacy`, `UEFI` or `UEFI_WITH_CSM`."""


@handlers.handles
async def set_boot_mode(services: Services, message: APISetImageBootModeMsg, call: Call) -> Reply:
    """Replace the tag."""
    await services.image_life.set_boot_mode(message.uuid, message.bootMode)
    return Reply()


class APISetImageQgaMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    for_everyone=True,
    paid=True,
    source="ZStack's public Java SDK",
    deviation="ZStack's own is closed: the switch is the system tag `qemuga`",
):
    """Switch the guest agent of the machines of an image on or off."""

    uuid: Existing
    enable: bool
    """Whether the guest agent is on."""


@handlers.handles
async def set_guest_agent(services: Services, message: APISetImageQgaMsg, call: Call) -> Reply:
    """Set the tag, or take it away."""
    await services.image_life.set_guest_agent(message.uuid, enable=message.enable)
    return Reply()


class APIGetImageQgaMsg(
    SyncMessage,
    method="GET",
    path="/images/{uuid}/qga",
    package=PACKAGE,
    reply={"uuid": str, "enable": bool},
    for_everyone=True,
    paid=True,
    source="ZStack's public Java SDK",
    deviation="as SetImageQga",
):
    """Tell whether the guest agent of the machines of an image is on."""

    uuid: Existing


@handlers.handles
async def get_guest_agent(services: Services, message: APIGetImageQgaMsg, call: Call) -> Reply:
    """Return the uuid, and whether the tag is set."""
    return Reply({"uuid": message.uuid, "enable": await services.image_life.has_guest_agent(message.uuid)})


class APISyncImageSizeMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source="recorded calls 10869, 11198",
    deviation=MADE_UP,
):
    """Ask a storage for the size of an image."""

    uuid: Existing


@handlers.handles
async def sync_image_size(services: Services, message: APISyncImageSizeMsg, call: Call) -> Reply:
    """Return the image. Raise OperationFailed if no storage of it is Connected."""
    await services.image_life.usable_storage(message.uuid)
    return await services.inventory(IMAGE, message.uuid)


class APICalculateImageHashMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source="recorded calls 10870 to 10873, 11199",
    deviation=MADE_UP,
):
    """Calculate the hash of an image on a storage."""

    uuid: Existing
    backupStorageUuid: Annotated[str, Rule(resource="BackupStorageVO")]
    algorithm: str = "md5"
    """The hash function."""


@handlers.handles
async def calculate_image_hash(services: Services, message: APICalculateImageHashMsg, call: Call) -> Reply:
    """Store the hash, and return the image. Raise ApiError SYS.1006 for an algorithm that does not exist."""
    algorithm = HASHES.get(message.algorithm.lower())
    if algorithm is None:
        raise operation_failed(f"unknown hash algorithm[{message.algorithm}]")
    digest = hashlib.new(algorithm, message.uuid.encode(), usedforsecurity=False).hexdigest()
    await services.image_life.change(message.uuid, {"md5Sum": digest})
    return await services.inventory(IMAGE, message.uuid)


class APIRecoverImageMsg(
    AsyncMessage,
    method="PUT",
    path="/images/{imageUuid}/actions",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    for_everyone=True,
    source="domain 4; observed 13",
):
    """Make a deleted image Ready again, on some storages or on all."""

    imageUuid: Existing
    backupStorageUuids: list[str] | None = None
    """The uuids of the storages; all by default."""


@handlers.checks
async def check_recover_image(services: Services, message: APIRecoverImageMsg, call: Call) -> None:
    """Raise QuotaExceeded unless the caller may have the size of the image once more, as in ZStack (domain 8)."""
    size = select(Image.size).where(Image.uuid == message.imageUuid)
    row = await services.row(size, "imageUuid", message.imageUuid, "ImageVO")
    await services.quotas.check(call.account_uuid, {IMAGE_SIZE: row.size})


@handlers.handles
async def recover_image(services: Services, message: APIRecoverImageMsg, call: Call) -> Reply:
    """Recover the image, and return it."""
    await services.image_life.recover(message.imageUuid, message.backupStorageUuids)
    return await services.inventory(IMAGE, message.imageUuid)


class APIGetUploadImageJobDetailsMsg(
    SyncMessage,
    method="GET",
    path="/images/upload-job/details/{imageId}",
    package=PACKAGE,
    reply={"existingJobDetails": list[UploadJob]},
    with_success=True,
    for_everyone=True,
    source="domain 8.6; recorded calls 10918 to 10921",
):
    """Return the uploads that run for an image: those of long jobs with the system tag `uploadImage::{imageId}`."""

    imageId: str
    """The id in the tag `uploadImage::{imageId}` of the long job, which the client has chosen."""


@handlers.handles
async def get_upload_details(services: Services, message: APIGetUploadImageJobDetailsMsg, call: Call) -> Reply:
    """Return each job with the address to send to, and how many bytes have come; nothing if there is none."""
    tagged = SystemTag.tag == f"uploadImage::{message.imageId}"
    jobs = select(LongJob.__table__).join(SystemTag, SystemTag.resourceUuid == LongJob.uuid)
    jobs = jobs.where(tagged, LongJob.state.not_in(ENDED)).order_by(LongJob.uuid)
    if call.account_uuid != ADMIN_UUID:
        jobs = jobs.where(LongJob.accountUuid == call.account_uuid)
    found = [await _details(services, job) for job in await services.database.read(jobs)]
    details = [one for one in found if one is not None]
    return Reply({"existingJobDetails": details} if details else {})


async def _details(services: Services, job: Row[tuple[LongJob]]) -> dict[str, object] | None:
    """Return where the image of a job is sent to, and how many bytes have come; None if it does not wait for any."""
    columns = (Ref.imageUuid, Ref.backupStorageUuid, Ref.addUuid, Ref.installPath)
    refs = select(*columns).where(Ref.imageUuid == image_added_by(job)).order_by(Ref.id)
    for ref in await services.database.read(refs):
        if "://" in ref.installPath:
            return {
                "longJobUuid": job.uuid,
                "longJobState": job.state,
                "imageUuid": ref.imageUuid,
                "imageUploadUrl": ref.installPath,
                "offset": await services.uploads.offset(*ref),
            }
    return None
