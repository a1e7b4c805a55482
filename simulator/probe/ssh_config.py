"""An OpenSSH configuration file: HostName, Port, IdentityFile, ProxyJump and what else asyncssh takes from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh

from simulator.probe.names import check_expansions
from simulator.probe.target import Target

logger = logging.getLogger(__name__)
DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class Way:
    """How a host is logged in to."""

    options: asyncssh.SSHClientConnectionOptions
    host: str
    port: int
    has_keys: bool
    hops: tuple[str, ...] = ()
    """The hosts on the way to it, `[USER@]HOST[:PORT]` each (ProxyJump)."""
    by_command: bool = False
    """Over a command's input and output (ProxyCommand)."""

    @property
    def direct(self) -> bool:
        """Whether it is a TCP connection from here."""
        return not self.hops and not self.by_command

    async def connect_hop(self, hop: str, before: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        """Log in to a host on the way, by way of the one before it; its keys are those that the file names."""
        user, _, place = hop.rpartition("@")
        host, _, port = place.partition(":")
        given: dict[str, object] = {"tunnel": before} if before else {}
        given |= {"username": user} if user else {}
        given |= {"port": int(port)} if port else {}
        return await asyncssh.connect(host, config=self.options.kwargs["config"], agent_path=None, **given)


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
        self._known: dict[Target, Way] = {}
        try:
            file.read_text()
            self.way_to(Target("host.invalid", DEFAULT_PORT, "root", "/"))
        except OSError as error:
            raise ValueError(f"SSH configuration {file}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"SSH configuration {file}: {error}") from error

    def way_to(self, target: Target) -> Way:
        """The way to a host; reads files. Raises ValueError, OSError."""
        if target not in self._known:
            self._known[target] = self._read(target)
        return self._known[target]

    def _read(self, target: Target) -> Way:
        given = {**self._base, "config": [str(self._file)], "host": target.hostname, "username": target.username}
        if target.port != DEFAULT_PORT:
            given["port"] = target.port
        found = asyncssh.SSHClientConnectionOptions(**given, client_keys=None)
        check_expansions(target, found)
        keys = [] if self._identity is None else [self._identity]
        keys += self._keys(cast("list[str]", found.config.get("IdentityFile", [])))
        options = asyncssh.SSHClientConnectionOptions(**given, client_keys=keys or None)
        hops = tuple(options.tunnel.split(",")) if isinstance(options.tunnel, str) and options.tunnel else ()
        return Way(options, options.host, options.port, bool(keys), hops, bool(options.proxy_command))

    def _keys(self, files: list[str]) -> list[asyncssh.SSHKey]:
        keys = []
        for name in files:
            file = Path(name).expanduser()
            try:
                keys.append(asyncssh.read_private_key(file))
            except (OSError, ValueError) as error:  # ssh passes over it, too
                logger.warning("identity file %s of %s cannot be used: %s", file, self._file, error)
        return keys
