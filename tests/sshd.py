"""A real OpenSSH server for tests, with its own configuration, keys and port, run as the current user."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import asyncssh

_BOUND = 60.0  # seconds to start or stop
_CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
"""
_SFTP = "Subsystem sftp internal-sftp\n"


def find_sshd() -> str | None:
    """Return the absolute path of sshd, which sshd demands of its start; None if it is not installed."""
    return shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


class OpenSshServer:
    """One sshd on a free port of 127.0.0.1; `username` logs in by the key in `identity_file`."""

    def __init__(self, directory: Path, *lines: str, sftp: bool = True) -> None:
        """Write the keys. `lines` of sshd_config precede the defaults, and so win; they apply from the next start."""
        self.directory = directory
        self.lines = lines
        self.sftp = sftp
        self.username = getpass.getuser()
        self.identity_file = directory / "identity"
        self.log = directory / "log"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._write_keys()

    @property
    def pid(self) -> int:
        """The pid of the process that listens. The server must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run sshd and wait until it listens. Raise RuntimeError after _BOUND seconds, or if sshd exits."""
        binary = find_sshd()
        assert binary is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's place for privilege separation
        configuration = self._write_configuration()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([binary, "-D", "-e", "-f", configuration], stderr=log)
        deadline = time.monotonic() + _BOUND
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not listen on port {self.port}:\n{self.log.read_text()}")
            time.sleep(0.01)

    def _write_configuration(self) -> Path:
        configuration = self.directory / "sshd_config"
        defaults = _CONFIGURATION.format(port=self.port, directory=self.directory)
        configuration.write_text("\n".join([*self.lines, defaults + (_SFTP if self.sftp else "")]))
        return configuration

    def reload(self, *lines: str, sftp: bool = True) -> None:
        """Reload sshd with other lines of configuration, which apply to new connections only."""
        self.lines, self.sftp = lines, sftp
        self._write_configuration()
        restarts = self.log.read_text().count("Server listening")
        _signal(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + _BOUND
        while self.log.read_text().count("Server listening") == restarts or not self._listens():
            if time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not restart:\n{self.log.read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill sshd and the processes of its connections. Do nothing if it is not running."""
        if self._process is None:
            return
        connections = self.connections()
        self._process.kill()
        self._process.wait(_BOUND)
        self._process = None
        for pid in connections:
            _signal(pid, signal.SIGKILL)

    def restart(self) -> None:
        """Kill sshd with its connections, and run it again on the same port."""
        self.stop()
        self.start()

    def connections(self) -> list[int]:
        """Return the pids of the processes that serve connections, and of their children."""
        return _descendants(self.pid)

    def kill_connections(self) -> None:
        """Kill the processes that serve connections, and their children; sshd still accepts new connections."""
        for pid in self.connections():
            _signal(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, *, listener: bool = True) -> Iterator[None]:
        """Stop all processes of the server by SIGSTOP inside the block; the kernel still accepts connections.

        Without `listener`, stop only those of open connections.
        """
        processes = [*([self.pid] if listener else []), *self.connections()]
        for pid in processes:
            _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                _signal(pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), _BOUND):
            return True
        return False

    def new_host_key(self) -> None:
        """Write a new host key; sshd reads it at the next start or reload."""
        (self.directory / "host_key").touch(mode=0o600)
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(self.directory / "host_key")

    def _write_keys(self) -> None:
        self.new_host_key()
        identity = asyncssh.generate_private_key("ssh-ed25519")
        self.identity_file.touch(mode=0o600)
        identity.write_private_key(self.identity_file)
        identity.write_public_key(self.directory / "authorized_keys")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _descendants(root: int) -> list[int]:
    """Return the pids of the descendants of `root`, in no order. Linux only."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name of a process, in parentheses, may hold anything; after it come state and parent.
            parent = int(file.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(file.parent.name))
    found = list(children.get(root, []))
    for pid in found:
        found += children.get(pid, [])
    return found


StartSshd = Callable[..., OpenSshServer]
"""Starts a server; takes the arguments of OpenSshServer after the directory."""
