"""What a node's database knows of a story: its recording, how jobs ended, names, and the global configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import func, select

from imagestore_sim.database.models import Account, GlobalConfig, Job, Zone
from imagestore_sim.database.models import Event as StoredEvent
from imagestore_sim.database.read_only import open_read_only
from imagestore_sim.pieces import in_pieces
from imagestore_sim.rest.job_store import JobState
from imagestore_sim.rest.node_faults import FAULT_SET
from imagestore_sim.scenario.format.options import OPTIONS
from imagestore_sim.scenario.recording.from_database import read_database
from imagestore_sim.scenario.recording.recording import Recording

MOST_UUIDS = 500
"""Jobs that one statement asks for."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: with the resource that it made or changed, or with the code of an error; or it runs still."""

    ended: bool
    error: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class StoryRecords:
    """What the database knows of the time of a story."""

    recording: Recording
    jobs: Mapping[str, JobEnd]
    zones: Mapping[str, str]
    """Names by uuid, the default zone first."""
    accounts: Mapping[str, str]
    """Names by uuid."""
    options: Mapping[str, str]
    """The options of the global configuration that a scenario can set, by name, where they are not as by default."""


async def read_records(location: str, began: float, ended: float, jobs: Iterable[str]) -> StoryRecords:
    """Return what happened between two times (epoch seconds), and how the jobs ended. Raise DatabaseError."""
    recording = await read_database(location, began, ended)
    async with open_read_only(location) as connection:
        by_default = select(Zone.uuid, Zone.name).order_by(Zone.isDefault.desc(), Zone.name)
        zones = {row.uuid: row.name for row in await connection.execute(by_default)}
        accounts = {row.uuid: row.name for row in await connection.execute(select(Account.uuid, Account.name))}
        rows = await connection.execute(select(GlobalConfig.category, GlobalConfig.name, GlobalConfig.value))
        options = {name: value for category, name, value in rows if _is_set(category, name, value)}
        ends: dict[str, JobEnd] = {}
        for uuids in in_pieces(list(dict.fromkeys(jobs)), MOST_UUIDS):
            chosen = select(Job.uuid, Job.state, Job.result).where(Job.uuid.in_(uuids))
            ends |= {uuid: _end_of(state, result) for uuid, state, result in await connection.execute(chosen)}
    return StoryRecords(recording, ends, zones, accounts, options)


async def first_fault(location: str) -> float | None:
    """Return when the first fault of the management plane was set (epoch seconds), of those whose events are stored.

    Raise DatabaseError.
    """
    async with open_read_only(location) as connection:
        earliest = select(func.min(StoredEvent.time)).where(StoredEvent.path == FAULT_SET)
        milliseconds: int | None = await connection.scalar(earliest)
    return None if milliseconds is None else milliseconds / 1000


def _is_set(category: str, name: str, value: str) -> bool:
    option = OPTIONS.get(name)
    return option is not None and option.category == category and option.default != value


def _end_of(state: str, result: str | None) -> JobEnd:
    """Return how a job ended; a result that is stored encrypted shows no resource."""
    if state == JobState.PROCESSING:
        return JobEnd(False)
    body = orjson.loads(result) if result and result.startswith("{") else {}
    error, inventory = body.get("error"), body.get("inventory")
    if state == JobState.FAILED:
        return JobEnd(True, error=str(error.get("code")) if isinstance(error, dict) else "SYS.1000")
    return JobEnd(True, resource=inventory.get("uuid") if isinstance(inventory, dict) else None)
