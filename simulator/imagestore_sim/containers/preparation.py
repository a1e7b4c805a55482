"""What all runs on containers need, done once before the first."""

from __future__ import annotations

import aiodocker
import aiohttp

from imagestore_sim.containers.engine import connect
from imagestore_sim.containers.errors import ContainerProblem, EngineProblem
from imagestore_sim.containers.image_builds import build_images
from imagestore_sim.containers.leftovers import remove_leftovers
from imagestore_sim.containers.reachability import check_reachability


async def prepare() -> None:
    """Check that containers are reachable, remove leftovers of killed runs, build the images. Raise EngineProblem."""
    docker = await connect()
    try:
        await check_reachability(docker)
        await remove_leftovers(docker)
        await build_images(docker)
    except (aiodocker.DockerError, aiohttp.ClientError, ContainerProblem, TimeoutError) as error:
        raise EngineProblem(f"--hosts compose: {error}") from error
    finally:
        await docker.close()
