"""The log of a run: every step, event, request and verdict, alike for the same file and seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from imagestore_sim.scenario.play.posts import LOOPBACK, PATH

_RECEIVER = re.compile(rf"http://{re.escape(LOOPBACK)}:\d+(?={PATH})")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class EventLog:
    """Appends entries to `entries`, each with the time of the story."""

    def __init__(self, entries: list[dict[str, Any]], now: Callable[[], float], folder: Path) -> None:
        self._entries = entries
        self._now = now
        self._folder = folder
        self._keys: dict[str, int] = {}

    def add(self, kind: str, **values: object) -> None:
        """Append an entry: `at`, `kind`, and the values."""
        entry = {"at": self._now(), "kind": kind, **values}
        text = orjson.dumps(entry).decode()
        stable = self.stable(text)
        self._entries.append(entry if stable == text else orjson.loads(stable))

    def stable(self, text: str) -> str:
        """Return `text` without what differs from run to run.

        The world's folder is removed, and so is the port where a client under test, or the oracle, gets posts. The
        fingerprints of host keys, which each run generates, are numbered in the order in which they come.
        """

        def numbered(match: re.Match[str]) -> str:
            return f"SHA256:key-{self._keys.setdefault(match[0], len(self._keys) + 1)}"

        return _FINGERPRINT.sub(numbered, _RECEIVER.sub("http://client", text.replace(f"{self._folder}/", "")))
