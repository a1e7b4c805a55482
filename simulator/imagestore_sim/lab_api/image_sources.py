"""`/lab/v1/image-sources`: what the images weigh that clients add.

GET  /lab/v1/image-sources     all sources; of those that match a url, the first counts
PUT  /lab/v1/image-sources     replaces all of them
POST /lab/v1/image-sources     puts sources before the others, in place of those with the same glob
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from aiohttp import web
from pydantic import Field

from imagestore_sim.images.sources import ImageSource, ImageSources
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


class ImageSourcesRoutes:
    """Serves `/lab/v1/image-sources`."""

    def __init__(self, sources: ImageSources, tell_others: Callable[[], Awaitable[None]]) -> None:
        """`tell_others` is awaited after each change, for nodes that share the store."""
        self._sources = sources
        self._tell_others = tell_others

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        invalid = {400: "a field cannot be used"}
        replace = "Replace all sources of images"
        add = "Put sources of images before the others"
        return [
            Route("GET", PATH, "What the images weigh that clients add", Handler(self.show), ImageSourcesShape),
            Route("PUT", PATH, replace, with_body(ImageSourcesShape, self.put), ImageSourcesShape, problems=invalid),
            Route("POST", PATH, add, with_body(ImageSourcesShape, self.post), ImageSourcesShape, problems=invalid),
        ]

    async def show(self, request: web.Request) -> Answer:
        """Return all sources; of those that match the url of an image, the first counts."""
        return ImageSourcesShape(sources=tuple(_shape(one) for one in self._sources.all()))

    async def put(self, request: web.Request, body: ImageSourcesShape) -> Answer:
        """Replace all sources, and return them."""
        self._sources.replace(_source(one) for one in body.sources)
        await self._tell_others()
        return await self.show(request)

    async def post(self, request: web.Request, body: ImageSourcesShape) -> Answer:
        """Put sources before the others, in place of those with the same glob, and return all."""
        globs = {one.url for one in body.sources}
        in_all = len(body.sources) + sum(one.url not in globs for one in self._sources.all())
        if in_all > MOST_SOURCES:
            raise Refused(400, f"sources: there would be {in_all}, and {MOST_SOURCES} are kept at most")
        self._sources.add(_source(one) for one in body.sources)
        await self._tell_others()
        return await self.show(request)


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
