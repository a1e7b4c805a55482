"""Base classes for objects that `async with` starts and stops, or only closes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closeable(ABC):
    """An object whose `async with` block ends in close()."""

    @abstractmethod
    async def close(self) -> None:
        """Release what the object holds."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Startable(ABC):
    """An object whose `async with` block begins with start() and ends in stop()."""

    @abstractmethod
    async def start(self) -> None:
        """Start. After an error there is nothing to stop."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop what start() has started."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
