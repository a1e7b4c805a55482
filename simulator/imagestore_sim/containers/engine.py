"""The connection to a Docker engine, and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiodocker
import aiohttp

from imagestore_sim.containers.errors import ContainerProblem, EngineProblem

CALL_TIMEOUT = aiohttp.ClientTimeout(total=60.0)
NOT_MODIFIED, NOT_FOUND, CONFLICT = 304, 404, 409
"""HTTP statuses of the engine."""


async def connect(
    needed_by: str = "--hosts compose", instead: str = "start one, or use --hosts embedded"
) -> aiodocker.Docker:
    """Return a client of the engine that DOCKER_HOST or the current context names.

    The text of EngineProblem says what needs the engine, and what to do `instead`.
    """

    def no_engine(why: str) -> EngineProblem:
        return EngineProblem(f"{needed_by} needs a Docker engine, and none answers: {why}; {instead}")

    try:
        docker = aiodocker.Docker(timeout=CALL_TIMEOUT)
    except (ValueError, AssertionError, aiodocker.DockerError):
        raise no_engine("there is no socket of one, and DOCKER_HOST is not set") from None
    try:
        await docker.version()
    except (aiodocker.DockerError, aiohttp.ClientError, OSError, TimeoutError) as error:
        await docker.close()
        raise no_engine(str(error) or type(error).__name__) from None
    return docker


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Raise ContainerProblem for every error of the engine. `what` says what was being done."""
    try:
        yield
    except aiodocker.DockerError as error:
        raise ContainerProblem(f"{what}: {error.message}", error.status) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ContainerProblem(f"{what}: the engine does not answer: {error or type(error).__name__}") from error
