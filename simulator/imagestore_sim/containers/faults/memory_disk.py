"""Implementations of the faults of a MemoryDisk, where they differ from those of an XfsDisk.

A stop of the host loses the disk, and so heals all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from imagestore_sim.containers.disks import MemoryDisk
from imagestore_sim.containers.faults.base import IMPLEMENTATIONS, ON_MEMORY_DISKS, Undo, implement
from imagestore_sim.containers.faults.disk import (
    MOUNTING,
    Counts,
    fill,
    hold,
    on_engines_disk,
    permission_denied,
    read_only,
)
from imagestore_sim.containers.spec import HostSpec
from imagestore_sim.faults import disk
from imagestore_sim.units import size_text

if TYPE_CHECKING:
    from imagestore_sim.containers.disks import Disk
    from imagestore_sim.containers.host import ContainerHost

MOST_USED = 512 * 2**20
"""Bytes that may be in use on such a disk: they take memory."""


def _takes_memory(fault: disk.Fill, spec: HostSpec) -> str | None:
    if spec.size is not None and fault.to.of(spec.size) > MOST_USED:
        return f"the disk is in memory, where at most {size_text(MOST_USED)} may be in use"
    return on_engines_disk(fault, spec)


implement(
    disk.Fill,
    means="a file of the account takes the blocks, without ever being written",
    lost_at_stop=True,
    refused_if=_takes_memory,
    registry=ON_MEMORY_DISKS,
)(fill)
implement(
    disk.ReadOnly,
    means=IMPLEMENTATIONS[disk.ReadOnly.kind].means,
    capabilities=MOUNTING,
    lost_at_stop=True,
    refused_if=on_engines_disk,
    registry=ON_MEMORY_DISKS,
)(read_only)
implement(
    disk.PermissionDenied,
    means=IMPLEMENTATIONS[disk.PermissionDenied.kind].means,
    lost_at_stop=True,
    registry=ON_MEMORY_DISKS,
)(permission_denied)


_sizes: WeakKeyDictionary[Disk, dict[object, int]] = WeakKeyDictionary()
"""The sizes that faults give a disk, after its own, in bytes. The last one counts."""


@implement(
    disk.Resize,
    means="`mount -o remount,size=`; it cannot become smaller than what is in use",
    capabilities=MOUNTING,
    lost_at_stop=True,
    refused_if=on_engines_disk,
    registry=ON_MEMORY_DISKS,
)
async def _resize(fault: disk.Resize, host: ContainerHost) -> Undo:
    resized = host.disk
    sizes, key = _sizes.setdefault(resized, {None: resized.size}), object()
    await resized.resize(fault.size)
    sizes[key] = fault.size

    async def heal() -> None:
        del sizes[key]
        await resized.resize(list(sizes.values())[-1])

    return heal


_inode_counts: Counts = WeakKeyDictionary()


@implement(
    disk.OutOfInodes,
    means="empty files of the account take them",
    lost_at_stop=True,
    refused_if=on_engines_disk,
    registry=ON_MEMORY_DISKS,
)
async def _out_of_inodes(_fault: disk.OutOfInodes, host: ContainerHost) -> Undo:
    assert isinstance(host.disk, MemoryDisk)
    return await hold(_inode_counts, host.disk, host.disk.use_inodes)
