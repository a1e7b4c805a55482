"""`/lab/v1/stories`: the library of failure stories, and their plays on this lab, one at a time.

A play is watched by `GET /lab/v1/stories/{name}/plays/{id}`: its steps get their states and verdicts as they happen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, with_body
from imagestore_sim.lab_api.story_shapes import PlayShape, PlayToBegin, StoriesShape, WholeStoryShape

NO_STORY = "there is no such story"
NO_PLAY = "there is no such play among the latest"
NO_LIBRARY = "this node was started without the library of stories; imagestore-sim lab and serve have it"


class NoStory(Exception):
    """There is no story of that name, or no such play of it."""


class CannotPlay(Exception):
    """The story cannot be played now, or not on this node; the text says why."""


class Stories(Protocol):
    """The library of stories, and their plays on the lab."""

    async def library(self) -> StoriesShape:
        """Return every story."""

    async def story(self, name: str) -> WholeStoryShape:
        """Return one story. Raise NoStory."""

    async def begin(self, name: str, how: PlayToBegin) -> PlayShape:
        """Begin to play a story. Raise NoStory, CannotPlay."""

    def play(self, name: str, identity: str) -> PlayShape:
        """Return a play as it is now. Raise NoStory."""

    def report(self, name: str, identity: str) -> str:
        """Return a page about a play, as `replay --report` writes it. Raise NoStory, and CannotPlay before its end."""

    def stop(self, name: str, identity: str) -> PlayShape:
        """End a play before its end; the lab is restored. Raise NoStory."""


OpenStories = Callable[[], Awaitable[Stories]]
"""Returns the library, which is opened when it is first asked for."""


class StoriesRoutes:
    """Serves `/lab/v1/stories`."""

    def __init__(self, open_stories: OpenStories | None) -> None:
        """Without a library every call is a 404."""
        self._open = open_stories

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        stories = "/lab/v1/stories"
        story, plays, play = f"{stories}/{{name}}", f"{stories}/{{name}}/plays", f"{stories}/{{name}}/plays/{{id}}"
        unknown, no_play = {404: NO_STORY}, {404: NO_PLAY}
        busy = {404: NO_STORY, 409: "another story is being played, or this one cannot be played on this node"}
        begin = with_body(PlayToBegin, self.begin)
        early = no_play | {409: "the play has not ended"}
        return [
            Route("GET", stories, "The library of failure stories", Handler(self.show_all), StoriesShape,
                  problems={404: NO_LIBRARY}),
            Route("GET", story, "A story: its file, its steps", Handler(self.show), WholeStoryShape, problems=unknown),
            Route("POST", plays, "Play a story on this lab", begin, PlayShape, 202, busy),
            Route("GET", play, "A play, with its verdicts so far", Handler(self.show_play), PlayShape,
                  problems=no_play),
            Route("DELETE", play, "Stop a play; the lab is restored", Handler(self.stop), PlayShape, 202, no_play),
            Route("GET", f"{play}/report", "The report of a play that has ended, as a page", Handler(self.report), None,
                  problems=early, answer_media="text/html"),
        ]  # fmt: skip

    async def show_all(self, request: web.Request) -> Answer:
        """Return every story."""
        return await (await self._stories()).library()

    async def show(self, request: web.Request) -> Answer:
        """Return a story. Raise Refused."""
        try:
            return await (await self._stories()).story(request.match_info["name"])
        except NoStory:
            raise Refused(404, NO_STORY) from None

    async def begin(self, request: web.Request, how: PlayToBegin) -> Answer:
        """Begin a play. Raise Refused."""
        try:
            return await (await self._stories()).begin(request.match_info["name"], how)
        except NoStory:
            raise Refused(404, NO_STORY) from None
        except CannotPlay as problem:
            raise Refused(409, str(problem)) from None

    async def show_play(self, request: web.Request) -> Answer:
        """Return a play. Raise Refused."""
        try:
            return (await self._stories()).play(*_place(request))
        except NoStory:
            raise Refused(404, NO_PLAY) from None

    async def stop(self, request: web.Request) -> Answer:
        """Stop a play. Raise Refused."""
        try:
            return (await self._stories()).stop(*_place(request))
        except NoStory:
            raise Refused(404, NO_PLAY) from None

    async def report(self, request: web.Request) -> Answer:
        """Return the report of a play. Raise Refused."""
        try:
            text = (await self._stories()).report(*_place(request))
        except NoStory:
            raise Refused(404, NO_PLAY) from None
        except CannotPlay as problem:
            raise Refused(409, str(problem)) from None
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _stories(self) -> Stories:
        if self._open is None:
            raise Refused(404, NO_LIBRARY)
        return await self._open()


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["name"], request.match_info["id"]
