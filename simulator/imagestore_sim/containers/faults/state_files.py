"""State files: each fault of a group adds a file, and a script makes the host be as all files of the group say.

So the faults of a group heal in any order, and one script decides what several of them mean together.
"""

from __future__ import annotations

import itertools
from shlex import quote
from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

STATE = "/var/lib/faults"
"""A directory of the container that outlives a stop, with one directory a group."""
RUNTIME = "/dev/shm/faults"  # noqa: S108 - of the container, which nobody else uses
"""A directory of the container that is empty after each start."""
PROGRAMS = "/usr/local/lib/faults"
"""The directory of `images/host/faults` in the container."""

_numbers = itertools.count(1)

# Faults may remove or hang any command of the host, so that BusyBox's come first
_HEAD = f"""\
set -e
PATH={PROGRAMS}/bin:$PATH
mkdir -p {RUNTIME}
"""


def new_number() -> str:
    """Return the next number of this process, with leading zeros so that numbers sort as text."""
    return f"{next(_numbers):06}"


async def add_state(host: ContainerHost, group: str, text: str, update: str) -> Undo:
    """Add a file with `text` to a group, and run the shell script `update` in the group's directory.

    The undo removes the file and runs `update` again, also once more after it has failed. File names sort by age. Raise
    ContainerProblem.
    """
    folder = f"{STATE}/{group}"
    file = f"{folder}/{new_number()}"
    await run(host, f"mkdir -p {folder}; cat >{file}; cd {folder}\n{update}", given=text)

    async def heal() -> None:
        await run(host, f"rm -f {file}; cd {folder}\n{update}")

    return heal


async def run(host: ContainerHost, script: str, *, given: str = "") -> str:
    """Run a script as root up to its first failing command. Return its output. Raise ContainerProblem."""
    return await host.run(_HEAD + script, given=given)


async def begin(host: ContainerHost, script: str, until: str) -> None:
    """Start a script in the background, and wait for the test `until`, such as `-e FILE`. Raise ContainerProblem."""
    await host.begin(f"mkdir -p {RUNTIME}\n{script}")
    await run(host, f"until [ {until} ]; do sleep 0.02; done")


def quoted(*words: str) -> str:
    """Return words as a part of a shell command."""
    return " ".join(quote(word) for word in words)
