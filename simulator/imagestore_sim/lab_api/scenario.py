"""POST /lab/v1/scenario: what was done on this lab by hand, as a scenario that `imagestore-sim replay` takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import ConfigDict, Field, model_validator

from imagestore_sim.clock import Clock
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.hosts.windows import host_windows
from imagestore_sim.lab_api.call_history import CallHistory
from imagestore_sim.lab_api.lab_hosts import LabHosts
from imagestore_sim.lab_api.routes import Answer, Moment, Refused, Route, Shape, with_body
from imagestore_sim.lab_api.story import Call, HostFacts, Story, StoryProblem, StoryWriter
from imagestore_sim.settings import Settings

PATH = "/lab/v1/scenario"
NOT_HERE = "this node cannot write scenarios: `imagestore-sim lab` and `serve` can"
OF_SCENARIOS = ("probe_connection", "probe_keep_alive", "host_keys", "strict", "read_only_hosts", "write_images")
"""The settings of a node that a scenario can have, too."""


class StoryToWrite(Shape):
    """Which time the story is of. Without `from`, it begins with the first thing that was done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "A cable is pulled", "check": True}]})

    began: Moment | None = Field(None, alias="from", description="seconds since the epoch, by the lab's clock")
    ended: Moment | None = Field(None, alias="to", description="seconds since the epoch; now if unset")
    title: str | None = Field(None, min_length=1, max_length=200, description="what the scenario is called")
    check: bool = Field(False, description="also play it, in a process of its own, to see that it holds: some seconds")

    @model_validator(mode="after")
    def _is_in_order(self) -> StoryToWrite:
        if self.began is not None and self.ended is not None and self.began >= self.ended:
            raise ValueError("from: expected a time before `to`")
        return self


class CheckShape(Shape):
    """What came of playing a scenario."""

    held: bool = Field(description="whether all its expectations held")
    seconds: float = Field(description="how long that took, by the machine's clock")
    text: str = Field(description="what `imagestore-sim replay` printed")


class ScenarioShape(Shape):
    """A scenario. It holds no password: each is a placeholder."""

    yaml: str = Field(description="the file")
    began: float = Field(alias="from", description="seconds since the epoch")
    ended: float = Field(alias="to", description="seconds since the epoch")
    steps: int = Field(description="things that are done in it")
    expectations: int = Field(description="things that have to be seen in it")
    left_out: list[str] = Field(description="what was done and is not in it, each with why")
    check: CheckShape | None = Field(description="null: it was not asked for")


class ScenarioRoutes:
    """Serves `/lab/v1/scenario`. One story is written at a time."""

    def __init__(
        self, writer: StoryWriter | None, hosts: LabHosts | None, calls: CallHistory, settings: Settings, clock: Clock
    ) -> None:
        self._writer = writer
        self._hosts = hosts
        self._calls = calls
        self._settings = settings
        self._clock = clock
        self._one_story = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        summary = "Write what was done by hand as a scenario"
        problems = {
            400: "a field cannot be used",
            404: "this node cannot write scenarios",
            409: "no scenario can be written of that time",
        }
        return [Route("POST", PATH, summary, with_body(StoryToWrite, self.write), ScenarioShape, problems=problems)]

    async def write(self, request: web.Request, wanted: StoryToWrite) -> Answer:
        """Write a scenario, and check it if that is asked for. Raise Refused."""
        if self._writer is None:
            raise Refused(404, NOT_HERE)
        async with self._one_story:
            try:
                written = await self._writer.write(self._story(f"http://{request.host}", wanted))
                check = await self._writer.check(written.text) if wanted.check else None
            except StoryProblem as problem:
                raise Refused(409, str(problem)) from None
        return ScenarioShape(
            yaml=written.text,
            began=written.began,
            ended=written.ended,
            steps=written.steps,
            expectations=written.expectations,
            left_out=list(written.left_out),
            check=None if check is None else CheckShape(held=check.held, seconds=check.seconds, text=check.text),
        )

    def _story(self, source: str, wanted: StoryToWrite) -> Story:
        now = self._clock.time()
        ended = now if wanted.ended is None else min(now, wanted.ended)
        epoch = now - self._clock.monotonic()
        network = None if self._hosts is None else self._hosts.network
        return Story(
            source=source,
            database=self._settings.database,
            began=wanted.began,
            ended=ended,
            title=wanted.title,
            is_simulated=network is not None,
            hosts={} if network is None else {name: _facts(network[name]) for name in network},
            windows=() if network is None else host_windows(network[name] for name in network),
            calls=[Call(_milliseconds(epoch + one.ended - one.seconds), one) for one in self._calls],
            ping_interval=self._settings.ping_interval,
            options=_options(self._settings),
        )


def _milliseconds(seconds: float) -> float:
    """Return a time as events have it."""
    return int(seconds * 1000) / 1000


def _facts(host: SimulatedHost) -> HostFacts:
    disk = host.disk.storage_disk()
    mount = next((path for path, one in host.disk.mounts() if one is disk), "/")
    return HostFacts(
        name=host.name,
        port=host.port,
        size=disk.size,
        used=disk.used,
        reserved=disk.reserved,
        mount=mount,
        sftp=host.sftp,
        statvfs=host.statvfs,
    )


def _options(settings: Settings) -> Mapping[str, Any]:
    """Return how a node was started, where that is not as by default."""
    given = settings.model_dump(include=set(OF_SCENARIOS))
    return {name: value for name, value in given.items() if value != Settings.model_fields[name].default}
