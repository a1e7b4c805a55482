"""Removal of what runs have in an engine: at their end, or by a later run when they were killed."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path

import aiodocker

from imagestore_sim.containers.engine import CONFLICT, NOT_FOUND, engine_errors
from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.labels import FOLDER, KEPT, OWNER, PROJECT
from imagestore_sim.containers.ownership import Owner
from imagestore_sim.temporary_folders import PREFIX

logger = logging.getLogger(__name__)

ATTEMPTS = 20
PAUSE = 0.1
"""Seconds between two attempts."""


async def remove_leftovers(docker: aiodocker.Docker) -> None:
    """Remove what runs have left whose process has ended. Raise DockerError, ContainerProblem."""
    runs = {labels[PROJECT]: labels for labels in await _labels_of_runs(docker)}
    for project, labels in runs.items():
        owner = Owner.read(labels[OWNER])
        if owner is not None and owner.is_gone and KEPT not in labels:
            logger.info("removing what the run %s has left", project)
            await remove_project(docker, project)
            folder = Path(labels.get(FOLDER, ""))
            if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _labels_of_runs(docker: aiodocker.Docker) -> list[dict[str, str]]:
    filters = {"label": [OWNER]}
    volumes = (await docker.volumes.list(filters=filters))["Volumes"] or []
    networks = await docker.networks.list(filters=filters)
    containers = await docker.containers.list(all="true", filters=aiodocker.utils.clean_filters(filters))
    return [one["Labels"] for one in (*volumes, *networks, *(one._container for one in containers))]


async def remove_project(docker: aiodocker.Docker, project: str) -> None:
    """Remove the containers, networks and volumes of a run. Raise ContainerProblem.

    An interrupted call to the engine may still create something, so this repeats until nothing is found.
    """
    with engine_errors(f"removing {project}"):
        for _ in range(ATTEMPTS):
            if not await _remove_once(docker, project):
                return
            await asyncio.sleep(PAUSE)  # real: so is the engine
    raise ContainerProblem(f"removing {project}: there is always something of it left")


async def _remove_once(docker: aiodocker.Docker, project: str) -> bool:
    """Remove the containers, then the networks and volumes that they used. Return whether there were any."""
    filters = {"label": [f"{PROJECT}={project}", OWNER]}
    containers = await docker.containers.list(all="true", filters=aiodocker.utils.clean_filters(filters))
    for container in containers:
        await _ignore_absence(container.delete(force=True, v=True))
    networks = await docker.networks.list(filters=filters)
    for network in networks:
        await _ignore_absence(aiodocker.networks.DockerNetwork(docker, network["Id"]).delete())
    volumes = (await docker.volumes.list(filters=filters))["Volumes"] or []
    for volume in volumes:
        await _ignore_absence(aiodocker.volumes.DockerVolume(docker, volume["Name"]).delete())
    return bool(containers or networks or volumes)


async def _ignore_absence(removal: Awaitable[object]) -> None:
    try:
        await removal
    except aiodocker.DockerError as error:
        if error.status not in (NOT_FOUND, CONFLICT):  # another process removes it too
            raise
