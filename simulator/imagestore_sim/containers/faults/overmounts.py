"""What is mounted over a path of a host, and taken away again in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo
from imagestore_sim.containers.faults.state_files import FOLDER, MOMENT, new_number, run, words

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

# What lies over the one in question is moved aside meanwhile. Nobody may look at the path itself: it may hang.
_UNCOVER = """
path={path} name={name} above=0
on_top() {{ awk -v path="$path" '$5 == path {{ last = $0 }} END {{ print last }}' /proc/self/mountinfo; }}
until on_top | grep -q "$name"; do
  above=$((above + 1))
  mkdir -p {moment}/above-$above
  /usr/bin/mount --no-canonicalize --move "$path" {moment}/above-$above
done
/usr/bin/umount --no-canonicalize --lazy "$path"
while [ $above -gt 0 ]; do
  /usr/bin/mount --no-canonicalize --move {moment}/above-$above "$path"
  above=$((above - 1))
done
"""


async def cover(host: ContainerHost, path: str, tmpfs: str = "", content: str = "") -> Undo:
    """Mount a tmpfs with such options over a path, or else an empty directory of the root's disk.

    Owner and rights are those of what it covers; `content` is a script that puts something on it.
    """
    name = new_name()
    empty = f"{FOLDER}/{name}"
    like = f'path={words(path)}; mode=$(stat -c %a "$path") owner=$(stat -c %u:%g "$path")'
    if tmpfs:
        mount = f'/usr/bin/mount -t tmpfs -o {tmpfs} {name} "$path"'
    else:
        mount = f'mkdir {empty}; /usr/bin/mount --bind {empty} "$path"'
    rights = 'chmod "$mode" "$path"; chown "$owner" "$path"'
    await run(host, f"{like}\n{mount}\n{content}\n{rights}")

    async def heal() -> None:
        await uncover(host, path, name)

    return heal


def new_name() -> str:
    """For what is mounted, by which it is found again."""
    return f"fault-{new_number()}"


async def uncover(host: ContainerHost, path: str, name: str) -> None:
    """Unmount what has such a name at a path, whatever lies over it."""
    await run(host, _UNCOVER.format(path=words(path), name=name, moment=MOMENT))
