"""Addresses of host names from files in the format of /etc/hosts (`--hosts-file`), as those of a fleet of hosts.

A line may have another host name in place of the address: hosts at one address, which is found when it is needed. A
line may be about one port, `ADDRESS:PORT NAME:PORT`: that port of the name is at the port of the address.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from imagestore_sim import whole_files
from imagestore_sim.clock import Clock
from imagestore_sim.host_names import is_host_name
from imagestore_sim.in_flight import under_way
from imagestore_sim.probe.resolving import Address, Resolve, literal_address
from imagestore_sim.settings import LAST_PORT

logger = logging.getLogger(__name__)
_LETTER = re.compile("[A-Za-z][^.]*$")  # in the last part of a name; that of an address is a number
_WITH_PORT = re.compile(r"(\[[^]]+\]|[^:]+):([0-9]{1,5})", re.ASCII)
_LOOK_SECONDS = 1.0  # between two looks whether a file has changed


class _Places(NamedTuple):
    """What the files say. Names are in lower case; an address may be another host name."""

    addresses: dict[str, str]
    ports: dict[tuple[str, int], Address]
    """By name and port."""


class HostsFiles:
    """Resolves the names in some files, and leaves all others to another resolver. It follows changes of the files."""

    def __init__(self, files: Sequence[Path], clock: Clock, others: Resolve) -> None:
        """Read the files; of two addresses for a name the first counts. Raise ValueError for what cannot be used."""
        self._files = files
        self._clock = clock
        self._others = others
        self._changed: list[int] = []
        self._looked = clock.monotonic()
        self._places = self._read()

    def __contains__(self, hostname: str) -> bool:
        return hostname.lower() in self._places.addresses

    async def __call__(self, hostname: str, port: int) -> Address:
        """Return the address of a port of `hostname`. Raise OSError as the other resolver does."""
        await self._follow()
        name, places = hostname.lower(), self._places
        found, port = places.ports.get((name, port)) or (places.addresses.get(name, ""), port)
        return (found, port) if literal_address(found) else await self._others(found or hostname, port)

    async def _follow(self) -> None:
        now = self._clock.monotonic()
        if not self._files or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            with under_way():
                self._places = await asyncio.to_thread(self._read_if_changed)
        except ValueError as error:
            logger.warning("%s; the addresses that were known still count", error)

    def _read_if_changed(self) -> _Places:
        return self._places if self._times() == self._changed else self._read()

    def _read(self) -> _Places:
        self._changed = self._times()
        found = _Places({}, {})
        for file in self._files:
            try:
                text = whole_files.read_text(file, errors="surrogateescape")
            except OSError as error:
                raise ValueError(f"hosts file {file}: {error.strerror}") from error
            for name, port, place in _entries(text, file):
                if port is None:
                    found.addresses.setdefault(name, place[0])
                else:
                    found.ports.setdefault((name, port), place)
        return found

    def _times(self) -> list[int]:
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in self._files]


def _entries(text: str, file: Path) -> Iterator[tuple[str, int | None, Address]]:
    """Yield each name, in lower case, with its port, None for any, and the place of that. Raise ValueError."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            yield from _entries_of(words)
        except ValueError:
            raise ValueError(
                f"hosts file {file}, line {number}: expected ADDRESS NAME, or ADDRESS:PORT NAME:PORT, but got {line!r}"
            ) from None


def _entries_of(words: Sequence[str]) -> Iterator[tuple[str, int | None, Address]]:
    """Yield what the words of a line say. Raise ValueError."""
    place, port = _parted(words[0])
    place = literal_address(place) or place
    if len(words) == 1 or not (literal_address(place) or (_LETTER.search(place) and is_host_name(place))):
        raise ValueError(words)
    for word in words[1:]:
        name, of_name = _parted(word)
        if (of_name is None) is not (port is None):
            raise ValueError(word)
        yield name.lower(), of_name, (place, port or 0)


def _parted(word: str) -> tuple[str, int | None]:
    """Return a word without the port at its end, and the port; None without one. Raise ValueError for no such port."""
    if ":" not in word or literal_address(word) or not (match := _WITH_PORT.fullmatch(word)):
        return word, None
    if not 0 < int(match[2]) <= LAST_PORT:
        raise ValueError(word)
    return match[1], int(match[2])
