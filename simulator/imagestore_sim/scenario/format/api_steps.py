"""The steps of a timeline that call ZStack's API: any call, and one class for each thing that is done with images.

A new one is a class that yields its calls, and a key of `Step`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import orjson
from pydantic import Field, model_validator
from pydantic.config import JsonDict

from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.scenario.format.matchers import AnyMatcher, CountMatcher, NumberMatcher
from imagestore_sim.scenario.format.schema import Names, ScenarioModel, matching, reject
from imagestore_sim.units import Bytes, Seconds

ADMIN = "admin"
CLIENT = "client"
IMAGE_STORE = "/backup-storage/image-store"
LONG_JOBS = "/longjobs"
MOST_UPLOADED = 64 * 2**20
"""Bytes of an image that a step sends: they are really sent."""
SENT: JsonDict = {"minimum": 1, "maximum": MOST_UPLOADED}
REFERENCE = re.compile(r"\$([A-Za-z0-9][\w-]*)")
"""`$gold` stands for the uuid of the storage, the zone, the image or the long job of that name."""


ANSWERS = ("error", "says", "status", "sent", "seconds", "posts")
"""The keys of steps that say what is expected of an answer."""
One = Annotated[Names, Field(min_length=1, max_length=1)]
"""One name."""


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call of ZStack's API: method, path below /zstack/v1, and body; `makes` names the image that it makes."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    makes: str | None = None


@dataclass(frozen=True, slots=True)
class Uuids:
    """The uuids of a scenario's storages, zones, images and long jobs, by their names."""

    storages: Mapping[str, str]
    zones: Mapping[str, str]
    images: dict[str, str]
    long_jobs: Mapping[str, str]

    def of_storages(self, patterns: Sequence[str]) -> list[str]:
        """Return the uuids of the storages whose names match."""
        return [self.storages[name] for name in matching(patterns, self.storages)]

    def of_images(self, patterns: Sequence[str]) -> list[str]:
        """Return the uuids of the images whose names match."""
        return [self.images[name] for name in matching(patterns, self.images)]

    def replace_in(self, text: str) -> str:
        """Return `text` with each `$NAME` replaced by its uuid; one that nothing has before a step has made it."""
        known = {**self.long_jobs, **self.images, **self.zones, **self.storages}
        return REFERENCE.sub(lambda match: known.get(match[1]) or stable_uuid("not made", match[1]), text)


