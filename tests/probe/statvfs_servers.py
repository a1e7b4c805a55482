"""SFTP servers with `statvfs@openssh.com`, for tests of probes."""

from __future__ import annotations

import asyncssh

SLACK = 256 * 2**20  # bytes and inodes that others may take or free meanwhile


class StatvfsServer(asyncssh.SFTPServer):
    """Reports a directory at every path, on a file system with round numbers."""

    flags = 0
    blocks = 1000

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return asyncssh.SFTPAttrs(permissions=0o40755)

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        return asyncssh.SFTPVFSAttrs(
            bsize=65536, frsize=4096, blocks=self.blocks, bfree=400, bavail=300, files=50, favail=40, flags=self.flags
        )


class ReadOnlyServer(StatvfsServer):
    """Reports a read-only file system."""

    flags = 1


class EmptyServer(StatvfsServer):
    """Reports no blocks, like an automount before its first use (domain 7.2)."""

    blocks = 0


class ForbiddenServer(StatvfsServer):
    """Denies permission."""

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        raise asyncssh.SFTPPermissionDenied("Permission denied")


class BrokenServer(StatvfsServer):
    """Fails each statvfs."""

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        raise asyncssh.SFTPFailure("Failure")


class FullServer(StatvfsServer):
    """Has no files, and has no space for any."""

    def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        raise asyncssh.SFTPNoSuchFile("No such file")

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPNoSpaceOnFilesystem("No space left on device")
