"""The accounts of a simulated host: who may log in, with which password or key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account that may log in, with a password or a key; `keys` are lines of an authorized_keys file.

    Raises ValueError for a line that is not a public key.
    """

    username: str
    password: str | None = field(default=None, repr=False)
    keys: Sequence[str] = ()

    def __post_init__(self) -> None:
        _ = self.public_keys

    @property
    def public_keys(self) -> list[asyncssh.SSHKey]:
        """Return the keys, parsed."""
        return [asyncssh.import_public_key(line) for line in self.keys]


class Accounts:
    """Decides about logins, by the credentials of a host and the faults on it."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    def accepts_password(self, username: str, password: str) -> bool:
        """Return whether a password logs in. Without credentials every password does, unless a fault rotated it."""
        if not self._is_open_to(username):
            return False
        credentials = self._host.credentials
        expected = self._host.behaviour.password or (credentials.password if credentials else None)
        if credentials is None:
            return expected in (None, password)
        return (credentials.username, expected) == (username, password)

    def accepts_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Return whether a key logs in. Without credentials every key does."""
        if not self._is_open_to(username):
            return False
        credentials = self._host.credentials
        if credentials is None:
            return True
        accepted = {one.public_data for one in (*credentials.public_keys, *self._host.trusted_keys)}
        return username == credentials.username and key.public_data in accepted

    def _is_open_to(self, username: str) -> bool:
        now = self._host.behaviour
        return not now.logins_denied and username not in now.locked_accounts
