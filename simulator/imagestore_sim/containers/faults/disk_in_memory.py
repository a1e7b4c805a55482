"""Container forms of the faults of a disk that is in the host's memory, where they differ from those of other disks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from imagestore_sim.containers.disk_in_memory import DiskInMemory
from imagestore_sim.containers.faults.base import FORMS, IN_MEMORY, Undo, form
from imagestore_sim.containers.faults.disk import (
    MOUNTING,
    Counts,
    as_long_as_any,
    fill,
    is_roots,
    permission_denied,
    read_only,
)
from imagestore_sim.faults import disk
from imagestore_sim.scenario.format import model
from imagestore_sim.units import size_text

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost, Disk

MOST_USED = 512 * 2**20
"""Bytes in use on one: they are really in memory."""


def _takes_memory(fault: disk.Fill, host: model.Host) -> str | None:
    # Of a host that was found, the size is not known here: its owner has given it one.
    if "size" in host.model_fields_set and fault.to.of(host.size) > MOST_USED:
        return f"the disk is in memory, where at most {size_text(MOST_USED)} may be in use"
    return is_roots(fault, host)


# Whatever is done to such a disk is lost with it, when its host stops.
form(
    disk.Fill,
    how="a file of the account takes the blocks, without ever being written",
    lost_at_stop=True,
    unless=_takes_memory,
    forms=IN_MEMORY,
)(fill)
form(
    disk.ReadOnly,
    how=FORMS[disk.ReadOnly.kind].how,
    capabilities=MOUNTING,
    lost_at_stop=True,
    unless=is_roots,
    forms=IN_MEMORY,
)(read_only)
form(disk.PermissionDenied, how=FORMS[disk.PermissionDenied.kind].how, lost_at_stop=True, forms=IN_MEMORY)(
    permission_denied
)


_sizes: WeakKeyDictionary[Disk, dict[object, int]] = WeakKeyDictionary()
"""Its own, and those that faults give it: the last one counts."""


@form(
    disk.Resize,
    how="`mount -o remount,size=`; it cannot become smaller than what is in use",
    capabilities=MOUNTING,
    lost_at_stop=True,
    unless=is_roots,
    forms=IN_MEMORY,
)
async def resize(fault: disk.Resize, host: ContainerHost) -> Undo:
    volume = host.volume
    sizes, key = _sizes.setdefault(volume, {None: volume.size}), object()
    await volume.resize(fault.size)
    sizes[key] = fault.size

    async def heal() -> None:
        del sizes[key]
        await volume.resize(list(sizes.values())[-1])

    return heal


_full: Counts = WeakKeyDictionary()


@form(
    disk.OutOfInodes,
    how="empty files of the account take them",
    lost_at_stop=True,
    unless=is_roots,
    forms=IN_MEMORY,
)
async def out_of_inodes(_fault: disk.OutOfInodes, host: ContainerHost) -> Undo:
    assert isinstance(host.volume, DiskInMemory)
    return await as_long_as_any(_full, host.volume, host.volume.use_inodes)
