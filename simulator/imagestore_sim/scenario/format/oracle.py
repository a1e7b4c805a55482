"""The names of the oracle's invariants, which a story may ask for: they hold in every story, whatever goes wrong in it.

What each says is decided by `explore.oracle`, once the story has ended.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from imagestore_sim.scenario.format.schema import unknown


class OracleName(StrEnum):
    """An invariant of the oracle."""

    STATUS_MOVES = "status-moves"
    PING_NEVER_CONNECTS = "ping-never-connects"
    CAPACITY_STANDS_STILL = "capacity-stands-still"
    EVENTS_TELL_ALL = "events-tell-all"
    EVENTS_ARE_STORED = "events-are-stored"
    HOOKS_ARE_EVENTS = "hooks-are-events"
    JOBS_END_ONCE = "jobs-end-once"
    LONG_JOBS_END_ONCE = "long-jobs-end-once"
    ANSWERS_ARE_TRUE = "answers-are-true"
    CHANGES_SURVIVE = "changes-survive"
    ONE_PROBE_A_HOST = "one-probe-a-host"
    PINGS_ARE_BOUNDED = "pings-are-bounded"
    ONE_NODE_A_STORAGE = "one-node-a-storage"
    OWNERS_WRITE = "owners-write"
    EVENTS_IN_ORDER = "events-in-order"
    WRITES_ARE_READ = "writes-are-read"
    READS_ARE_CURRENT = "reads-are-current"
    PAGES_ARE_WHOLE = "pages-are-whole"
    ONE_STORAGE_A_HOST = "one-storage-a-host"
    IMAGES_HAVE_BITS = "images-have-bits"
    NO_ERRORS = "no-errors"
    PROGRAM_ENDS_WELL = "program-ends-well"
    ALL_CONNECTED = "all-connected"
    CAPACITY_IS_MEASURED = "capacity-is-measured"
    NO_JOB_IS_OPEN = "no-job-is-open"
    ONE_CONNECTION_A_HOST = "one-connection-a-host"
    NODES_AGREE = "nodes-agree"
    NOTHING_IS_LEFT = "nothing-is-left"


OF_SEVERAL_NODES = frozenset(
    (
        OracleName.ONE_NODE_A_STORAGE,
        OracleName.OWNERS_WRITE,
        OracleName.EVENTS_IN_ORDER,
        OracleName.WRITES_ARE_READ,
        OracleName.NODES_AGREE,
    )
)
"""Those that `all` means in stories of several nodes only."""
ALL = "all"


def _parse(value: object) -> tuple[OracleName, ...]:
    if value == ALL:
        return tuple(OracleName)
    given = value if isinstance(value, list | tuple) else [value]
    names = [str(one) for one in given]
    for name in names:
        if name not in tuple(OracleName):
            raise ValueError(unknown(name, [ALL, *OracleName]))
    return tuple(OracleName(name) for name in names)


_NAME = {"type": "string", "enum": [*OracleName]}
OracleNames = Annotated[
    tuple[OracleName, ...],
    BeforeValidator(_parse),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "enum": [ALL, *OracleName]}, {"type": "array", "items": _NAME, "minItems": 1}]}
    ),
]
"""`all`, one name, or a list of names."""
