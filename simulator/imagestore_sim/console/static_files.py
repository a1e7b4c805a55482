"""The files of the pages, read and compressed once in a process."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Self

from imagestore_sim.shipped import shipped

MEDIA = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""The media types of the files, by suffix. A file of another kind is not served."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    media: str
    plain: bytes
    compressed: bytes
    """The content, compressed by gzip."""
    tag: str
    """Its ETag, which changes with the content."""

    @classmethod
    def of(cls, content: bytes, media: str) -> Self:
        """Return a file of that content."""
        tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        return cls(media, content, gzip.compress(content, 9, mtime=0), tag)


def read_files() -> Mapping[str, StaticFile]:
    """Return every file of the pages by its path, such as `scripts/lib/dom.js`.

    The paths are those below `static`; `stories/NAME.svg` are the pictures of the stories.
    """
    root = resources.files("imagestore_sim.console") / "static"
    pictures = shipped("docs/stories")
    return dict([*_files(root, ""), *(_files(pictures, "stories/") if pictures.is_dir() else ())])


def _files(folder: Traversable, prefix: str) -> list[tuple[str, StaticFile]]:
    found: list[tuple[str, StaticFile]] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        media = MEDIA.get(f".{entry.name.rpartition('.')[2]}")
        if entry.is_dir():
            found += _files(entry, f"{prefix}{entry.name}/")
        elif media is not None:
            found.append((f"{prefix}{entry.name}", StaticFile.of(entry.read_bytes(), media)))
    return found
