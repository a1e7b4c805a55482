"""Why a management node cannot start, in one line each."""

from __future__ import annotations

import errno

from imagestore_sim import open_files
from imagestore_sim.web_server import authority


class StartError(Exception):
    """The node cannot start. The text is one line and says what to do."""


def cannot_start(error: OSError) -> str:
    """Return the line for a file or a socket that cannot be opened at the start."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        most = open_files.limit()
        return f"more files are needed than may be open at once, which are {most}; raise the limit with ulimit -n"
    where = f"{error.filename}: " if error.filename else ""
    return f"cannot start: {where}{error.strerror or error}"


def cannot_listen(host: str, port: int, error: OSError, option: str = "--port") -> str:
    """Return the line for an address that cannot be listened on; `option` chooses its port."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with {option}, or let {option} 0 pick a free one"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be opened by this user; choose one above 1023 with {option}"
    return f"cannot listen on {authority(host, port)}: {error.strerror or error}"
