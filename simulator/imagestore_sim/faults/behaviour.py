"""How a simulated host behaves at one moment: as a sound one, but for what the faults on it change."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

import asyncssh


class PortState(Enum):
    """What happens to a TCP connection that a client tries to open."""

    OPEN = auto()
    REFUSING = auto()
    """The kernel answers with a reset, as where no program listens."""
    DEAF = auto()
    """No answer at all, as behind a firewall that drops packets."""


class StartupLimit(NamedTuple):
    """sshd's MaxStartups `start:rate:full`, and `how` it turns a connection away: `line`, `close` or `reset`."""

    start: int
    rate: int
    full: int
    how: str


class ForcedAnswer(NamedTuple):
    """What an account's forced command prints in place of the command that was asked for, and its exit status."""

    text: str
    status: int


@dataclass(slots=True)
class Behaviour:
    """One moment of a host. Every fault on it changes this, in the order in which they came."""

    # The network
    port: PortState = PortState.OPEN
    unreachable: bool = False
    """The lab's name resolution answers that there is no route to the host."""
    silent: bool = False
    """No packet is delivered in either direction; TCP retransmits until the fault heals."""
    latency: float = 0.0
    """Seconds by which everything is late, in each direction."""
    jitter: float = 0.0
    """Seconds by which that varies at random, up and down."""
    rate: float | None = None
    """Bytes a second in each direction; None: no limit."""
    greeting: bytes | None = None
    """Sent in place of an SSH banner, after which the connection is closed."""
    reset_on_connect: bool = False
    reset_after: int | None = None
    """Bytes that the host sends over a connection before it is reset."""
    cut_on_request: bool = False
    """A connection that has logged in is reset by the first thing that comes over it."""

    # sshd
    startups: StartupLimit | None = None
    max_sessions: int | None = None
    locked_accounts: set[str] = field(default_factory=set)
    """Accounts that may not log in."""
    logins_denied: bool = False
    """No account may log in."""
    password: str | None = None
    """The password that logs in, in place of the host's own."""
    expired_password: bool = False
    """A login with the password has to set a new one first."""
    expired_account: bool = False
    """A login is turned away once it has succeeded."""
    flood: str | None = None
    """When a connection is flooded with what means nothing: `banner`, `keys`, `login` or `session`."""
    login_seconds: float = 0.0
    """Seconds by which each login takes longer."""
    host_key: asyncssh.SSHKey | None = None
    """The host key in place of the host's own."""

    # Sessions
    no_sftp: bool = False
    no_statvfs: bool = False
    forced_answer: ForcedAnswer | None = None
    noise: str = ""
    """What login scripts print before the command that was asked for begins."""
    missing_commands: set[str] = field(default_factory=set)
    hung_commands: set[str] = field(default_factory=set)
    hung_shell: bool = False
    hung_sftp: bool = False
    broken_sftp: str | None = None
    """How the SFTP server breaks its protocol: `type`, `id`, `short`, `huge` or `text`."""
    sessions_linger: bool = False
    """Sessions stay open when their command has ended."""
    kills_sessions: bool = False
    """The process that serves a connection is killed as soon as a session begins."""

    # The disk
    hung_paths: set[str] = field(default_factory=set)
    """Absolute paths: an access to one of them, or below it, never ends."""

    # The agent
    agent: PortState = PortState.OPEN
    """What happens to a connection to the agent's port."""
    certificate_expired: bool = False
    registry_lost: bool = False
    """The agent answers that it cannot use the folder of its images."""

    @property
    def is_late(self) -> bool:
        """Return whether what goes over the network arrives later than at once."""
        return self.silent or self.latency > 0 or self.jitter > 0 or self.rate is not None

    def hangs(self, path: str) -> bool:
        """Return whether an access to `path`, an absolute one, never ends."""
        return any(path == hung or path.startswith(hung.rstrip("/") + "/") for hung in self.hung_paths)
