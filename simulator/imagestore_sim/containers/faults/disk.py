"""Container forms of the faults of disks and file systems, and of the path that a storage has there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from imagestore_sim.containers.faults.base import Undo, form, refuse
from imagestore_sim.containers.faults.overmounts import cover, new_name, uncover
from imagestore_sim.containers.faults.state_files import FOLDER, MOMENT, PROGRAMS, begin, layer, run, words
from imagestore_sim.containers.host import ContainerProblem
from imagestore_sim.faults import disk
from imagestore_sim.scenario.format import model
from imagestore_sim.tasks import Tasks

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost, Disk

MOUNTING = ("SYS_ADMIN",)
STEPS = 100
"""In which a disk fills up over a time, unless they would be shorter than a second."""
IN_MEMORY = 64 * 2**20


def is_roots(fault: disk.DiskFault, host: model.Host) -> str | None:
    """Whether the disk that is meant is that below the one which a host has for itself."""
    mount = host.mount or "/"
    if fault.path is None or mount == "/" or f"{fault.path}/".startswith(f"{mount}/"):
        return None
    return f"{fault.path} is on the disk of the engine's own machine"


class _Filling:
    """A disk that fills up step by step."""

    def __init__(self, fault: disk.Fill, host: ContainerHost) -> None:
        self._over = fault.over
        self._host = host
        self._more = fault.to.of(host.volume.size) - host.volume.used
        self._done = 0
        self._tasks = Tasks()

    async def begin(self) -> None:
        if self._over:
            self._tasks.begin(self._fill_in_time(), f"fault fill on {self._host.name}")
        else:
            await self._have(self._more)

    async def _fill_in_time(self) -> None:
        clock = self._host.clock
        since = clock.monotonic()
        while self._done != self._more:
            await clock.sleep(max(1.0, self._over / STEPS))
            part = min(1.0, (clock.monotonic() - since) / self._over)
            await self._have(int(self._more * part))

    async def _have(self, done: int) -> None:
        """Have so many bytes more in use than without the fault."""
        await self._host.volume.fill(self._host.volume.used + done - self._done)
        self._done = done

    async def heal(self) -> None:
        await self._tasks.close()
        await self._have(0)


@form(disk.Fill, how="a file takes the blocks, without ever being written", from_outside=True, unless=is_roots)
async def fill(fault: disk.Fill, host: ContainerHost) -> Undo:
    filling = _Filling(fault, host)
    await filling.begin()
    return filling.heal


def _shrinks(fault: disk.Resize, host: model.Host) -> str | None:
    if fault.size < host.size:
        return "XFS, which the disks are, cannot shrink"
    if fault.lasts is not None:
        return "XFS, which the disks are, cannot shrink to its former size when it heals"
    return is_roots(fault, host)


@form(disk.Resize, how="`xfs_growfs`; it cannot shrink, and so not be healed", from_outside=True, unless=_shrinks)
async def resize(fault: disk.Resize, host: ContainerHost) -> None:
    await host.volume.resize(fault.size)


Counts = WeakKeyDictionary["Disk", int]
_read_only: Counts = WeakKeyDictionary()


async def as_long_as_any(wanted: Counts, volume: Disk, make: Callable[[bool], Awaitable[None]]) -> Undo:
    """Have a disk in a state, until the last of those faults heals that `wanted` counts."""
    await make(True)
    wanted[volume] = wanted.get(volume, 0) + 1

    async def heal() -> None:
        wanted[volume] -= 1
        if not wanted[volume]:
            await make(False)

    return heal


@form(disk.ReadOnly, how="`mount -o remount,ro`", from_outside=True, unless=is_roots)
async def read_only(_fault: disk.ReadOnly, host: ContainerHost) -> Undo:
    return await as_long_as_any(_read_only, host.volume, host.volume.set_read_only)


refuse(
    disk.OutOfInodes,
    "XFS, which the disks are, makes inodes for as long as there is space; a host with a number of `inodes` has a tmpfs"
    " in its place, which can be out of them",
)


@form(
    disk.ZeroCapacity,
    how="a tmpfs without a limit, which tells of no blocks, mounted over it with the folders of its storages",
    capabilities=MOUNTING,
    lost_at_stop=True,
    unless=is_roots,
)
async def zero_capacity(_fault: disk.ZeroCapacity, host: ContainerHost) -> Undo:
    folders = words(*(f"{url}/{folder}" for url in host.paths for folder in ("registry", "export")))
    return await cover(host, host.disk, "size=0,nr_inodes=0", f"mkdir -p {folders}")


@form(
    disk.Unmounted,
    how="an empty directory of the container's root is mounted over it: the numbers are those of the engine's disk",
    capabilities=MOUNTING,
    lost_at_stop=True,
)
async def unmounted(fault: disk.Unmounted, host: ContainerHost) -> Undo:
    return await cover(host, fault.path)


def _takes_memory(fault: disk.ReplacedDisk, _host: model.Host) -> str | None:
    return None if fault.used <= IN_MEMORY else "what is in use on it would have to be in memory: it is a tmpfs"


@form(
    disk.ReplacedDisk,
    how="a tmpfs of that size, mounted over it",
    capabilities=MOUNTING,
    lost_at_stop=True,
    unless=_takes_memory,
)
async def replaced_disk(fault: disk.ReplacedDisk, host: ContainerHost) -> Undo:
    content = f"fallocate -l {fault.used} {words(f'{fault.path}/.in-use')}" if fault.used else ""
    return await cover(host, fault.path, f"size={fault.size}", content)


# A disk is moved with all that is mounted there; what is on one is renamed by whoever owns the directory.
_DISPLACE = """
path={path} away={away} parent={parent}
[ ! -e "$away" ] || {{ echo "$path is not there already" >&2; exit 1; }}
as_owner() {{
  /usr/bin/setpriv --reuid "$(stat -c %u "$parent")" --regid "$(stat -c %g "$parent")" --clear-groups "$@"
}}
"""


async def _displace(host: ContainerHost, path: str, in_place: str) -> Undo:
    """Have what is at a path out of sight; `in_place` is a command that makes something there."""
    parent, _, name = path.rpartition("/")
    head = _DISPLACE.format(path=words(path), away=words(f"{parent}/.{name}.away"), parent=words(parent or "/"))
    body = f"""
    if mountpoint -q "$path"; then
      mkdir "$away"
      /usr/bin/mount --move "$path" "$away"
      rmdir "$path"
    else
      as_owner mv "$path" "$away"
    fi
    {in_place} "$path"
    """
    back = """
    if [ -d "$path" ]; then
      chown -R 0:0 "$path"
      find "$path" -mindepth 1 -delete
    fi
    as_owner rm -rf "$path"
    if mountpoint -q "$away"; then
      mkdir "$path"
      /usr/bin/mount --move "$away" "$path"
      rmdir "$away"
    else
      as_owner mv "$away" "$path"
    fi
    """
    await run(host, head + body)

    async def heal() -> None:
        await run(host, head.replace('[ ! -e "$away" ]', "true") + back)

    return heal


@form(disk.PathGone, how="it is moved, with what is mounted there", capabilities=MOUNTING, lost_at_stop=True)
async def path_gone(fault: disk.PathGone, host: ContainerHost) -> Undo:
    return await _displace(host, fault.path, "true")


@form(
    disk.PathIsFile,
    how="it is moved, with what is mounted there, and a file made",
    capabilities=MOUNTING,
    lost_at_stop=True,
)
async def path_is_file(fault: disk.PathIsFile, host: ContainerHost) -> Undo:
    return await _displace(host, fault.path, "as_owner touch")


@form(
    disk.PermissionDenied,
    how="`chmod 0`, and another owner; root of a container has no right to go everywhere (DAC_OVERRIDE)",
)
async def permission_denied(fault: disk.PermissionDenied, host: ContainerHost) -> Undo:
    # Its owner alone may change the rights on it, and root may only change the owner.
    settle = f"""
    path={words(fault.path)} former={FOLDER}/rights-{words(fault.path.replace("/", "%"))}
    if grep -q -s -x -F -e "$path" ./*; then
      [ -e "$former" ] || stat -c '%a %u:%g' "$path" >"$former"
      chown 0 "$path"
      chmod 0 "$path"
      chown nobody "$path"
    else
      read -r mode owner <"$former"
      chown 0 "$path"
      chmod "$mode" "$path"
      chown "$owner" "$path"
      rm "$former"
    fi
    """
    return await layer(host, "barred", f"{fault.path}\n", settle)


async def _failing(host: ContainerHost, path: str, number: int) -> Undo:
    """Mount a FUSE file system over a path whose every answer is an error; 0 for one whose program has ended."""
    name = new_name()
    told = f"{MOMENT}/{name}"
    await begin(host, f"exec {PROGRAMS}/failing.py {words(path)} {name} {number} >{told} 2>&1")
    said = (await run(host, f"until [ -s {told} ]; do sleep 0.02; done; cat {told}")).strip()
    if said != name:
        raise ContainerProblem(f"{host.name}: {said}")

    async def heal() -> None:
        await uncover(host, path, name)

    return heal


@form(
    disk.StaleMount,
    how="a FUSE file system whose program answers every question with that error, or has ended",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=("/dev/fuse",),
)
async def stale_mount(fault: disk.StaleMount, host: ContainerHost) -> Undo:
    return await _failing(host, fault.path, 0 if fault.error == "not_connected" else disk.LOST[fault.error])


@form(
    disk.IoError,
    how="a FUSE file system whose program answers every question with that error",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=("/dev/fuse",),
)
async def io_error(fault: disk.IoError, host: ContainerHost) -> Undo:
    return await _failing(host, fault.path, disk.BROKEN[fault.error])


@form(
    disk.HungMount,
    how="a FUSE file system whose program answers nothing, mounted over it",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=("/dev/fuse",),
)
async def hung_mount(fault: disk.HungMount, host: ContainerHost) -> Undo:
    name = new_name()
    told = f"{MOMENT}/{name}"
    await begin(host, f"echo $$ >{told}.pid; exec {PROGRAMS}/hung.py {words(fault.path)} {name} >{told} 2>&1")
    said = (await run(host, f"until [ -s {told} ]; do sleep 0.02; done; cat {told}")).strip()
    if said != name:
        raise ContainerProblem(f"{host.name}: {said}")

    async def heal() -> None:
        await uncover(host, fault.path, name)
        await run(host, f"kill -TERM $(cat {told}.pid)")

    return heal
