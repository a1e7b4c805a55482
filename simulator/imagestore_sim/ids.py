"""New uuids: nobody can guess them, except where a seed was given, so that the same calls have the same ones each time.

Each purpose draws from a stream of its own: how many pings there were, or polls, changes no resource's uuid.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from typing import Literal
from weakref import WeakKeyDictionary

from imagestore_sim.virtual_clock import VirtualEventLoop

Purpose = Literal["resource", "session", "job", "request", "probe", "node"]
_seeded: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, random.Random]] = WeakKeyDictionary()
_seeds: WeakKeyDictionary[asyncio.AbstractEventLoop, str] = WeakKeyDictionary()


def new_uuid(purpose: Purpose = "resource") -> str:
    """The 32 hex digits of a version 4 uuid, as ZStack writes it."""
    draw = _drawing(purpose)
    return uuid.uuid4().hex if draw is None else uuid.UUID(int=draw(128), version=4).hex


def seed_uuids(seed: object) -> None:
    """Have the uuids of the running event loop follow from a seed, from their first on; with None nobody can guess
    them. A loop in virtual time begins with the seed that it has of its own."""
    loop = asyncio.get_running_loop()
    _seeded.pop(loop, None)
    if seed is None:
        _seeds.pop(loop, None)
    else:
        _seeds[loop] = str(seed)


def _drawing(purpose: str) -> Callable[[int], int] | None:
    """What draws bits for a purpose on the loop that runs; None where nobody is to guess them."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    seed = _seeds.get(loop)
    if seed is None:
        if not isinstance(loop, VirtualEventLoop):
            return None
        seed = str(loop.seed)
    streams = _seeded.setdefault(loop, {})
    if purpose not in streams:
        streams[purpose] = random.Random(f"{seed} {purpose}")  # noqa: S311 - to be the same each time is the point
    return streams[purpose].getrandbits
