"""What images weigh: sources by the globs of their urls, and a seeded size for every other url."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from imagestore_sim.globs import glob_matcher

MIB, GIB = 2**20, 2**30
SMALLEST, LARGEST = 256, 2048
"""MiB that an image without a source takes at least and at most."""
RATE = GIB
"""Bytes per second at which an image comes from a source that names no rate."""
WHOLE = ("raw", "iso")
"""Formats of images that take all of their size."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Images whose url matches a glob. Sizes are bytes, `rate` bytes per second; what is None follows from the url.

    With `error`, a download fails with that text.
    """

    url: str
    size: int | None = None
    actual_size: int | None = None
    format: str | None = None
    rate: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ImageWeight:
    """What one image weighs: `size` is that of the virtual disk, `actual_size` that of its file, in bytes."""

    size: int
    actual_size: int
    rate: int
    md5: str
    format: str | None = None
    error: str | None = None


def added(new: Sequence[ImageSource], sources: Sequence[ImageSource]) -> tuple[ImageSource, ...]:
    """Return sources with new ones before them, in place of those with the same glob."""
    globs = {one.url for one in new}
    return (*new, *(one for one in sources if one.url not in globs))


class ImageSources:
    """The sources of images, of which the first that matches a url counts.

    They last as long as the node runs. Of several nodes, all have the same: see `images.stored_sources`.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sources: tuple[ImageSource, ...] = ()
        self._matchers: dict[str, Callable[[str], bool]] = {}
        """By their globs; each is compiled when it is first compared."""

    def all(self) -> tuple[ImageSource, ...]:
        """Return the sources, the first to match first."""
        return self._sources

    def replace(self, sources: Iterable[ImageSource]) -> None:
        """Take these sources in place of all others."""
        self._sources = tuple(sources)
        self._matchers.clear()

    def add(self, sources: Iterable[ImageSource]) -> None:
        """Put sources before the others, in place of those with the same glob."""
        self._sources = added(tuple(sources), self._sources)

    def declared(self, url: str) -> bool:
        """Return whether a source matches a url."""
        return self._source_of(url) is not None

    def weigh(self, url: str, image_format: str, length: int = 0) -> ImageWeight:
        """Return what the image at `url` weighs: always the same for the same url, seed and sources.

        `length` is what a web server says of a url without a source, in bytes; 0 if it is not known.
        """
        source = self._source_of(url) or ImageSource(url)
        drawn = hashlib.sha256(f"{self._seed}/{url}".encode()).digest()
        seeded = (SMALLEST + int.from_bytes(drawn[:4]) % (LARGEST - SMALLEST + 1)) * MIB
        actual = source.actual_size
        if actual is None:
            actual = length or (seeded if source.size is None else min(seeded, source.size))
        whole = (source.format or image_format) in WHOLE
        size = source.size
        if size is None:
            size = actual if whole else -(-actual * 4 // GIB) * GIB
        md5 = hashlib.md5(f"{url}/{size}/{actual}".encode(), usedforsecurity=False).hexdigest()
        return ImageWeight(size, actual, source.rate or RATE, md5, source.format, source.error)

    def _source_of(self, url: str) -> ImageSource | None:
        return next((one for one in self._sources if self._matches(one.url, url)), None)

    def _matches(self, glob: str, url: str) -> bool:
        matches = self._matchers.get(glob)
        if matches is None:
            matches = self._matchers[glob] = glob_matcher(glob)
        return matches(url)
