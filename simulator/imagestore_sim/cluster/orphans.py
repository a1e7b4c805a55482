"""What calls have begun that no node carries out any more."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, exists, select

from imagestore_sim.cluster.alone import Alone
from imagestore_sim.cluster.peers import Peers
from imagestore_sim.database.models import Job, LongJob, ManagementNodeRecord

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

PROCESSING = "Processing"
LONG_JOB_STATES = ("Running", "Canceling", "Suspended")


def has_left(node: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    """Return the condition of the rows whose node is no member, by the store: what a node knows may be old."""
    return node.is_(None) | node.not_in(select(ManagementNodeRecord.uuid))


def is_orphan(added_by: InstrumentedAttribute[str | None], peers: Peers) -> ColumnElement[bool]:
    """Return the condition of the rows that a call is adding which no node carries out; `added_by` is its job.

    The only node of a store asks when it starts: then nothing is carried out.
    """
    return _added(added_by) if isinstance(peers, Alone) else _left(added_by)


@cache
def _added(added_by: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    return added_by.is_not(None)


@cache
def _left(added_by: InstrumentedAttribute[str | None]) -> ColumnElement[bool]:
    jobs = (Job.uuid == added_by, Job.state == PROCESSING, ~has_left(Job.managementNodeUuid))
    long_jobs = (LongJob.uuid == added_by, LongJob.state.in_(LONG_JOB_STATES), ~has_left(LongJob.managementNodeUuid))
    runs = exists(select(Job.uuid).where(*jobs)) | exists(select(LongJob.uuid).where(*long_jobs))
    return added_by.is_not(None) & ~runs
