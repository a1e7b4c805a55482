"""The images that hosts and disks are started from, built from the folders of `images/`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from functools import cache
from pathlib import Path

import aiodocker
import aiohttp

from imagestore_sim.containers.archives import files_in, pack
from imagestore_sim.containers.engine import NOT_FOUND
from imagestore_sim.containers.errors import EngineProblem

logger = logging.getLogger(__name__)

IMAGES = Path(__file__).parent / "images"
DISKS_IMAGE, HOST_IMAGE = "disks", "host"
"""The folders of the two images."""
BUILD_TIMEOUT = aiohttp.ClientTimeout(total=600.0)


@cache
def image_tag(name: str) -> str:
    """Return the tag of the image of folder `name`. Raise EngineProblem without such a folder.

    The tag holds a hash of the folder's content, so that an image with that tag is up to date.
    """
    digest = hashlib.sha256()
    for file in _files(IMAGES / name):
        digest.update(f"{file.name} {file.stat().st_mode & 0o111:o}\n".encode() + file.read_bytes())
    return f"imagestore-sim-{name}:{digest.hexdigest()[:12]}"


def _files(folder: Path) -> list[Path]:
    files = files_in(folder)
    if not files:
        raise EngineProblem(f"the image {folder.name} cannot be built: this installation has no {folder}")
    return files


async def build_images(docker: aiodocker.Docker) -> None:
    """Build each image that the engine does not have yet. Raise EngineProblem, DockerError."""
    for name in (DISKS_IMAGE, HOST_IMAGE):
        await _build(docker, name)


async def _build(docker: aiodocker.Docker, name: str) -> None:
    tag = await asyncio.to_thread(image_tag, name)
    try:
        await docker.images.inspect(tag)
    except aiodocker.DockerError as error:
        if error.status != NOT_FOUND:
            raise
    else:
        return
    logger.info("building the image %s", tag)
    archive = await asyncio.to_thread(pack, IMAGES / name)
    await docker.images.build(fileobj=archive, encoding="gzip", tag=tag, timeout=BUILD_TIMEOUT)
