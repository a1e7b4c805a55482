"""Error messages of operating systems about paths, as commands print them, with the reason and advice for each.

A command prints `NAME: PATH: TEXT`. The texts are those of glibc, musl, BusyBox and BSD in the C locale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagestore_sim.reasons import Reason


@dataclass(frozen=True, slots=True)
class ErrnoMessage:
    """An error by its name in errno.h, and its texts; `advice` is None where that of the reason applies."""

    name: str
    reason: Reason
    texts: tuple[str, ...]
    advice: str | None = None


_REMOUNT = "Unmount the path on the host and mount it again: what serves the file system no longer answers for it."
_SERVER = "Check the file server behind the path, and the network between it and the host; then mount the path again."
_FUSE = "Mount the path on the host again: the program that serves its FUSE file system has ended."
_DEVICE = "Look for the disk that the path is on: its device has gone from the host."
_KEY = "Unlock the encrypted directory on the host, or renew the Kerberos ticket of the account there."
_MEMORY = "Free memory, processes or open files on the host: it could not run what the probe asked for."

_ERRORS: tuple[ErrnoMessage, ...] = (
    ErrnoMessage("ENOENT", Reason.NO_SUCH_PATH, ("no such file or directory", "can't find mount point")),
    ErrnoMessage(
        "ELOOP",
        Reason.NO_SUCH_PATH,
        ("too many levels of symbolic links", "symbolic link loop"),
        "Mend the symbolic links in the path, which lead in a circle, or correct the url of the storage.",
    ),
    ErrnoMessage(
        "ENAMETOOLONG",
        Reason.NO_SUCH_PATH,
        ("file name too long", "filename too long"),
        "Correct the url of the storage: the host takes no name, or no path, of that length.",
    ),
    ErrnoMessage("ENOTDIR", Reason.NOT_A_DIRECTORY, ("not a directory",)),
    ErrnoMessage("EEXIST", Reason.NOT_A_DIRECTORY, ("file exists",)),
    ErrnoMessage("EACCES", Reason.PERMISSION_DENIED, ("permission denied",)),
    ErrnoMessage(
        "EPERM",
        Reason.PERMISSION_DENIED,
        ("operation not permitted", "not owner"),
        "Look for what forbids it beside the rights: SELinux, AppArmor, an immutable attribute, a container's limits.",
    ),
    ErrnoMessage(
        "EROFS",
        Reason.PERMISSION_DENIED,
        ("read-only file system",),
        "Remount the file system writable, once the kernel's log of the host has told why it is not.",
    ),
    ErrnoMessage(
        "ENOSPC",
        Reason.PERMISSION_DENIED,
        ("no space left on device",),
        "Free blocks or inodes on the file system of the path.",
    ),
    ErrnoMessage(
        "EDQUOT",
        Reason.PERMISSION_DENIED,
        ("disk quota exceeded", "disc quota exceeded", "quota exceeded"),
        "Raise the disk quota of the account on the host.",
    ),
    ErrnoMessage("ENOKEY", Reason.PERMISSION_DENIED, ("required key not available",), _KEY),
    ErrnoMessage("EKEYEXPIRED", Reason.PERMISSION_DENIED, ("key has expired",), _KEY),
    ErrnoMessage("EKEYREVOKED", Reason.PERMISSION_DENIED, ("key has been revoked",), _KEY),
    ErrnoMessage("EKEYREJECTED", Reason.PERMISSION_DENIED, ("key was rejected by service",), _KEY),
    ErrnoMessage(
        "ESTALE", Reason.STALE_MOUNT, ("stale file handle", "stale nfs file handle", "stale file nfs handle"), _REMOUNT
    ),
    ErrnoMessage(
        "ENOTCONN",
        Reason.STALE_MOUNT,
        ("transport endpoint is not connected", "socket not connected", "socket is not connected"),
        _FUSE,
    ),
    ErrnoMessage("ECONNABORTED", Reason.STALE_MOUNT, ("software caused connection abort", "connection aborted"), _FUSE),
    ErrnoMessage(
        "ESHUTDOWN",
        Reason.STALE_MOUNT,
        ("cannot send after transport endpoint shutdown", "cannot send after socket shutdown"),
        _REMOUNT,
    ),
    ErrnoMessage("ENOLINK", Reason.STALE_MOUNT, ("link has been severed",), _REMOUNT),
    ErrnoMessage("ETIMEDOUT", Reason.STALE_MOUNT, ("connection timed out", "operation timed out"), _SERVER),
    ErrnoMessage("EHOSTDOWN", Reason.STALE_MOUNT, ("host is down",), _SERVER),
    ErrnoMessage("EHOSTUNREACH", Reason.STALE_MOUNT, ("no route to host", "host is unreachable"), _SERVER),
    ErrnoMessage("ENETUNREACH", Reason.STALE_MOUNT, ("network is unreachable", "network unreachable"), _SERVER),
    ErrnoMessage("ENETDOWN", Reason.STALE_MOUNT, ("network is down",), _SERVER),
    ErrnoMessage("ECONNREFUSED", Reason.STALE_MOUNT, ("connection refused",), _SERVER),
    ErrnoMessage(
        "ECONNRESET", Reason.STALE_MOUNT, ("connection reset by peer", "connection reset by network"), _SERVER
    ),
    ErrnoMessage("EPIPE", Reason.STALE_MOUNT, ("broken pipe",), _REMOUNT),
    ErrnoMessage("EIO", Reason.IO_ERROR, ("input/output error", "i/o error")),
    ErrnoMessage("EREMOTEIO", Reason.IO_ERROR, ("remote i/o error",)),
    ErrnoMessage(
        "EUCLEAN",
        Reason.IO_ERROR,
        ("structure needs cleaning", "file system corrupted"),
        "Check the file system of the path (fsck, xfs_repair): its structures are damaged.",
    ),
    ErrnoMessage("EBADMSG", Reason.IO_ERROR, ("bad message",)),
    ErrnoMessage("ENODEV", Reason.IO_ERROR, ("no such device", "operation not supported by device"), _DEVICE),
    ErrnoMessage("ENXIO", Reason.IO_ERROR, ("no such device or address", "device not configured"), _DEVICE),
    ErrnoMessage("ENOMEDIUM", Reason.IO_ERROR, ("no medium found",), _DEVICE),
    ErrnoMessage("ENOMEM", Reason.BUSY, ("cannot allocate memory", "out of memory"), _MEMORY),
    ErrnoMessage("EAGAIN", Reason.BUSY, ("resource temporarily unavailable",), _MEMORY),
    ErrnoMessage("EMFILE", Reason.BUSY, ("too many open files", "no file descriptors available"), _MEMORY),
    ErrnoMessage("ENFILE", Reason.BUSY, ("too many open files in system",), _MEMORY),
    ErrnoMessage(
        "EOVERFLOW",
        Reason.NO_CAPACITY,
        ("value too large for defined data type", "value too large for data type"),
        "Enable SFTP on the host, or install a df that counts in 64 bits: its own cannot count this file system.",
    ),
    ErrnoMessage("ENOSYS", Reason.NO_CAPACITY, ("function not implemented",)),
    ErrnoMessage(
        "EOPNOTSUPP",
        Reason.NO_CAPACITY,
        ("operation not supported", "not supported", "operation not supported on socket"),
    ),
)

_BY_TEXT: Mapping[str, ErrnoMessage] = {text: known for known in _ERRORS for text in known.texts}
_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_EDGES = f"{_BLANKS}\"'`‘’“”"  # noqa: RUF001 - quotation marks of coreutils


def find_errno_message(output: str) -> tuple[ErrnoMessage, str] | None:
    """Return the first known error in the output of a command, with the text as printed; None without one.

    A path may contain the words of an error, so only the text after the last colon of a line is compared.
    """
    for line in output.splitlines():
        text = line.rpartition(": ")[2].lstrip(_EDGES).rstrip(f"{_EDGES}.")
        known = _BY_TEXT.get(text.lower())
        if known is not None:
            return known, text
    return None
