"""docs/bounds.md names the bounds that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from imagestore_sim import outbox, yaml_text
from imagestore_sim.backup_storage import capacity, event_web_hooks, events
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.faults.base import MOST_ON_A_HOST
from imagestore_sim.lab_api import events as stream
from imagestore_sim.lab_api import image_sources, lab_time, records, request_log
from imagestore_sim.rest import journal, node_faults, response_cache, running_jobs
from imagestore_sim.rest.server import BODY_LIMIT
from imagestore_sim.rest.validation import MOST_ELEMENTS
from imagestore_sim.web_server import body_room
from imagestore_sim.web_server.runner import MOST_UNACCEPTED

PAGE = Path(__file__).parent.parent / "docs" / "bounds.md"
SESSIONS = zstack_options()["identity", "session.maxConcurrent"].default
RETRIES = event_web_hooks.RETRIES


def mib(size: int) -> str:
    return f"{size / 2**20:g} MiB"


BOUNDS = {
    "connections": [f"{MOST_UNACCEPTED:,}"],
    "body of a call": [mib(BODY_LIMIT)],
    "bootstrap file sent to `/lab/v1/snapshot`": [mib(records.BYTES), f"{yaml_text.MOST_NODES:,}"],
    f"bodies of more than {body_room.SMALL / 1024:g} KiB, all together": [
        mib(body_room.MOST_BYTES),
        f"{body_room.MOST_WAITING} others",
        f"{body_room.ROOM_SECONDS:g} s",
    ],
    "elements of a list in a call, such as tags": [f"{MOST_ELEMENTS:,}"],
    "sessions of a user": [SESSIONS],
    "polls of running jobs that wait for the end": [str(running_jobs.MOST_POLLS)],
    "requests that wait to move the lab's clock": [f"{lab_time.MOST_WAITING:,}"],
    "clients that wait for a request (`/lab/v1/requests/wait`)": [f"{request_log.MOST_WAITING:,}"],
    "faults of the management plane, at once": [str(node_faults.MOST_FAULTS)],
    "faults of a host, at once": [f"{MOST_ON_A_HOST:,}"],
    "sources of images": [f"{image_sources.MOST_SOURCES:,}"],
    "stored events": [f"{events.KEPT_EVENTS:,}"],
    "clients of `/lab/v1/events`": [f"{stream.MOST_STREAMS:,}"],
    "events that wait for one of them": [f"{stream.LIMIT:,}"],
    "a client that reads nothing": [f"{stream.SECONDS_A_WRITE:g} s"],
    "events that wait until it is found which web hooks get them": [f"{event_web_hooks.MOST_UNREAD:,}"],
    "posts that wait for one receiver": [f"{outbox.MOST_WAITING_FOR_ONE:,}"],
    "posts that wait for all receivers": [f"{outbox.MOST_WAITING:,}", mib(outbox.MOST_BYTES)],
    "posts under way": [
        f"{outbox.MOST_AT_ONCE}, and {outbox.MOST_SLOW_AT_ONCE} to receivers",
        f"{outbox.SLOW_AFTER:g} s",
        f"{outbox.MOST_AT_ONCE_TO_ONE} to one",
    ],
    f"a receiver that has not answered within {outbox.SLOW_AFTER:g} s": [f"one in {outbox.SLOW_SECONDS:g} s"],
    "an attempt": [f"{RETRIES.timeout:g} s", {6: "six attempts"}[RETRIES.attempts]],
    "journal of requests": [f"{journal.MOST_REQUESTS:,}", mib(journal.MOST_BYTES)],
    "answers that are kept while the store is unchanged": [mib(response_cache.MAX_BYTES)],
    "capacities of a storage": [f"{capacity.KEPT_CAPACITIES:,}"],
}
"""What the rows of the page say, by what they are about."""


def test_the_page_names_each_bound_as_the_code_has_it() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    del rows["what"]
    assert rows.keys() == BOUNDS.keys()
    for what, values in BOUNDS.items():
        for value in values:
            assert value in rows[what], f"{what}: {value}"
