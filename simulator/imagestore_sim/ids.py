"""New uuids: random, or drawn from a seed, so that the same calls give the same uuids in each run.

Each purpose draws from a stream of its own: the number of pings or polls before changes no uuid of a resource.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import string
import uuid
from collections.abc import Callable
from typing import Literal
from weakref import WeakKeyDictionary

from imagestore_sim.virtual_clock import VirtualEventLoop

Purpose = Literal["resource", "session", "lab session", "job", "request", "probe", "node", "access key", "add"]
LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_seeded: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, random.Random]] = WeakKeyDictionary()
_seeds: WeakKeyDictionary[asyncio.AbstractEventLoop, str] = WeakKeyDictionary()


def new_uuid(purpose: Purpose = "resource") -> str:
    """Return a new version 4 uuid as ZStack writes it: 32 hex digits."""
    draw = _drawing(purpose)
    return _random_uuid() if draw is None else uuid.UUID(int=draw(128), version=4).hex


def _random_uuid() -> str:
    """Return what `uuid.uuid4().hex` returns, in half the time."""
    drawn = bytearray(os.urandom(16))
    drawn[6] = drawn[6] & 0x0F | 0x40  # version 4
    drawn[8] = drawn[8] & 0x3F | 0x80  # of RFC 9562
    return drawn.hex()


def new_token(purpose: Purpose, length: int) -> str:
    """Return that many letters and digits, which nobody can guess unless uuids are drawn from a seed."""
    draw = _drawing(purpose)
    if draw is None:
        return "".join(secrets.choice(LETTERS_AND_DIGITS) for _ in range(length))
    return "".join(LETTERS_AND_DIGITS[draw(32) % len(LETTERS_AND_DIGITS)] for _ in range(length))


def seed_uuids(seed: object) -> None:
    """Draw the uuids of the running event loop from `seed`, beginning with the first; None makes them random.

    A loop in virtual time has a seed of its own, which it uses until this is called.
    """
    loop = asyncio.get_running_loop()
    _seeded.pop(loop, None)
    if seed is None:
        _seeds.pop(loop, None)
    else:
        _seeds[loop] = str(seed)


def _drawing(purpose: str) -> Callable[[int], int] | None:
    """Return what draws bits for a purpose on the running loop, None if uuids are random there."""
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
        streams[purpose] = random.Random(f"{seed} {purpose}")  # noqa: S311 - they are to be the same in each run
    return streams[purpose].getrandbits
