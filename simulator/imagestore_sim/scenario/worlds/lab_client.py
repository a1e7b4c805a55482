"""Calls the lab's API, `/lab/v1`, of a lab that is running (docs/lab-api.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from typing_extensions import override

from imagestore_sim.context_managers import Closeable
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.testing.client import bearer

LONGEST_ANSWER = 60.0
Json = dict[str, Any]


class LabRefused(WorldProblem):
    """The lab refuses a call; the text is its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class LabTime:
    """What a lab's clock shows. Its speed is None when it jumps to what is due."""

    time: float
    paused: bool
    speed: float | None


class LabClient(Closeable):
    """The calls of a lab. Each raises LabRefused, aiohttp.ClientError, and TimeoutError after LONGEST_ANSWER."""

    def __init__(self, url: str, lab_token: str | None) -> None:
        self._url = url
        timeout = aiohttp.ClientTimeout(total=LONGEST_ANSWER)
        self._http = aiohttp.ClientSession(timeout=timeout, headers=bearer(lab_token))

    @override
    async def close(self) -> None:
        await self._http.close()

    async def hosts(self) -> dict[str, Json]:
        """Return every host by its name, as `GET /lab/v1/hosts` has it."""
        return {one["name"]: one for one in _member(await self._call("GET", "/hosts"), "hosts")}

    async def add_host(self, host: Json) -> None:
        """Add a host."""
        await self._call("POST", "/hosts", host)

    async def change_host(self, name: str, change: Json) -> None:
        """Change a host's disk."""
        await self._call("PATCH", f"/hosts/{name}", change)

    async def remove_host(self, name: str) -> None:
        """Remove a host."""
        await self._call("DELETE", f"/hosts/{name}")

    async def start_host(self, name: str) -> None:
        """Start a host."""
        await self._call("POST", f"/hosts/{name}/start")

    async def stop_host(self, name: str) -> None:
        """Shut a host down."""
        await self._call("POST", f"/hosts/{name}/stop")

    async def break_host(self, name: str, fault: Json) -> str:
        """Put a fault on a host; return its id."""
        return str(_member(await self._call("POST", f"/hosts/{name}/faults", fault), "id"))

    async def heal_host(self, name: str, fault: str) -> None:
        """Heal a fault, unless it has healed by itself."""
        try:
            await self._call("DELETE", f"/hosts/{name}/faults/{fault}")
        except LabRefused as refused:
            if refused.status != 404:
                raise

    async def image_sources(self) -> list[Json]:
        """Return what the images weigh that are added."""
        return list(_member(await self._call("GET", "/image-sources"), "sources"))

    async def add_image_sources(self, sources: Sequence[Json]) -> None:
        """Put sources of images before the others."""
        await self._call("POST", "/image-sources", {"sources": list(sources)})

    async def replace_image_sources(self, sources: Sequence[Json]) -> None:
        """Replace all sources of images."""
        await self._call("PUT", "/image-sources", {"sources": list(sources)})

    async def break_node(self, fault: Json) -> str:
        """Set a fault of the management plane; return its id."""
        return str(_member(await self._call("POST", "/node/faults", fault), "id"))

    async def heal_node(self, fault: str) -> None:
        """Heal a fault of the management plane, unless it has healed by itself."""
        try:
            await self._call("DELETE", f"/node/faults/{fault}")
        except LabRefused as refused:
            if refused.status != 404:
                raise

    async def time(self) -> LabTime:
        """Return what the clock shows."""
        return _time(await self._call("GET", "/clock"))

    async def step(self, seconds: float) -> LabTime:
        """Step a clock that is paused; return what it shows then."""
        return _time(await self._call("POST", "/clock/step", {"seconds": seconds}))

    async def pause(self) -> None:
        """Pause the clock."""
        await self._call("PUT", "/clock", {"paused": True})

    async def resume(self) -> None:
        """Resume the clock."""
        await self._call("PUT", "/clock", {"paused": False})

    async def records(self) -> str:
        """Return all records, as a bootstrap file."""
        return (await self._exchange("GET", "/snapshot")).decode()

    async def replace_records(self, records: str) -> None:
        """Replace all records by those of a bootstrap file; return when each storage has been tried."""
        await self._exchange("PUT", "/snapshot?wait=true", records.encode())

    async def _exchange(self, method: str, path: str, body: bytes | None = None) -> bytes:
        async with self._http.request(method, f"{self._url}/lab/v1{path}", data=body) as response:
            content = await response.read()
            if not response.ok:
                raise LabRefused(
                    response.status, f"{method} /lab/v1{path} answers {response.status}: {content[:500]!r}"
                )
            return content

    async def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        async with self._http.request(method, f"{self._url}/lab/v1{path}", json=body) as response:
            no_lab = LabRefused(response.status, f"is no lab: {method} /lab/v1{path} answers {response.status}")
            if response.content_type != "application/json":
                raise no_lab
            try:
                answer = orjson.loads(await response.read())
            except orjson.JSONDecodeError:
                raise no_lab from None
        if not isinstance(answer, dict):
            raise no_lab
        if response.status >= 400:
            error = answer.get("error")
            text = error if isinstance(error, str) else f"is no lab: {method} /lab/v1{path} answers {response.status}"
            raise LabRefused(response.status, text)
        return answer


def _member(answer: Json, name: str) -> Any:
    """Return a member that the answer of a lab has. Raise LabRefused where it is missing."""
    if name not in answer:
        raise LabRefused(200, f"is no lab: its answer has no {name}")
    return answer[name]


def _time(answer: Json) -> LabTime:
    return LabTime(_member(answer, "time"), _member(answer, "paused"), _member(answer, "speed"))
