"""Faults of disks and file systems, and of the path of a storage there."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import Effect, Fault, FaultProblem, Layer, Noticed, ProbeAnswer
from imagestore_sim.faults.behaviour import Behaviour
from imagestore_sim.faults.registry import fault
from imagestore_sim.faults.target import FaultTarget, Undo
from imagestore_sim.reasons import Reason
from imagestore_sim.statvfs import BLOCK, INODES, Statvfs, blocks_of
from imagestore_sim.units import Amount, Bytes, BytesOrShare, Path, Seconds

LOST: Mapping[str, int] = {
    "stale": errno.ESTALE,
    "not_connected": errno.ENOTCONN,
    "timed_out": errno.ETIMEDOUT,
    "host_down": errno.EHOSTDOWN,
}
"""What an access to a mount fails with that has lost its server."""
BROKEN: Mapping[str, int] = {"io": errno.EIO, "damaged": errno.EUCLEAN, "no_device": errno.ENODEV}
"""What an access to a path on a failing disk fails with."""
_WHICH = "which disk, by a path on it; if unset, the one that is mounted beside the root's, else the root's"
_WHERE = "the path of a storage, or any other path"


class DiskFault(Fault):
    """A fault of one disk of a host."""

    path: Path | None = Field(None, description=_WHICH)


@fault(
    Layer.DISK,
    heals="The data that filled the disk is deleted: the same amount is free again.",
    effect=Effect.NEW_STATE,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Fill(DiskFault):
    """The disk fills up with data of others, or such data is deleted; with `over`, at an even pace."""

    to: BytesOrShare = Field(
        Amount("100%", 1.0, 0),
        description="how much is in use in the end: a size, or a share of the disk",
        json_schema_extra={"default": "100%"},
    )
    over: Seconds = Field(0.0, description="how long it takes")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        disk = target.disk_at(self.path)
        before = disk.numbers()
        more = blocks_of(self.to.of(before.blocks * BLOCK)) - before.taken
        clock, since = target.clock, target.clock.monotonic()

        def fill(now: Statvfs) -> Statvfs:
            part = min(1.0, (clock.monotonic() - since) / self.over) if self.over else 1.0
            return replace(now, taken=max(0, now.taken + int(more * part)))

        return disk.change(fill)


@fault(
    Layer.DISK,
    heals="The disk has its former size.",
    effect=Effect.NEW_STATE,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Resize(DiskFault):
    """The disk grows or shrinks while it is in use, even below what is used."""

    size: Bytes = Field(description="its new size")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.disk_at(self.path).change(lambda now: replace(now, blocks=self.size // BLOCK))


@fault(
    Layer.DISK,
    heals="The file system is writable again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class ReadOnly(DiskFault):
    """The file system is read-only, as after an error of its disk. Its numbers do not change."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.disk_at(self.path).change(lambda now: replace(now, read_only=True))


@fault(
    Layer.DISK,
    heals="The same number of inodes is free as before.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class OutOfInodes(DiskFault):
    """All inodes are in use: there is space, but no file can be created."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        def use_up(now: Statvfs) -> Statvfs:
            inodes = now.inodes or INODES
            return replace(now, inodes=inodes, taken_inodes=max(inodes, now.taken_inodes))

        return target.disk_at(self.path).change(use_up)


@fault(
    Layer.DISK,
    heals="The file system has its size again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_CAPACITY],
)
class ZeroCapacity(DiskFault):
    """The file system has a size of 0 blocks, as an automount before its first use."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.disk_at(self.path).change(lambda now: replace(now, blocks=0, taken=0, inodes=0))


class PathFault(Fault):
    """A fault of a path on a host."""

    path: Path = Field(description=_WHERE)


@fault(
    Layer.DISK,
    heals="The disk is mounted again, with everything on it.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NOT_MOUNTED],
    stands_for=[Reason.NOT_MOUNTED],
)
class Unmounted(PathFault):
    """The disk of a path is not mounted, as after a reboot without its line in fstab.

    The path is an empty directory of the root's disk then, with that disk's plausible numbers.
    """

    root_size: Bytes = Field(
        50 * 2**30, description="the size of the root's disk, where the path has no disk of its own"
    )

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.show_mount_point(self.path, self.root_size)


@fault(
    Layer.DISK,
    heals="The former disk is mounted again, with everything on it.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NOT_MOUNTED],
)
class ReplacedDisk(PathFault):
    """Another disk is mounted at a path, an empty one."""

    size: Bytes = Field(2**40, description="its size")
    used: Bytes = Field(0, description="bytes in use on it")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.mount_disk(self.path, self.size, self.used)


class _Displaced(PathFault):
    """A fault that hides what is at a path: only one can be on each path."""

    def displace(self, target: FaultTarget, *, by_file: bool) -> Undo:
        """Hide what is there; return what puts it back. Raise FaultProblem when it is hidden already, and OSError."""
        for applied in target.faults:
            if isinstance(applied.fault, _Displaced) and applied.fault.path == self.path:
                raise FaultProblem(f"fault {self.kind}: {self.path}: {applied.fault.kind} is on {target.name} already")
        return target.displace(self.path, by_file=by_file)


@fault(
    Layer.DISK,
    heals="What was there is back, in place of what was made meanwhile.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NO_SUCH_PATH],
    stands_for=[Reason.NO_SUCH_PATH],
)
class PathGone(_Displaced):
    """A path does not exist: it was moved away, with all that is in it."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return self.displace(target, by_file=False)


@fault(
    Layer.DISK,
    heals="What was there is back, in place of the file.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NOT_A_DIRECTORY],
    stands_for=[Reason.NOT_A_DIRECTORY],
)
class PathIsFile(_Displaced):
    """A path is a file where it was a directory."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return self.displace(target, by_file=True)


@fault(
    Layer.DISK,
    heals="The path is accessible again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.PERMISSION_DENIED],
    stands_for=[Reason.PERMISSION_DENIED],
)
class PermissionDenied(PathFault):
    """The account has no access to a path, nor to what is below it."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.fail_path(self.path, errno.EACCES)


@fault(
    Layer.DISK,
    heals="The file system works again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.STALE_MOUNT],
    stands_for=[Reason.STALE_MOUNT],
)
class StaleMount(PathFault):
    """The file system at a path has lost its server: each access to the path fails at once.

    `stale` is an NFS whose server no longer knows it, `not_connected` a FUSE whose program has ended, `timed_out` and
    `host_down` are of a file server that cannot be reached.
    """

    error: Literal["stale", "not_connected", "timed_out", "host_down"] = Field("stale", description="with which error")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.fail_path(self.path, LOST[self.error])


@fault(
    Layer.DISK,
    heals="The disk works again.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.IO_ERROR],
    stands_for=[Reason.IO_ERROR],
)
class IoError(PathFault):
    """The disk under a path fails: each access to the path fails.

    The error is that of the device (`io`), of a `damaged` file system, or of a device that is gone (`no_device`).
    """

    error: Literal["io", "damaged", "no_device"] = Field("io", description="with which error")

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.fail_path(self.path, BROKEN[self.error])


@fault(
    Layer.DISK,
    heals="Accesses that hung continue, unless their clients have left.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.HUNG],
    stands_for=[Reason.HUNG],
)
class HungMount(PathFault):
    """The file system at a path does not answer, as NFS without its server: each access to the path waits for ever.

    So does df without a path.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.hung_paths.add(self.path)
