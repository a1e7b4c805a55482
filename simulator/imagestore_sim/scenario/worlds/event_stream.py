"""The events of a running node, as `/lab/v1/events` streams them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiohttp
import orjson

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.masking import on_one_line
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.testing.client import bearer

PATH = "/lab/v1/events"
LONGEST_SILENCE = 60.0
"""Real seconds after which the stream is taken for lost: a node sends a sign of life every fifteen."""
LONGEST_GAP = 10.0
"""Real seconds within which a stream that has broken off has to be opened again."""
RETRY_SECONDS = 0.1


class EventsMissed(Exception):
    """Some events are lost: they came faster than they were read, or are no longer stored."""


@asynccontextmanager
async def open_stream(
    url: str, after: int | None = None, *, lab_token: str | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """Yield the events from now on, or those after number `after`, until the node ends the stream.

    While the block runs, none is missed. Raise aiohttp.ClientError, TimeoutError after LONGEST_SILENCE, and ValueError
    where something else than a node answers; iterating raises EventsMissed.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=LONGEST_SILENCE, sock_read=LONGEST_SILENCE)
    headers = bearer(lab_token) | ({} if after is None else {"Last-Event-ID": str(after)})
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}{PATH}", headers=headers) as response:
        if not response.ok:
            why = _why_not(await response.text(errors="replace"), response.reason or "")
            raise aiohttp.ClientResponseError(
                response.request_info, response.history, status=response.status, message=why
            )
        if response.content_type != "text/event-stream":
            raise ValueError(f"does not answer as a management node does: GET {PATH} gives {response.content_type}")
        yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    name = ""
    async for line in response.content:
        field, _, value = line.rstrip(b"\r\n").partition(b": ")
        if field == b"event":
            name = value.decode()
        elif field == b"data" and name:
            raise EventsMissed(f"events were {name}: {_reason(value)}")
        elif field == b"data":
            yield _event(orjson.loads(value))


async def follow_events(
    url: str, concerns: Callable[[str], bool], on_event: OnEvent, listening: asyncio.Event, *, lab_token: str | None
) -> NoReturn:
    """Call `on_event` with every event that concerns a scenario; set `listening` once none is missed any more.

    `concerns` is asked with the uuid of the event's storage.

    A stream that breaks off is opened again where it was. Raise WorldProblem when that fails for LONGEST_GAP.
    """
    gap, latest = 0.0, None
    while gap < LONGEST_GAP:
        try:
            async with open_stream(url, latest, lab_token=lab_token) as events:
                listening.set()
                gap = 0.0
                async for event in events:
                    latest = event.id
                    if concerns(event.resource_uuid):
                        on_event(event)
        except EventsMissed as error:
            raise WorldProblem(f"{url}: {error}") from error
        except (aiohttp.ClientError, OSError, TimeoutError):
            gap += RETRY_SECONDS
        await asyncio.sleep(RETRY_SECONDS)  # real: another process is waited for
    raise WorldProblem(f"{url}: the stream of events has ended, and cannot be opened again")


def _why_not(text: str, otherwise: str) -> str:
    """Return the text of the lab's `{"error": "…"}` on one line, or `otherwise`."""
    try:
        why = orjson.loads(text)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return otherwise
    return on_one_line(why) if isinstance(why, str) else otherwise


def _reason(message: bytes) -> str:
    """Return why some events are lost, in words."""
    content = orjson.loads(message)
    if reason := content.get("reason"):
        return str(reason)
    return f"those up to number {content.get('forgotten')} are no longer stored"


def _event(message: Mapping[str, Any]) -> Event:
    return Event(
        message["id"],
        message["time"],
        message["path"],
        message["resourceUuid"],
        message["content"],
        message["correlation"],
    )
