"""GET /lab/v1/requests/{number}: one request, with its job, and with the events and probes that it caused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
from aiohttp import web
from pydantic import Field, JsonValue
from sqlalchemy import select

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.database.models import Job
from imagestore_sim.lab_api.request_shapes import RequestShape, request_shape
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape
from imagestore_sim.lab_api.storage_history import StorageHistory
from imagestore_sim.lab_api.storage_shapes import ProbeOfStorage, probe_of_storage
from imagestore_sim.masking import masked_text
from imagestore_sim.rest.job_store import IS_SHOWN
from imagestore_sim.rest.journal import Entry, Journal

PATH = "/lab/v1/requests/{number}"
MOST_EVENTS = 200
"""Events of one request that are returned: the first."""
MOST_RELATED = 100


class JobShape(Shape):
    """The job that a request started or polled."""

    uuid: str = Field(description="the uuid of the job")
    message: str = Field(description="the class of the message that started it")
    state: str = Field(description="Processing, Done or Failed")
    began: int = Field(description="seconds since the epoch")
    ended: int | None = Field(description="null: it runs")
    error: str | None = Field(description="the code of its error")
    details: str | None = Field(description="what went wrong, with secrets masked")


class EventOfRequest(Shape):
    """An event that a request has caused."""

    id: int = Field(description="the number of the event")
    time: float = Field(description="seconds since the epoch")
    path: str = Field(description="what happened")
    resource_uuid: str = Field(description="the uuid of the resource")
    content: dict[str, JsonValue] = Field(description="more about it")


class RequestDetail(Shape):
    """A request, and what it has caused: all that has the uuid of its job as `correlation`."""

    request: RequestShape
    job: JobShape | None = Field(description="null: it has none, or it is no longer stored")
    events: list[EventOfRequest] = Field(description="what it caused, the first first")
    probes: list[ProbeOfStorage] = Field(description="those that are remembered: the latest 16 of a storage")
    related: list[RequestShape] = Field(description="the other requests of the journal that started or polled the job")


class RequestDetailRoutes:
    """Serves `/lab/v1/requests/{number}`."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        database: Callable[[], Database | None],
        history: Callable[[], StorageHistory | None],
    ) -> None:
        """`database` and `history` return None while the node starts."""
        self._journal = journal
        self._clock = clock
        self._database = database
        self._history = history

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        problems = {404: "there is no such request, or the journal has dropped it", 503: "the node is starting"}
        summary = "A request, with its job, and the events and probes that it caused"
        return [Route("GET", PATH, summary, Handler(self.show), RequestDetail, problems=problems, private=True)]

    async def show(self, request: web.Request) -> Answer:
        """Return one request with its job, and the events and probes that it caused. Raise Refused."""
        entry = self._find(request.match_info["number"])
        database, history = self._database(), self._history()
        if database is None or history is None:
            raise Refused(503, "the management node is starting")
        epoch = self._clock.time() - self._clock.monotonic()
        events = [] if entry.job is None else await _events_of(database, entry.job)
        others = [one for one in self._journal.since(0) if one.job == entry.job and one is not entry]
        return RequestDetail(
            request=request_shape(entry, epoch),
            job=None if entry.job is None else await _job(database, entry.job),
            events=events,
            probes=[] if entry.job is None else _probes(history, entry.job, events),
            related=[] if entry.job is None else [request_shape(one, epoch) for one in others[:MOST_RELATED]],
        )

    def _find(self, number: str) -> Entry:
        found = next((one for one in self._journal.since(0) if str(one.number) == number), None)
        if found is None:
            raise Refused(404, f"there is no request {number}, or the journal has dropped it")
        return found


async def _job(database: Database, uuid: str) -> JobShape | None:
    rows = await database.read(select(Job.__table__).where(Job.uuid == uuid, IS_SHOWN))
    if not rows:
        return None
    row = rows[0]
    result = orjson.loads(row.result) if row.result and row.result.startswith("{") else {}
    error = result.get("error")
    found = error if isinstance(error, dict) else {}
    details = found.get("details")
    return JobShape(
        uuid=uuid,
        message=row.apiMessageName,
        state=row.state,
        began=row.createDate,
        ended=None if row.state == "Processing" else row.lastOpDate,
        error=found.get("code"),
        details=None if details is None else masked_text(str(details)),
    )


async def _events_of(database: Database, job: str) -> list[EventOfRequest]:
    columns = select(StoredEvent.__table__).where(StoredEvent.correlation == job)
    rows = await database.read(columns.order_by(StoredEvent.id).limit(MOST_EVENTS))
    return [
        EventOfRequest(
            id=row.id,
            time=row.time / 1000,
            path=row.path,
            resource_uuid=row.resourceUuid,
            content=orjson.loads(row.content),
        )
        for row in rows
    ]


def _probes(history: StorageHistory, job: str, events: Sequence[EventOfRequest]) -> list[ProbeOfStorage]:
    """Return the probes that were for a job: each has changed a status, or has failed, so there is an event of it."""
    storages = dict.fromkeys(one.resource_uuid for one in events)
    found = [(uuid, one) for uuid in storages for one in history.status.last_probes.of(uuid) if one.correlation == job]
    return [probe_of_storage(uuid, one) for uuid, one in sorted(found, key=lambda pair: pair[1].time)]
