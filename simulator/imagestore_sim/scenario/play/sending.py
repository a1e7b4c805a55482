"""Sends the bits of images that wait for them, in pieces, as a client of ZStack does (domain 8.6)."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from imagestore_sim.clock import Clock
from imagestore_sim.images.uploads import PASSED_OVER
from imagestore_sim.scenario.format.api_steps import UploadImageStep
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.play.answers import reason_of
from imagestore_sim.scenario.play.results import Outcome, Verdict
from imagestore_sim.scenario.play.world import NO_ANSWER, World

PATIENCE = 60.0
"""Seconds of the clock that the client waits for an answer to a piece."""


async def send_images(world: World, clock: Clock, step: UploadImageStep) -> Outcome:
    """Send the pieces of each image, one after the other; end at the first that is refused. Raise one of NO_ANSWER."""
    inventories = (await world.request("GET", "/images")).body.get("inventories", [])
    storages = {world.storages[name] for name in matching(step.storage or ("*",), world.storages)}
    images = {world.images[name] for name in matching(step.image, world.images)}
    waiting = [one for one in _addresses(inventories) if one[0] in images and one[1] in storages]
    status, text = 0, "no image waits for its upload"
    for image, _, url in waiting:
        status, text = await _send(clock, step, image, url)
        if status != HTTPStatus.OK:
            break
    as_expected = status == HTTPStatus.OK if step.status is None else step.status.matches(status, {})
    return (Verdict.HELD if as_expected and waiting else Verdict.FAILED), f"{status} {text}".strip()


def _addresses(inventories: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield the image, the storage and the address of each upload that is waited for."""
    for image in inventories:
        for ref in image.get("backupStorageRefs", ()):
            if ref["installPath"].startswith("http"):
                yield image["uuid"], ref["backupStorageUuid"], ref["installPath"]


async def _send(clock: Clock, step: UploadImageStep, image: str, url: str) -> tuple[int, str]:
    """Send the pieces of an image, and return the status and the text of the last answer; 0 if there is none."""
    status, text = int(HTTPStatus.OK), ""
    edges = [step.size * number // step.pieces for number in range(step.pieces + 1)]
    for number, (offset, end) in enumerate(itertools.pairwise(edges)):
        if number == step.sends:
            break
        if number and step.every:
            await clock.sleep(step.every)
        headers = {"X-IMAGE-UUID": image, "X-IMAGE-SIZE": str(step.size)}
        headers |= {"X-SLICE-OFFSET": str(offset), "X-SLICE-SIZE": str(end - offset)}
        try:
            status, text = await clock.wait_for(_post(url, end - offset, headers), PATIENCE)
        except NO_ANSWER as error:
            return 0, f"no answer: {reason_of(error)}"
        if status == HTTPStatus.CONFLICT and PASSED_OVER in text:
            status, text = int(HTTPStatus.OK), ""
        if status != HTTPStatus.OK:
            break
    return status, text


async def _post(url: str, size: int, headers: Mapping[str, str]) -> tuple[int, str]:
    data = io.BytesIO(bytes(size))  # aiohttp sends it in parts, as it does not send bytes
    async with aiohttp.ClientSession() as http, http.put(url, data=data, headers=headers) as answer:
        return answer.status, (await answer.text())[:300]
