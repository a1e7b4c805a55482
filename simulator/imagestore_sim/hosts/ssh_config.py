"""An OpenSSH configuration, so that `ssh -F FILE NAME` reaches simulated hosts by their names."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import asyncssh

from imagestore_sim.host_names import is_user_name
from imagestore_sim.hosts.host import SimulatedHost

IDENTITY = "identity"
CONFIG = "ssh_config"
NAME = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)
"""Names that ssh takes literally behind `Host`: other ones could match several hosts."""


class SshConfig:
    """A configuration file, and beside it the private key that logs in to all hosts."""

    def __init__(self, folder: Path, identity: asyncssh.SSHKey) -> None:
        self.path = folder / CONFIG
        self.identity = identity
        self._identity_file = folder / IDENTITY
        self._blocks: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._noted = 0  # changes so far
        self._written = 0  # of these, how many are in the file

    @classmethod
    async def create(cls, folder: Path) -> SshConfig:
        """Read the identity in `folder`, or make one. Raise OSError."""
        return cls(folder, await asyncio.to_thread(_identity, folder / IDENTITY))

    def enter(self, host: SimulatedHost) -> None:
        """Let the identity in on a host, and note where that listens. `write` puts it into the file."""
        if self.identity not in host.trusted_keys:
            host.trusted_keys.append(self.identity)
        self._blocks[host.name] = self._block(host)
        self._noted += 1

    def drop(self, host: SimulatedHost) -> None:
        """Forget a host. `write` takes it out of the file."""
        self._blocks.pop(host.name, None)
        self._noted += 1

    async def write(self) -> None:
        """Write what has been noted, with one write for all calls that wait for it. Raise OSError."""
        noted = self._noted
        async with self._turn:
            if self._written < noted or not noted:
                changes, text = self._noted, "\n".join(self._blocks.values())
                await asyncio.to_thread(_replace, self.path, text)
                self._written = changes

    def _block(self, host: SimulatedHost) -> str:
        address, port = host.address
        if not NAME.fullmatch(host.name):
            return ""  # it cannot be asked for by that name anyway
        username = host.credentials.username if host.credentials else "root"
        quoted = username if NAME.fullmatch(username) else f'"{username}"'
        user = f"    User {quoted}\n" if is_user_name(username) else ""
        return (
            f"Host {host.name}\n"
            f"    HostName {address}\n"
            f"    Port {port}\n"
            f"{user}"
            f"{self._identity_lines()}"
            "    StrictHostKeyChecking no\n"
            "    UserKnownHostsFile /dev/null\n"
            "    LogLevel ERROR\n"
        )

    def _identity_lines(self) -> str:
        """Return the lines that name the private key; none for a path with a line feed, which no line can hold."""
        file = str(self._identity_file.absolute())
        if "\n" in file:
            return ""
        for one, quoted in (("\\", r"\\"), ('"', r"\""), ("%", "%%")):
            file = file.replace(one, quoted)
        return f'    IdentityFile "{file}"\n    IdentitiesOnly yes\n'


def _identity(file: Path) -> asyncssh.SSHKey:
    """Return the private key in `file`, which is made with mode 0600 when it does not exist."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519", comment="imagestore-sim")
    with open(descriptor, "wb") as opened:
        opened.write(key.export_private_key())
    return key


def _replace(file: Path, text: str) -> None:
    """Replace a file at once, so that no reader ever sees half of it."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as opened:  # a path may be no UTF-8
        opened.write(text)
    draft.replace(file)