class ApiStep(ScenarioModel):
    """A step that calls ZStack's API, and what its answer has to be."""

    account: str = Field(ADMIN, description="whose call it is: admin, or one of `accounts`")
    node: str | None = Field(None, description="which of several nodes it asks; if unset, they take turns")
    error: AnyMatcher | None = Field(None, description="the code of the error that is expected, such as SYS.1002")
    says: str | None = Field(None, description="what has to stand in the answer's text")

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield the calls that it makes, one after the other."""
        raise NotImplementedError

    def makes(self) -> Sequence[str]:
        """Return the names of the images that it makes."""
        return ()

    @property
    def expects_an_answer(self) -> bool:
        """Whether it says what its answer has to be."""
        return not self.model_fields_set.isdisjoint(ANSWERS)


class CallStep(ApiStep):
    """A call of ZStack's API, as a client makes it; its job is followed to the end.

    `$NAME` in the path or the body is the uuid of a storage, a zone, an image or a long job of that name.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str = Field(description="below /zstack/v1, such as /backup-storage/$gold/actions")
    body: dict[str, Any] | None = None
    known_as: str | None = Field(None, alias="as", description="a name for what the call makes, for later steps")

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        if not self.path.startswith("/"):
            reject(("path",), f"expected a path such as /backup-storage, but got {self.path!r}")
        try:
            orjson.dumps(self.body)
        except TypeError as error:
            reject(("body",), f"expected what JSON can hold: {error}")
        return self

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield the call."""
        body = None if self.body is None else orjson.loads(uuids.replace_in(orjson.dumps(self.body).decode()))
        if self.known_as is not None and body is not None and isinstance(params := body.get("params"), dict):
            params.setdefault("resourceUuid", uuids.storages[self.known_as])
        yield ApiCall(self.method, uuids.replace_in(self.path), body)

    def __str__(self) -> str:
        what = next(iter(self.body), None) if self.body else None
        return f"{self.method} {self.path}" + (f" {what}" if what else "")


class ClientStep(CallStep):
    """A call of a client under test: it waits only so long, may try again, and follows its job.

    It meets the faults of the management plane. It logs in at its first step, and each of its requests has a connection
    of its own. Without `status` and `error`, it has to end with 200.
    """

    who: str = Field(CLIENT, description="its name, and its User-Agent: steps of one client share its session")
    timeout: Seconds = Field(20.0, gt=0, description="how long it waits for an answer: ZStack's Go SDK waits 20s")
    retries: int = Field(0, ge=0, le=100, description="how often it sends the call again without an answer of ZStack")
    pause: Seconds = Field(1.0, description="how long it waits before that")
    poll: Seconds = Field(2.0, gt=0, description="how long it waits before each poll of a job: the Go SDK waits 2s")
    gives_up: Seconds = Field(600.0, description="how long it follows a job")
    logs_in_again: bool = Field(False, description="whether it does when its session has expired, and calls again")
    reads_expiry: bool = Field(False, description="whether it logs in again once its session has expired by its clock")
    hook: bool = Field(False, description="whether it waits for the post of the job's web hook, and does not poll")
    status: CountMatcher | None = Field(None, description="the status of the last answer; 0 if there is none")
    sent: CountMatcher | None = Field(None, description="how often it has sent the call")
    seconds: NumberMatcher | None = Field(None, description="how long all took, in seconds")
    posts: CountMatcher | None = Field(None, description="how many posts of web hooks have arrived at it so far")

    def __str__(self) -> str:
        return super().__str__() + ("" if self.who == CLIENT else f" by {self.who}")


class ImageStep(ApiStep):
    """Something happens to images: on some of their storages, or on all."""

    action: ClassVar[str]
    """The key in the body of the call."""

    image: Names
    storage: Names | None = Field(None, description="on which storages; all if unset")

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield an action for each."""
        on = {} if self.storage is None else {"backupStorageUuids": uuids.of_storages(self.storage)}
        for uuid in uuids.of_images(self.image):
            yield ApiCall("PUT", f"/images/{uuid}/actions", {self.action: on})

    def __str__(self) -> str:
        where = "" if self.storage is None else f" on {', '.join(self.storage)}"
        return f"{', '.join(self.image)}{where}" + ("" if self.account == ADMIN else f" as {self.account}")


class MayBeLong(ApiStep):
    """A step whose call may be made as a long job."""

    api: ClassVar[str]
    """The message of the call."""
    long_job: str | None = Field(None, description="as a long job of this name, whose end the step does not wait for")

    def submitted(self, uuids: Uuids, call: ApiCall, data: Mapping[str, Any]) -> ApiCall:
        """Return the call, or the one that submits it as a long job; `data` are the fields of its message."""
        if self.long_job is None:
            return call
        params = {
            "name": self.long_job,
            "jobName": self.api,
            "jobData": orjson.dumps(data).decode(),
            "resourceUuid": uuids.long_jobs[self.long_job],
        }
        return ApiCall("POST", LONG_JOBS, {"params": params})


