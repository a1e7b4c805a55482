"""Where an event is posted: the addresses of the web hooks whose `opaque` matches its path.

A change of one hook costs what that hook does, and an event what its hooks do, however many others there are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from imagestore_sim.globs import glob_matcher, shortest_match

ANY_TEXT = re.compile(r"\*+")
WILDCARD = re.compile(r"[*?.{]")
LONGEST_PATH = 255
"""Characters of the longest path of an event: a glob that requires more matches none."""
MOST_PATHS = 64
"""Paths for which it is known which globs match; there are fewer kinds of events."""
GLOBS_OF_A_TURN = 2000
"""Globs that are matched before the event loop has its turn."""


@dataclass(frozen=True, slots=True)
class HookRow:
    """A hook of events, as it is stored."""

    uuid: str
    url: str
    opaque: str


@dataclass(frozen=True, slots=True)
class _Group:
    """The hooks that have one `opaque`, by uuid; its glob is compiled once."""

    matches: Callable[[str], bool]
    urls: dict[str, str] = field(default_factory=dict)


class HookAddresses:
    """The hooks of events."""

    def __init__(self, hooks: Iterable[HookRow] = ()) -> None:
        self._opaques: dict[str, str] = {}
        """By the uuid of the hook."""
        self._groups: dict[str, _Group] = {}
        """By `opaque`."""
        self._matching: dict[str, dict[str, _Group]] = {}
        """The groups that match a path, for each path that was asked for."""
        for hook in hooks:
            self.put(hook)

    def put(self, hook: HookRow) -> None:
        """Add a hook, or change it."""
        self.remove(hook.uuid)
        group = self._groups.get(hook.opaque)
        if group is None:
            group = self._groups[hook.opaque] = _Group(matcher(hook.opaque))
            for path, matching in self._matching.items():
                if group.matches(path):
                    matching[hook.opaque] = group
        group.urls[hook.uuid] = hook.url
        self._opaques[hook.uuid] = hook.opaque

    def remove(self, uuid: str) -> None:
        """Remove a hook, if it is there."""
        opaque = self._opaques.pop(uuid, None)
        if opaque is None:
            return
        urls = self._groups[opaque].urls
        del urls[uuid]
        if not urls:
            del self._groups[opaque]
            for matching in self._matching.values():
                matching.pop(opaque, None)

    async def of(self, path: str) -> list[str]:
        """Return the addresses that get an event, in the order of the uuids of their hooks."""
        matching = self._matching.get(path)
        if matching is None:
            matching = await self._match(path)
        hooks = (hook for group in matching.values() for hook in group.urls.items())
        return [url for _, url in sorted(hooks)]

    async def _match(self, path: str) -> dict[str, _Group]:
        """Find the groups that match a path, which `put` and `remove` follow from now on."""
        matching = self._matching[path] = {}
        if len(self._matching) > MOST_PATHS:
            del self._matching[next(iter(self._matching))]
        for number, (opaque, group) in enumerate(list(self._groups.items()), 1):
            if group.matches(path):
                matching[opaque] = group
            if number % GLOBS_OF_A_TURN == 0:
                await asyncio.sleep(0)
        gone = [opaque for opaque, group in matching.items() if self._groups.get(opaque) is not group]
        for opaque in gone:
            del matching[opaque]
        return matching


def matcher(opaque: str) -> Callable[[str], bool]:
    """Return whether a path matches a hook's `opaque`: `*` and `?` as usual, `.` any character, `{…}` one or more."""
    if not WILDCARD.search(opaque):
        return opaque.__eq__
    first, last = opaque.find("{"), opaque.rfind("}")
    if 0 <= first < last:
        opaque = f"{opaque[:first]}?*{opaque[last + 1 :]}"
    glob = ANY_TEXT.sub("*", opaque)
    if shortest_match(glob) > LONGEST_PATH:
        return lambda path: False
    return glob_matcher(glob.replace(".", "?").replace("[", "[[]"))
