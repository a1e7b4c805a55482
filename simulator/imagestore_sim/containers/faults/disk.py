"""Implementations of the faults of disks and file systems, and of the path of a storage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from imagestore_sim.containers.faults.base import Undo, implement, refuse
from imagestore_sim.containers.faults.overmounts import mount_fuse, mount_over
from imagestore_sim.containers.faults.state_files import STATE, add_state, quoted, run
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import disk
from imagestore_sim.tasks import Tasks

if TYPE_CHECKING:
    from imagestore_sim.containers.disks import Disk
    from imagestore_sim.containers.host import ContainerHost

MOUNTING = ("SYS_ADMIN",)
FUSE = ("/dev/fuse",)
FILL_STEPS = 100
"""Steps in which a disk fills up over a time, each at least a second long."""
MOST_USED_IN_TMPFS = 64 * 2**20
"""Bytes in use on a tmpfs that stands in for a disk: they take memory."""


def on_engines_disk(fault: disk.DiskFault, spec: HostSpec) -> str | None:
    """Return why a fault's path is no path on the host's own disk, or None."""
    mount = spec.mount or "/"
    if fault.path is None or mount == "/" or f"{fault.path}/".startswith(f"{mount}/"):
        return None
    return f"{fault.path} is on the disk of the engine's own machine"


class _Filling:
    """A fill, at once or in steps over a time."""

    def __init__(self, fault: disk.Fill, host: ContainerHost) -> None:
        self._seconds = fault.over
        self._host = host
        self._goal = fault.to.of(host.disk.size) - host.disk.used
        """Bytes that the fault adds in the end; negative where it empties the disk."""
        self._added = 0
        self._tasks = Tasks()

    async def begin(self) -> None:
        if self._seconds:
            self._tasks.begin(self._fill_in_steps(), f"fault fill on {self._host.name}")
        else:
            await self._set_added(self._goal)

    async def _fill_in_steps(self) -> None:
        clock = self._host.clock
        since = clock.monotonic()
        while self._added != self._goal:
            await clock.sleep(max(1.0, self._seconds / FILL_STEPS))
            share = min(1.0, (clock.monotonic() - since) / self._seconds)
            await self._set_added(int(self._goal * share))

    async def _set_added(self, added: int) -> None:
        disk = self._host.disk
        await disk.fill(disk.used + added - self._added)
        self._added = added

    async def heal(self) -> None:
        await self._tasks.close()
        await self._set_added(0)


@implement(
    disk.Fill,
    means="a file takes the blocks, without ever being written",
    from_outside=True,
    refused_if=on_engines_disk,
)
async def fill(fault: disk.Fill, host: ContainerHost) -> Undo:
    """Fill the disk, or start to fill it in steps."""
    filling = _Filling(fault, host)
    await filling.begin()
    return filling.heal


def _shrinks(fault: disk.Resize, spec: HostSpec) -> str | None:
    if fault.size < (spec.size or 0):
        return "XFS, which the disks are, cannot shrink"
    if fault.lasts is not None:
        return "XFS, which the disks are, cannot shrink to its former size when it heals"
    return on_engines_disk(fault, spec)


@implement(
    disk.Resize,
    means="`xfs_growfs`; it cannot shrink, and so not be healed",
    from_outside=True,
    refused_if=_shrinks,
)
async def _resize(fault: disk.Resize, host: ContainerHost) -> None:
    await host.disk.resize(fault.size)


Counts = WeakKeyDictionary["Disk", int]
"""How many faults hold a disk in a state."""
_read_only_counts: Counts = WeakKeyDictionary()


async def hold(counts: Counts, disk: Disk, set_state: Callable[[bool], Awaitable[None]]) -> Undo:
    """Set a state of a disk, and unset it when the last of the faults heals that `counts` has."""
    await set_state(True)
    counts[disk] = counts.get(disk, 0) + 1

    async def heal() -> None:
        counts[disk] -= 1
        if not counts[disk]:
            await set_state(False)

    return heal


@implement(disk.ReadOnly, means="`mount -o remount,ro`", from_outside=True, refused_if=on_engines_disk)
async def read_only(_fault: disk.ReadOnly, host: ContainerHost) -> Undo:
    """Remount the disk read-only."""
    return await hold(_read_only_counts, host.disk, host.disk.set_read_only)


refuse(
    disk.OutOfInodes,
    "XFS, which the disks are, makes inodes for as long as there is space; a host with a number of `inodes` has a tmpfs"
    " in its place, which can be out of them",
)


@implement(
    disk.ZeroCapacity,
    means="a tmpfs without a limit, which reports no blocks, mounted over it with the folders of its storages",
    capabilities=MOUNTING,
    lost_at_stop=True,
    refused_if=on_engines_disk,
)
async def _zero_capacity(_fault: disk.ZeroCapacity, host: ContainerHost) -> Undo:
    folders = quoted(*(f"{url}/{folder}" for url in host.spec.urls for folder in ("registry", "export")))
    return await mount_over(host, host.spec.disk_path, "size=0,nr_inodes=0", f"mkdir -p {folders}")


@implement(
    disk.Unmounted,
    means="an empty directory of the container's root is mounted over it: the numbers are those of the engine's disk",
    capabilities=MOUNTING,
    lost_at_stop=True,
)
async def _unmounted(fault: disk.Unmounted, host: ContainerHost) -> Undo:
    return await mount_over(host, fault.path)


def _takes_memory(fault: disk.ReplacedDisk, _spec: HostSpec) -> str | None:
    if fault.used <= MOST_USED_IN_TMPFS:
        return None
    return "what is in use on it would have to be in memory: it is a tmpfs"


@implement(
    disk.ReplacedDisk,
    means="a tmpfs of that size, mounted over it",
    capabilities=MOUNTING,
    lost_at_stop=True,
    refused_if=_takes_memory,
)
async def _replaced_disk(fault: disk.ReplacedDisk, host: ContainerHost) -> Undo:
    content = f"fallocate -l {fault.used} {quoted(f'{fault.path}/.in-use')}" if fault.used else ""
    return await mount_over(host, fault.path, f"size={fault.size}", content)


# A mount point is moved with all that is mounted there; anything else is renamed by the owner of its directory.
_DISPLACE = """
path={path} away={away} parent={parent}
[ ! -e "$away" ] || {{ echo "$path is moved already" >&2; exit 1; }}
as_owner() {{
  /usr/bin/setpriv --reuid "$(stat -c %u "$parent")" --regid "$(stat -c %g "$parent")" --clear-groups "$@"
}}
"""


async def displace(host: ContainerHost, path: str, in_place: str) -> Undo:
    """Move what is at a path aside, and run the command `in_place` to make something else there."""
    parent, _, name = path.rpartition("/")
    head = _DISPLACE.format(path=quoted(path), away=quoted(f"{parent}/.{name}.away"), parent=quoted(parent or "/"))
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


@implement(disk.PathGone, means="it is moved, with what is mounted there", capabilities=MOUNTING, lost_at_stop=True)
async def _path_gone(fault: disk.PathGone, host: ContainerHost) -> Undo:
    return await displace(host, fault.path, "true")


@implement(
    disk.PathIsFile,
    means="it is moved, with what is mounted there, and a file made",
    capabilities=MOUNTING,
    lost_at_stop=True,
)
async def _path_is_file(fault: disk.PathIsFile, host: ContainerHost) -> Undo:
    return await displace(host, fault.path, "as_owner touch")


@implement(
    disk.PermissionDenied,
    means="`chmod 0`, and another owner; root of a container may not enter every directory (no DAC_OVERRIDE)",
)
async def permission_denied(fault: disk.PermissionDenied, host: ContainerHost) -> Undo:
    """Take all access to the path away, also from root, which has no DAC_OVERRIDE in a container."""
    # Only its owner may change its mode, and root may only change its owner
    update = f"""
    path={quoted(fault.path)} former={STATE}/rights-{quoted(fault.path.replace("/", "%"))}
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
    return await add_state(host, "barred", f"{fault.path}\n", update)


@implement(
    disk.StaleMount,
    means="a FUSE file system whose program answers every question with that error, or has ended",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=FUSE,
)
async def _stale_mount(fault: disk.StaleMount, host: ContainerHost) -> Undo:
    if fault.error == "not_connected":
        return await mount_fuse(host, fault.path, "abandon")
    return await mount_fuse(host, fault.path, "fail", str(disk.LOST[fault.error]))


@implement(
    disk.IoError,
    means="a FUSE file system whose program answers every question with that error",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=FUSE,
)
async def _io_error(fault: disk.IoError, host: ContainerHost) -> Undo:
    return await mount_fuse(host, fault.path, "fail", str(disk.BROKEN[fault.error]))


@implement(
    disk.HungMount,
    means="a FUSE file system whose program answers nothing, mounted over it",
    capabilities=MOUNTING,
    lost_at_stop=True,
    devices=FUSE,
)
async def _hung_mount(fault: disk.HungMount, host: ContainerHost) -> Undo:
    return await mount_fuse(host, fault.path, "hang", terminate=True)
