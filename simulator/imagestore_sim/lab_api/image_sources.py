"""`/lab/v1/image-sources`: what the images weigh that clients add.

GET  /lab/v1/image-sources     all sources; of those that match a url, the first counts
PUT  /lab/v1/image-sources     replaces all of them
POST /lab/v1/image-sources     puts sources before the others, in place of those with the same glob
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Protocol

from aiohttp import web
from pydantic import Field

from imagestore_sim.images.sources import ImageSource, ImageSources, added
from imagestore_sim.images.stored_sources import Change
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_body
from imagestore_sim.units import Bytes

PATH = "/lab/v1/image-sources"
MOST_SOURCES = 1000


class ImageSourceShape(Shape):
    """Images whose url matches a glob; what is absent follows from the url."""

    url: str = Field(min_length=1, max_length=1024, description="glob of urls: `*`, `?`, `[…]`")
    size: Bytes | None = Field(None, description="bytes of the virtual disk")
    actual_size: Bytes | None = Field(None, description="bytes of the file")
    format: str | None = Field(None, max_length=32, description="what the file turns out to be")
    rate: Annotated[Bytes, Field(gt=0)] | None = Field(None, description="bytes per second")
    error: str | None = Field(None, max_length=1024, description="a download fails with this text")


class ImageSourcesShape(Shape):
    """Sources of images, the first to match first."""

    sources: tuple[ImageSourceShape, ...] = Field(max_length=MOST_SOURCES)


class SourceKeeper(Protocol):
    """Changes the sources of all nodes that share the store, one change at a time."""

    async def change(self, change: Change) -> Sequence[ImageSource]:
        """Change the sources, and return them. Raise StoreUnavailable, and what `change` raises."""


class ImageSourcesRoutes:
    """Serves `/lab/v1/image-sources`."""

    def __init__(self, sources: ImageSources, keeper: Callable[[], SourceKeeper | None]) -> None:
        """`keeper` returns None while the node starts."""
        self._sources = sources
        self._keeper_or_none = keeper

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        invalid = {400: "a field cannot be used", 503: "the node is starting"}
        replace = "Replace all sources of images"
        add = "Put sources of images before the others"
        return [
            Route("GET", PATH, "What the images weigh that clients add", Handler(self.show), ImageSourcesShape),
            Route("PUT", PATH, replace, with_body(ImageSourcesShape, self.put), ImageSourcesShape, problems=invalid),
            Route("POST", PATH, add, with_body(ImageSourcesShape, self.post), ImageSourcesShape, problems=invalid),
        ]

    async def show(self, request: web.Request) -> Answer:
        """Return all sources; of those that match the url of an image, the first counts."""
        return _shown(self._sources.all())

    async def put(self, request: web.Request, body: ImageSourcesShape) -> Answer:
        """Replace all sources, and return them."""
        new = [_source(one) for one in body.sources]
        return await self._change(lambda _: new)

    async def post(self, request: web.Request, body: ImageSourcesShape) -> Answer:
        """Put sources before the others, in place of those with the same glob, and return all."""
        return await self._change(partial(_added, [_source(one) for one in body.sources]))

    async def _change(self, change: Change) -> Answer:
        keeper = self._keeper_or_none()
        if keeper is None:
            raise Refused(503, "the management node is starting")
        return _shown(await keeper.change(change))


def _added(new: Sequence[ImageSource], sources: Sequence[ImageSource]) -> Sequence[ImageSource]:
    """Return sources with new ones before them. Raise Refused for too many."""
    found = added(new, sources)
    if len(found) > MOST_SOURCES:
        raise Refused(400, f"sources: there would be {len(found)}, and {MOST_SOURCES} are kept at most")
    return found


def _shown(sources: Sequence[ImageSource]) -> ImageSourcesShape:
    return ImageSourcesShape(sources=tuple(_shape(one) for one in sources))


def _source(shape: ImageSourceShape) -> ImageSource:
    return ImageSource(shape.url, shape.size, shape.actual_size, shape.format, shape.rate, shape.error)


def _shape(source: ImageSource) -> ImageSourceShape:
    return ImageSourceShape(
        url=source.url,
        size=source.size,
        actual_size=source.actual_size,
        format=source.format,
        rate=source.rate,
        error=source.error,
    )
