"""What a container host is, for those who start it and for the implementations of faults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host: its sshd and its disk."""

    port: int = 22
    """The port that its sshd listens on."""
    username: str = "root"
    """The account of its storages."""
    urls: tuple[str, ...] = ()
    """The paths of the storages on it."""
    mount: str | None = None
    """The path at which it was asked to have its disk; None or `/`: the disk stands for the root's."""
    disk_path: str = "/Cloud_bs"
    """The path at which the disk is mounted in the container."""
    size: int | None = None
    """The size of the disk in bytes; None where only the running host knows it."""
    memory_disk: bool = False
    """Whether the disk is a tmpfs (`MemoryDisk`) and not XFS (`XfsDisk`)."""