class AddImageStep(ImageStep, MayBeLong):
    """Images are added to storages, one after the other; their bits come from the `imageSources` of the scenario."""

    url: str | None = Field(None, description="where they come from; http://images/NAME if unset")
    format: str = "qcow2"
    mediaType: str | None = None
    api = "APIAddImageMsg"

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield an AddImage for each."""
        for name in self.image:
            params = {
                "name": name,
                "url": self.url_of(name),
                "format": self.format,
                "mediaType": self.mediaType,
                "backupStorageUuids": uuids.of_storages(self.storage or ("*",)),
                "resourceUuid": uuids.images[name],
            }
            given = {key: value for key, value in params.items() if value is not None}
            yield self.submitted(uuids, ApiCall("POST", "/images", {"params": given}, makes=name), given)

    def url_of(self, name: str) -> str:
        """Return where an image comes from."""
        return self.url or f"http://images/{name}"

    def makes(self) -> Sequence[str]:
        """Return the names of the images."""
        return self.image


class UploadImageStep(ScenarioModel):
    """A client sends the bits of images that wait for them, since they were added with an `upload://` url.

    What is there already is passed over: a later step goes on where one has broken off.
    """

    image: Names
    storage: Names | None = Field(None, description="to which storages; all that wait if unset")
    size: Bytes = Field(2**20, gt=0, le=MOST_UPLOADED, description="of each image", json_schema_extra=SENT)
    pieces: int = Field(1, ge=1, le=100, description="in how many requests it is sent")
    sends: int | None = Field(None, ge=1, description="how many of these are made, the first ones; all if unset")
    every: Seconds = Field(0.0, description="how long it waits between them")
    status: CountMatcher | None = Field(None, description="of the last answer, 0 if there is none; 200 if unset")

    @property
    def expects_an_answer(self) -> bool:
        """Whether it says what its answer has to be."""
        return self.status is not None

    def __str__(self) -> str:
        count = self.pieces if self.sends is None else min(self.sends, self.pieces)
        return f"{', '.join(self.image)}: {count} of {self.pieces} pieces"


class DeleteImageStep(ImageStep):
    """Images are deleted; their bits stay until they are expunged."""

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield a DeleteImage for each."""
        storages = [] if self.storage is None else uuids.of_storages(self.storage)
        question = "&".join(f"backupStorageUuids={uuid}" for uuid in storages)
        for uuid in uuids.of_images(self.image):
            yield ApiCall("DELETE", f"/images/{uuid}" + (f"?{question}" if question else ""))


class RecoverImageStep(ImageStep):
    """Deleted images are taken back."""

    action = "recoverImage"


class ExpungeImageStep(ImageStep):
    """Deleted images are removed, with their bits."""

    action = "expungeImage"


class ExportImageStep(ImageStep, MayBeLong):
    """Images are exported from storages."""

    api = "APIExportImageFromBackupStorageMsg"

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield an ExportImageFromBackupStorage for each image on each storage."""
        for storage in uuids.of_storages(self.storage or ("*",)):
            for uuid in uuids.of_images(self.image):
                given = {"imageUuid": uuid}
                call = ApiCall("PUT", f"/backup-storage/{storage}/actions", {"exportImageFromBackupStorage": given})
                yield self.submitted(uuids, call, {"backupStorageUuid": storage, **given})


class DeleteExportStep(ImageStep):
    """Exports of images are deleted."""

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield a DeleteExportedImageFromBackupStorage for each image on each storage."""
        for storage in uuids.of_storages(self.storage or ("*",)):
            for uuid in uuids.of_images(self.image):
                yield ApiCall("DELETE", f"/backup-storage/{storage}/exported-images/{uuid}")


class ReclaimStep(ApiStep):
    """Storages give back what nothing needs any more."""

    storage: Names

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield a ReclaimSpaceFromImageStore for each."""
        for storage in uuids.of_storages(self.storage):
            yield ApiCall("PUT", f"{IMAGE_STORE}/{storage}/actions", {"reclaimSpaceFromImageStore": {}})

    def __str__(self) -> str:
        return ", ".join(self.storage)


class SyncImageStep(MayBeLong):
    """An image is copied from one ImageStore to another, at the rate of the source that matches its install path."""

    api = "APISyncImageFromImageStoreBackupStorageMsg"

    image: One
    source: One = Field(alias="from", description="the storage that it comes from")
    to: One = Field(description="the storage that it goes to")
    known_as: str = Field(alias="as", description="a name for the copy, for later steps")

    def calls(self, uuids: Uuids) -> Iterator[ApiCall]:
        """Yield a SyncImageFromImageStoreBackupStorage."""
        [source], [destination] = uuids.of_storages(self.source), uuids.of_storages(self.to)
        given = {"srcBackupStorageUuid": source, "dstBackupStorageUuid": destination, "name": self.known_as}
        body = {"syncImageFromImageStoreBackupStorage": given}
        for uuid in uuids.of_images(self.image):
            call = ApiCall("PUT", f"/images/{uuid}/actions", body, makes=self.known_as)
            yield self.submitted(uuids, call, {"uuid": uuid, **given})

    def makes(self) -> Sequence[str]:
        """Return the name of the copy."""
        return (self.known_as,)

    def __str__(self) -> str:
        return f"{self.image[0]} from {self.source[0]} to {self.to[0]}"
