"""Records what happens on a running node, from its stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp

from imagestore_sim.backup_storage.events import Event as BackupStorageEvent
from imagestore_sim.backup_storage.global_config import CATEGORY, PING_INTERVAL, PING_MODE
from imagestore_sim.scenario.recording.recording import Event, Recording
from imagestore_sim.scenario.worlds.event_stream import open_stream
from imagestore_sim.tasks import cancel_and_wait, until_done_or_set
from imagestore_sim.testing.client import CallFailed, Client, plain_reason

GONE = "the node has ended, or cannot be reached any more"
ENDED = "the node has ended the stream of events"


async def follow_node(
    url: str,
    stop: asyncio.Event,
    *,
    account: str,
    password: str,
    lab_token: str | None = None,
    began: Callable[[], None] = lambda: None,
) -> Recording:
    """Record a node's events until `stop` is set, or the node is lost. Call `began` once it records.

    Until it records, raise CallFailed, aiohttp.ClientError, TimeoutError, ValueError where something else than a node
    answers; raise EventsMissed when events are lost.
    """
    async with Client(url) as client, open_stream(url, lab_token=lab_token) as stream:
        await client.log_in(account, password)
        storages = await client.query("/backup-storage/image-store")
        try:
            interval = int(await _option(client, PING_INTERVAL.name) or "")
        except ValueError:
            raise ValueError("does not answer as a management node does: it has no ping.interval") from None
        images = await client.query("/images")
        mode = await _option(client, PING_MODE.name) or PING_MODE.default
        recording = Recording(url, await _time_of(client), 0.0, interval, storages, ping_mode=mode, images=images)
        events: list[Event] = []
        reading = asyncio.ensure_future(_read_into(events, stream))
        began()
        await until_done_or_set(reading, stop)
        await cancel_and_wait(reading)
        if not reading.cancelled():
            recording.lost = _why_it_ended(reading)
        recording.events = events
        try:
            recording.ended = await _time_of(client)
        except (CallFailed, aiohttp.ClientError, OSError, ValueError):  # keep what was recorded
            recording.ended = max((one["time"] for one in events), default=recording.began)
            recording.lost = GONE
    return recording


def _why_it_ended(reading: asyncio.Future[None]) -> str:
    """Return why a node's stream of events has ended. Raise EventsMissed."""
    try:
        reading.result()
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return plain_reason(error)
    return ENDED


async def _option(client: Client, name: str) -> str | None:
    """Return the value of an option about storages, or None where the node has no such option."""
    found = await client.query("/global-configurations", f"name={name}", f"category={CATEGORY}")
    try:
        return str(found[0]["value"]) if found else None
    except (KeyError, TypeError):
        return None


async def _time_of(client: Client) -> float:
    """Return the node's own time, which may be virtual, in epoch seconds."""
    answer = await client.call("PUT", "/management-nodes/actions", {"getCurrentTime": {}})
    try:
        milliseconds: int = answer["currentTime"]["MillionSeconds"]
        return milliseconds / 1000
    except (KeyError, TypeError):
        raise ValueError("does not answer as a management node does: it has no time") from None


async def _read_into(events: list[Event], stream: AsyncIterator[BackupStorageEvent]) -> None:
    async for event in stream:
        events.append(event.to_json())
