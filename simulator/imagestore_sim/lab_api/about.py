"""`GET /lab/v1/about`: what this node is, and what it allows."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from pydantic import Field

from imagestore_sim import __version__
from imagestore_sim.clock import Clock, is_adjustable
from imagestore_sim.lab_api.guard import Guard
from imagestore_sim.lab_api.routes import Answer, Handler, Route, Shape


class AboutShape(Shape):
    """A node, and what may be done with it."""

    version: str = Field(description="of imagestore-sim")
    zstack: str = Field(description="the version of ZStack that it answers as")
    strict: bool = Field(description="whether it refuses what ZStack refuses, even if some clients rely on leniency")
    seed: int = Field(description="of everything random")
    ready: bool = Field(description="whether it has started; `/readyz` says what it waits for")
    may_change: bool = Field(description="whether `/lab/v1` changes things; false: start the node with --lab-api")
    token_needed: bool = Field(description="whether calls of `/lab/v1` need the token of --lab-token")
    has_hosts: bool = Field(description="whether it has simulated hosts; false: it probes hosts of other machines")
    shares_store: bool = Field(description="whether other nodes may share its store; `/lab/v1/nodes` lists them")
    clock_adjustable: bool = Field(description="whether its clock can be paused, stepped and sped up")


class AboutRoutes:
    """Serves `/lab/v1/about`, also while the node starts."""

    def __init__(
        self,
        guard: Guard,
        clock: Clock,
        *,
        zstack: str,
        strict: bool,
        seed: int,
        has_hosts: bool,
        ready: Callable[[], bool],
        shares_store: Callable[[], bool],
    ) -> None:
        self._about = AboutShape(
            version=__version__,
            zstack=zstack,
            strict=strict,
            seed=seed,
            ready=False,
            may_change=guard.may_change,
            token_needed=guard.needs_token,
            has_hosts=has_hosts,
            shares_store=False,
            clock_adjustable=is_adjustable(clock),
        )
        self._ready = ready
        self._shares_store = shares_store

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        return [Route("GET", "/lab/v1/about", "What this node is, and what it allows", Handler(self.show), AboutShape)]

    async def show(self, request: web.Request) -> Answer:
        """Return the versions of the node, and which calls it allows to whom."""
        return self._about.model_copy(update={"ready": self._ready(), "shares_store": self._shares_store()})
