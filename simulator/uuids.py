"""New uuids: nobody can guess them, except in virtual time, where the same run has the same ones each time."""

from __future__ import annotations

import asyncio
import uuid

from simulator.virtual_clock import VirtualEventLoop


def new_uuid() -> str:
    """The 32 hex digits of a version 4 uuid, as ZStack writes it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return uuid.uuid4().hex
    if isinstance(loop, VirtualEventLoop):
        return uuid.UUID(int=loop.random.getrandbits(128), version=4).hex
    return uuid.uuid4().hex
