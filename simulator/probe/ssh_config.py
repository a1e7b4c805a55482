"""An OpenSSH configuration file: HostName, Port, IdentityFile, ProxyJump and what else asyncssh takes from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh

from simulator.probe.target import Target

logger = logging.getLogger(__name__)
DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host is logged in to: by way of `jumps` where that says so."""

    options: asyncssh.SSHClientConnectionOptions
    host: str
    port: int
    keys: bool
    jumps: bool


class SshConfig:
    """The options that a file gives for hosts, read once a host.

    A record's user name and any port but 22 win over the file's; 22, which cannot be told from a port that nobody gave,
    gives way to it. The file says nothing of host keys that counts, and keys of the user's own are not looked for.
    """

    def __init__(self, file: Path, identity: asyncssh.SSHKey | None, base: dict[str, object]) -> None:
        """Raises ValueError for a file that cannot be used."""
        self._file = file
        self._identity = identity
        self._base = base
        self._known: dict[Target, HostOptions] = {}
        try:
            file.read_text()
            self.options_for(Target("host.invalid", DEFAULT_PORT, "root", "/"))
        except OSError as error:
            raise ValueError(f"SSH configuration {file}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"SSH configuration {file}: {error}") from error

    def options_for(self, target: Target) -> HostOptions:
        """The options for a host; reads files. Raises ValueError, OSError."""
        if target not in self._known:
            self._known[target] = self._read(target)
        return self._known[target]

    def _read(self, target: Target) -> HostOptions:
        given = {**self._base, "config": [str(self._file)], "host": target.hostname, "username": target.username}
        if target.port != DEFAULT_PORT:
            given["port"] = target.port
        found = asyncssh.SSHClientConnectionOptions(**given, client_keys=None)
        keys = [] if self._identity is None else [self._identity]
        keys += self._keys(cast("list[str]", found.config.get("IdentityFile", [])))
        options = asyncssh.SSHClientConnectionOptions(**given, client_keys=keys or None)
        jumps = bool(options.tunnel or options.proxy_command)
        return HostOptions(options, options.host, options.port, bool(keys), jumps)

    def _keys(self, files: list[str]) -> list[asyncssh.SSHKey]:
        keys = []
        for name in files:
            file = Path(name).expanduser()
            try:
                keys.append(asyncssh.read_private_key(file))
            except (OSError, ValueError) as error:  # ssh passes over it, too
                logger.warning("identity file %s of %s cannot be used: %s", file, self._file, error)
        return keys
