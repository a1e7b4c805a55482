"""The events of a running node, as `/lab/v1/events` streams them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from imagestore_sim.backup_storage.events import Event
from imagestore_sim.masking import on_one_line
from imagestore_sim.testing.client import bearer

PATH = "/lab/v1/events"
LONGEST_SILENCE = 60.0
"""Real seconds after which the stream is taken for lost: a node gives a sign of life every fifteen."""


class EventsMissed(Exception):
    """Some events cannot be had any more: they came faster than they were read, or are stored no longer."""


@asynccontextmanager
async def open_stream(
    url: str, after: int | None = None, *, lab_token: str | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events from now on, or those after one of a number, until the node ends the stream.

    While the block runs none is missed. Raises aiohttp.ClientError, TimeoutError after a silence, and ValueError where
    no node answers; the events raise EventsMissed.
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


def _why_not(text: str, otherwise: str) -> str:
    """What the lab says in its `{"error": "…"}`, on one line; else what the status says."""
    try:
        why = orjson.loads(text)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return otherwise
    return on_one_line(why) if isinstance(why, str) else otherwise


def _reason(message: bytes) -> str:
    """Why some of them cannot be had, in words."""
    content = orjson.loads(message)
    if reason := content.get("reason"):
        return str(reason)
    return f"those up to number {content.get('forgotten')} are stored no longer"


def _event(message: Mapping[str, Any]) -> Event:
    return Event(
        message["id"],
        message["time"],
        message["path"],
        message["resourceUuid"],
        message["content"],
        message["correlation"],
    )
