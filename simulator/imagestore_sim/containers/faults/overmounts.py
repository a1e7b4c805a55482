"""Mounts over a path of a host, which are removed in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.errors import ContainerProblem
from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.state_files import PROGRAMS, RUNTIME, STATE, begin, new_number, quoted, run

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

# Mounts above the one in question are moved aside meanwhile. No command may open the path itself: it may hang.
_UNMOUNT = """
path={path} name={name} above=0
on_top() {{ awk -v path="$path" '$5 == path {{ last = $0 }} END {{ print last }}' /proc/self/mountinfo; }}
until on_top | grep -q "$name"; do
  above=$((above + 1))
  mkdir -p {runtime}/above-$above
  /usr/bin/mount --no-canonicalize --move "$path" {runtime}/above-$above
done
/usr/bin/umount --no-canonicalize --lazy "$path"
while [ $above -gt 0 ]; do
  /usr/bin/mount --no-canonicalize --move {runtime}/above-$above "$path"
  above=$((above - 1))
done
"""


async def mount_over(host: ContainerHost, path: str, tmpfs: str = "", content: str = "") -> Undo:
    """Mount a tmpfs with the options `tmpfs` over a path; without options, an empty directory of the root's disk.

    It has the owner and mode of what it covers. `content` is a script that puts files on it.
    """
    name = _new_name()
    empty = f"{STATE}/{name}"
    covered = f'path={quoted(path)}; mode=$(stat -c %a "$path") owner=$(stat -c %u:%g "$path")'
    if tmpfs:
        mount = f'/usr/bin/mount -t tmpfs -o {tmpfs} {name} "$path"'
    else:
        mount = f'mkdir {empty}; /usr/bin/mount --bind {empty} "$path"'
    access = 'chmod "$mode" "$path"; chown "$owner" "$path"'
    await run(host, f"{covered}\n{mount}\n{content}\n{access}")

    async def heal() -> None:
        await _unmount(host, path, name)

    return heal


async def mount_fuse(host: ContainerHost, path: str, *mode: str, terminate: bool = False) -> Undo:
    """Mount a FUSE file system over a path, served by the program fuse.py in a mode such as `fail 5`.

    The undo unmounts it and, with `terminate`, then sends SIGTERM to the program. Otherwise the program ends by itself.
    """
    name = _new_name()
    output, pid = f"{RUNTIME}/{name}", f"{RUNTIME}/{name}.pid"
    program = f"{PROGRAMS}/fuse.py {quoted(path, name, *mode)}"
    await begin(host, f"echo $$ >{pid}; exec {program} >{output} 2>&1", until=f"-s {output}")
    printed = (await run(host, f"cat {output}")).strip()
    if printed != name:
        raise ContainerProblem(f"{host.name}: {printed}")

    async def heal() -> None:
        await _unmount(host, path, name)
        if terminate:
            await run(host, f"kill -TERM $(cat {pid})")

    return heal


def _new_name() -> str:
    """Return a source for a mount, by which it is found again in /proc/self/mountinfo."""
    return f"fault-{new_number()}"


async def _unmount(host: ContainerHost, path: str, name: str) -> None:
    """Unmount the source `name` from a path, also from below other mounts."""
    await run(host, _UNMOUNT.format(path=quoted(path), name=name, runtime=RUNTIME))
