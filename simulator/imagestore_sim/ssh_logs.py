"""asyncssh's log, without the work for lines that nobody gets: it formats one for each packet, and then drops it."""

from __future__ import annotations

from typing import Any

from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger

_PACKETS = 3
"""The debug level of asyncssh at which it logs packets."""


def format_what_is_logged() -> None:
    """Have asyncssh format only lines that are logged; what is logged stays the same."""
    if SSHPacketLogger._log_packet is not _log_packet:
        SSHPacketLogger._log_packet = _log_packet  # type: ignore[method-assign, assignment]
        SSHLogger.log = _log  # type: ignore[method-assign]


_format_packet, _format = SSHPacketLogger._log_packet, SSHLogger.log


def _log_packet(self: SSHPacketLogger, *packet: Any) -> None:
    if SSHLogger._debug_level >= _PACKETS:
        _format_packet(self, *packet)


def _log(self: SSHLogger, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(level):
        _format(self, level, msg, *args, **kwargs)
