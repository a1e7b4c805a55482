"""Faults of one sort on a host: a file each in a folder of its own, from all of which follows how the host is.

So they heal in any order, and what counts of several is decided in one place: the script that makes it so.
"""

from __future__ import annotations

import itertools
from shlex import quote
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

FOLDER = "/var/lib/faults"
"""Of the container: stays when it is stopped."""
PROGRAMS = "/usr/local/lib/faults"
MOMENT = "/dev/shm/faults"  # noqa: S108 - of the container, and nobody else's
"""Of the container: new at each start."""

_numbers = itertools.count(1)

# Whatever is missing on the host, or hangs there, is BusyBox's here.
_HEAD = f"""\
set -e
PATH={PROGRAMS}/bin:$PATH
mkdir -p {MOMENT}
"""


def new_number() -> str:
    """In the order in which they were made, as text too."""
    return f"{next(_numbers):06}"


async def layer(host: ContainerHost, sort: str, text: str, settle: str) -> Undo:
    """Put a file with `text` among those of a sort, and run `settle`, a shell script, in their folder.

    What is answered takes it away and runs `settle` again. Names of files sort as they came. Raises ContainerProblem.
    """
    folder = f"{FOLDER}/{sort}"
    file = f"{folder}/{new_number()}"
    await run(host, f"mkdir -p {folder}; cat >{file}; cd {folder}\n{settle}", given=text)

    async def heal() -> None:
        await run(host, f"rm {file}; cd {folder}\n{settle}")

    return heal


async def run(host: ContainerHost, script: str, *, given: str = "") -> str:
    """Run a script as root that stops at its first failure. Raises ContainerProblem."""
    return await host.run(_HEAD + script, given=given)


async def begin(host: ContainerHost, script: str) -> None:
    """Begin a script that goes on in the background. Raises ContainerProblem."""
    await host.begin(f"mkdir -p {MOMENT}\n{script}")


def words(*parts: str) -> str:
    """A command line."""
    return " ".join(quote(part) for part in parts)
