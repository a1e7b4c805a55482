"""Addresses of host names from files in the format of /etc/hosts (`--hosts-file`), as those of a fleet of hosts.

A line may have another host name in place of the address: hosts at one address, which is found when it is needed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagestore_sim.clock import Clock
from imagestore_sim.host_names import is_host_name
from imagestore_sim.in_flight import under_way
from imagestore_sim.probe.resolving import Address, Resolve, literal_address

logger = logging.getLogger(__name__)
_LETTER = re.compile("[A-Za-z][^.]*$")  # in the last part of a name; that of an address is a number
_LOOK_SECONDS = 1.0  # between two looks whether a file has changed


class HostsFiles:
    """Resolves the names in some files, and leaves all others to another resolver. It follows changes of the files."""

    def __init__(self, files: Sequence[Path], clock: Clock, others: Resolve) -> None:
        """Read the files; of two addresses for a name the first counts. Raise ValueError for what cannot be used."""
        self._files = files
        self._clock = clock
        self._others = others
        self._changed: list[int] = []
        self._looked = clock.monotonic()
        self._addresses = self._read()

    def __contains__(self, hostname: str) -> bool:
        return hostname.lower() in self._addresses

    async def __call__(self, hostname: str, port: int) -> Address:
        """Return the address of `hostname`. Raise OSError as the other resolver does."""
        await self._follow()
        found = self._addresses.get(hostname.lower(), "")
        return (found, port) if literal_address(found) else await self._others(found or hostname, port)

    async def _follow(self) -> None:
        now = self._clock.monotonic()
        if not self._files or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            with under_way():
                self._addresses = await asyncio.to_thread(self._read_if_changed)
        except ValueError as error:
            logger.warning("%s; the addresses that were known still count", error)

    def _read_if_changed(self) -> dict[str, str]:
        return self._addresses if self._times() == self._changed else self._read()

    def _read(self) -> dict[str, str]:
        self._changed = self._times()
        found: dict[str, str] = {}
        for file in self._files:
            try:
                text = file.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise ValueError(f"hosts file {file}: {error.strerror}") from error
            for name, address in _entries(text, file):
                found.setdefault(name, address)
        return found

    def _times(self) -> list[int]:
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in self._files]


def _entries(text: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield each name, in lower case, with its address. Raise ValueError."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = literal_address(words[0]) or words[0]
        if len(words) == 1 or not (literal_address(place) or (_LETTER.search(place) and is_host_name(place))):
            raise ValueError(f"hosts file {file}, line {number}: expected ADDRESS NAME, but got {line!r}")
        for name in words[1:]:
            yield name.lower(), place
