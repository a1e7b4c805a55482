"""Less memory for objects of libraries that a process has thousands of: connections that are open and idle."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Literal, TypeVar

T = TypeVar("T", bound=Hashable)
_SIMPLE = (type(None), bool, int, float, str, bytes)
_COMMON = "_imagestore_sim_common"


def share_attributes(one: object) -> None:
    """Take those attributes out of an object that its class has alike, and make its dictionary as small as can be.

    The first object of a class gives the class its attributes that are None, numbers, texts or bytes. Reading one finds
    it there; writing one gives the object its own again.
    """
    kind = type(one)
    attributes = vars(one)
    if _COMMON not in vars(kind):
        plain = {
            name: value for name, value in attributes.items() if type(value) in _SIMPLE and not hasattr(kind, name)
        }
        for name, value in plain.items():
            setattr(kind, name, value)
        setattr(kind, _COMMON, plain)
    common = vars(kind)[_COMMON]
    one.__dict__ = {
        name: value
        for name, value in attributes.items()
        if name not in common or type(value) is not type(common[name]) or value != common[name]
    }


def shared(value: T) -> T:
    """Return the one object for all values that are equal to this one; 128 values are remembered."""
    found: T = _remembered(value)
    return found


@lru_cache(maxsize=128)
def _remembered(value: Hashable) -> Any:
    return value


class LeanEvent(asyncio.Event):
    """An Event that takes a tenth of the memory while no task waits for it."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self._set = False

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and wake the tasks that wait."""
        self._set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        """Have tasks wait from now on."""
        self._set = False
        self._event = None

    async def wait(self) -> Literal[True]:
        """Wait until it is set."""
        if not self._set:
            self._event = self._event or asyncio.Event()
            await self._event.wait()
        return True
