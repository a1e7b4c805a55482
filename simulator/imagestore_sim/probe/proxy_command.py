"""A process (ProxyCommand) over whose standard input and output an SSH connection is made."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from typing_extensions import override


class Receiver(Protocol):
    """What gets the output of the process: the protocol above the transport."""

    def connection_made(self, transport: Any) -> None:
        """Begin to use the transport."""

    def data_received(self, data: bytes) -> None:
        """Take the next output of the process."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice that the process or its pipes have ended."""


class ProxyCommandTransport(asyncio.SubprocessProtocol):
    """A running command, with the interface of a transport for `receiver`."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._process: asyncio.SubprocessTransport | None = None
        self._ended = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast(asyncio.SubprocessTransport, transport)
        self._receiver.connection_made(self)

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._receiver.data_received(data)

    @override
    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._lost(exc)

    @override
    def process_exited(self) -> None:
        self._lost(None)

    def _lost(self, exc: Exception | None) -> None:
        """Report the end once: asyncio calls back for the process and for each of its pipes."""
        if not self._ended:
            self._ended = True
            self._receiver.connection_lost(exc)

    # The interface of a transport, as far as asyncssh and BoundedTunnel use it

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `default`: a pipe has neither a socket nor an address."""
        return default

    def is_closing(self) -> bool:
        """Return whether the command is being closed, or was never started."""
        return self._process is None or self._process.is_closing()

    def write(self, data: bytes) -> None:
        """Write to the command's standard input; drop the data if the command has ended."""
        if self._is_open(0):
            self._pipe(0).write(data)

    def pause_reading(self) -> None:
        """Stop reading the command's standard output, if it is open."""
        if self._is_open(1):
            self._pipe(1).pause_reading()

    def resume_reading(self) -> None:
        """Resume reading the command's standard output, if it is open."""
        if self._is_open(1):
            self._pipe(1).resume_reading()

    def abort(self) -> None:
        """Close the command at once, as `close` does."""
        self.close()

    def close(self) -> None:
        """Kill the command, and report the end of the connection."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
            self._lost(None)

    def _is_open(self, fd: int) -> bool:
        return self._process is not None and not self._pipe(fd).is_closing()

    def _pipe(self, fd: int) -> Any:
        assert self._process is not None
        return self._process.get_pipe_transport(fd)
