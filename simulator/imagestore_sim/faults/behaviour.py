"""How a host behaves at present: well, but for what the faults on it make of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

import asyncssh


class Port(Enum):
    """What becomes of a TCP connection that somebody tries to open."""

    OPEN = auto()
    REFUSING = auto()
    """As if nobody listened."""
    DEAF = auto()
    """As if a firewall dropped it: no answer at all."""


class Startups(NamedTuple):
    """sshd's MaxStartups `start:rate:full`, and what it does with a connection too many."""

    start: int
    rate: int
    full: int
    how: str


class Said(NamedTuple):
    """What an account's forced command says in place of whatever was asked, and its exit status."""

    text: str
    status: int


@dataclass(slots=True)
class Behaviour:
    """One moment of a host. Every fault on it changes this, in the order in which they came."""

    # The network
    port: Port = Port.OPEN
    unreachable: bool = False
    """Whoever asks a network for the way to it hears that there is none."""
    silent: bool = False
    """Nothing goes either way; TCP keeps it until it can."""
    latency: float = 0.0
    """Seconds by which everything is late, in each direction."""
    jitter: float = 0.0
    rate: float | None = None
    """Bytes a second in each direction."""
    greeting: bytes | None = None
    """Said in place of SSH."""
    reset_on_connect: bool = False
    reset_after: int | None = None
    """Bytes that the host sends over a connection before it is reset."""
    cut_on_request: bool = False
    """A connection is reset as soon as whoever has logged in asks for something."""

    # sshd
    startups: Startups | None = None
    max_sessions: int | None = None
    locked_out: set[str] = field(default_factory=set)
    """Accounts that may not log in."""
    nobody_logs_in: bool = False
    password: str | None = None
    """The one that logs in, in place of the host's own."""
    expired_password: bool = False
    """A login with the password has to set a new one first."""
    expired_account: bool = False
    """A login is sent away once it has succeeded."""
    flood: str | None = None
    """When a connection is flooded with what says nothing: `banner`, `keys`, `login` or `session`."""
    login_seconds: float = 0.0
    host_key: asyncssh.SSHKey | None = None

    # Sessions
    no_sftp: bool = False
    no_statvfs: bool = False
    forced: Said | None = None
    noise: str = ""
    """What login scripts print before whatever is run."""
    missing: set[str] = field(default_factory=set)
    hung_commands: set[str] = field(default_factory=set)
    hung_shell: bool = False
    hung_sftp: bool = False
    broken_sftp: str | None = None
    """In which way the SFTP server answers what was not asked."""
    lingers: bool = False
    """Sessions stay open when what they ran has ended."""
    kills: bool = False
    """What serves a connection is killed as soon as a session begins."""

    # The disk
    hung_paths: set[str] = field(default_factory=set)

    @property
    def late(self) -> bool:
        """Whether what goes over the network does not arrive at once."""
        return self.silent or self.latency > 0 or self.jitter > 0 or self.rate is not None

    def hangs(self, path: str) -> bool:
        """Whether whoever touches `path`, an absolute one, waits for ever."""
        return any(path == hung or path.startswith(hung.rstrip("/") + "/") for hung in self.hung_paths)
