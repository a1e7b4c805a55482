"""Every way in which a probe can fail, classified (domain 6.3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import asyncssh
from asyncssh.packet import PacketDecodeError
from asyncssh.saslprep import SASLPrepError

from simulator.probe.phases import Phase
from simulator.probe.target import FOLDERS, Target


class Reason(StrEnum):
    """Why a probe failed: a closed set, used alike in job errors, events, metrics and reports."""

    REFUSED = "refused"
    DNS = "dns"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RESET = "reset"
    NOT_SSH = "not_ssh"
    BUSY = "busy"
    AUTH_FAILED = "auth_failed"
    HOST_KEY_CHANGED = "host_key_changed"
    NO_SUCH_PATH = "no_such_path"
    NOT_A_DIRECTORY = "not_a_directory"
    PERMISSION_DENIED = "permission_denied"
    NOT_MOUNTED = "not_mounted"
    NO_CAPACITY = "no_capacity"
    NO_COMMAND = "no_command"
    HUNG = "hung"

    @property
    def advice(self) -> str:
        """One sentence for people: what to do about it."""
        return _ADVICE[self]


_ADVICE: Mapping[Reason, str] = {
    Reason.REFUSED: "Start sshd on the host, or correct the SSH port.",
    Reason.DNS: "Correct the host name, or make it resolve on this machine.",
    Reason.UNREACHABLE: "Check the route and the firewall between this machine and the host.",
    Reason.TIMEOUT: "Check that the host is up, not overloaded, and that no firewall drops its packets.",
    Reason.RESET: "Try again; if it persists, look for a firewall or proxy that resets, and into the log of sshd.",
    Reason.NOT_SSH: "Correct the port: what listens there does not speak SSH 2, or only with algorithms out of use.",
    Reason.BUSY: "The host is up: try again later, or raise MaxStartups or MaxSessions in its sshd_config.",
    Reason.AUTH_FAILED: "Correct the user name, password or key, and check that sshd lets this account log in.",
    Reason.HOST_KEY_CHANGED: "Find out whether the host was reinstalled or replaced before trusting its new key.",
    Reason.NO_SUCH_PATH: "Create the path on the host, or correct the url of the storage.",
    Reason.NOT_A_DIRECTORY: "Remove the file that is in the way, or correct the url of the storage.",
    Reason.PERMISSION_DENIED: "Give the account its rights on the path, on a file system neither read-only nor full.",
    Reason.NOT_MOUNTED: "Mount the disk of the storage at its url.",
    Reason.NO_CAPACITY: "Run df on the path as this account: it must print a size, and the login shell must allow it.",
    Reason.NO_COMMAND: "Enable SFTP in sshd_config, or install df (coreutils or busybox) on the host.",
    Reason.HUNG: "Look for a file system or login script on the host that no longer answers, such as a dead NFS mount.",
}


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A probe that brought no capacity; `phases` holds milliseconds, the last one up to the failure."""

    reason: Reason
    message: str
    phases: Mapping[str, float]


class Failed(Exception):
    """A failure that whoever raises it has classified already."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unsupported(Failed):
    """The host has not what a method needs: the next method is tried."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.NO_COMMAND, message)


class NoSize(Failed):
    """A file system has no blocks: an automount before its first use, or none that holds files (domain 7.2)."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NO_CAPACITY, f"{url} has a size of 0")


class NotMounted(Failed):
    """The path of a storage holds none of its folders."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NOT_MOUNTED, f"{url} holds neither {' nor '.join(FOLDERS)}: its disk is not mounted")


def classify(error: Exception, target: Target, phase: Phase, greeting: str | None = None) -> tuple[Reason, str]:
    """The reason and a message for `error`, met in `phase`; raises `error` again when it is no failure of the host.

    `greeting` is what the server said in place of an SSH banner, None when the banner had come.
    """
    if isinstance(error, Failed):
        reason, message = error.reason, str(error)
    elif phase in ("channel", "command"):
        reason, message = _in_session(error, target)
    elif phase == "kex" and greeting is not None:
        reason, message = _before_banner(error, greeting)
    else:
        reason, message = _at_login(error, target, phase)
    return reason, f"{target.hostname}:{target.port}: {message}"


def excerpt(text: object, limit: int = 120) -> str:
    """What a host said, fit for one line of a message: printable, at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _before_banner(error: Exception, greeting: str) -> tuple[Reason, str]:
    """sshd refuses with a line of text when it has too many logins, or (9.8 on) penalises the source."""
    if greeting.startswith(("Exceeded MaxStartups", "Not allowed at this time")):
        return Reason.BUSY, f"sshd takes no more logins now ({excerpt(greeting)})"
    if greeting:
        return Reason.NOT_SSH, f'no SSH server: it said "{excerpt(greeting)}" in place of an SSH banner'
    match error:
        case TimeoutError():
            return Reason.TIMEOUT, "the connection was accepted, but no SSH banner came in time"
        case asyncssh.ConnectionLost():
            return Reason.BUSY, "closed before its SSH banner: sshd at its MaxStartups, or something else reset it"
        case ConnectionError():
            return Reason.RESET, "reset before its SSH banner: by the network, or by an sshd at its MaxStartups"
    return _of_protocol(error, "kex")


def _at_login(error: Exception, target: Target, phase: Phase) -> tuple[Reason, str]:
    match error:
        case socket.gaierror():
            return Reason.DNS, f"the host name does not resolve ({excerpt(error.strerror)})"
        case TimeoutError():
            return Reason.TIMEOUT, f"not logged in in time ({_UNDER_WAY[phase]})"
        case ConnectionRefusedError():
            return Reason.REFUSED, "connection refused"
        case ConnectionError() | asyncssh.ConnectionLost():
            return Reason.RESET, f"connection lost ({_UNDER_WAY[phase]})"
        case asyncssh.ChannelOpenError():
            return _behind_a_jump_host(error)
        case OSError():
            return Reason.UNREACHABLE, f"no connection ({excerpt(error.strerror or error)})"
        case asyncssh.PermissionDenied() | asyncssh.IllegalUserName() | SASLPrepError() | UnicodeEncodeError():
            return Reason.AUTH_FAILED, f"permission denied for user {excerpt(target.username)}"
    return _of_protocol(error, phase)


def _behind_a_jump_host(error: asyncssh.ChannelOpenError) -> tuple[Reason, str]:
    """What a host on the way (ProxyJump) says of its own try to connect; OpenSSH passes on the system's words."""
    said = excerpt(error).lower()
    known = {"refused": Reason.REFUSED, "not known": Reason.DNS, "resolution": Reason.DNS, "timed out": Reason.TIMEOUT}
    reason = next((known[words] for words in known if words in said), Reason.UNREACHABLE)
    return reason, f"the jump host cannot connect to it ({excerpt(error)})"


def _of_protocol(error: Exception, phase: Phase) -> tuple[Reason, str]:
    """What SSH itself objects to; asyncssh passes on a server's garbage as ValueError."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return Reason.HOST_KEY_CHANGED, excerpt(error)
    if isinstance(error, asyncssh.DisconnectError):
        # sshd ends a login after MaxAuthTries with a protocol error.
        tries = phase == "auth" and error.code == asyncssh.DISC_PROTOCOL_ERROR
        reason = Reason.AUTH_FAILED if tries else _DISCONNECTED.get(error.code, Reason.NOT_SSH)
        return reason, f"disconnected ({_UNDER_WAY[phase]}): {excerpt(error)}"
    if isinstance(error, ValueError) and phase in ("kex", "auth"):
        return Reason.NOT_SSH, f"not understood as SSH ({_UNDER_WAY[phase]}): {excerpt(error)}"
    raise error


def _in_session(error: Exception, target: Target) -> tuple[Reason, str]:
    match error:
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath() | UnicodeEncodeError():
            return Reason.NO_SUCH_PATH, f"{excerpt(target.url)} does not exist"
        case asyncssh.SFTPPermissionDenied():
            return Reason.PERMISSION_DENIED, f"{excerpt(target.url)} is not accessible to {excerpt(target.username)}"
        case asyncssh.SFTPConnectionLost() | asyncssh.SFTPNoConnection() | asyncssh.SFTPBadMessage():
            return Reason.RESET, f"the SFTP session broke ({excerpt(error)})"
        case asyncssh.SFTPError():
            return Reason.NO_CAPACITY, f"{excerpt(target.url)} has no capacity to tell ({excerpt(error)})"
        case asyncssh.ChannelOpenError() if error.reason != "SSH connection closed":
            return Reason.BUSY, f"logged in, but sshd opens no session ({excerpt(error)}): MaxSessions reached"
        case TimeoutError() if error.errno is None:
            return Reason.HUNG, f"logged in, but the answer for {excerpt(target.url)} did not come in time"
        case asyncssh.Error() | OSError() | PacketDecodeError():
            return Reason.RESET, f"connection lost during the probe ({excerpt(error)})"
    raise error


_UNDER_WAY: Mapping[Phase, str] = {
    "resolve": "resolving the host name",
    "tcp": "connecting",
    "kex": "exchanging keys",
    "auth": "authenticating",
}

_DISCONNECTED: Mapping[int, Reason] = {
    asyncssh.DISC_HOST_NOT_ALLOWED_TO_CONNECT: Reason.AUTH_FAILED,
    asyncssh.DISC_SERVICE_NOT_AVAILABLE: Reason.BUSY,
    asyncssh.DISC_BY_APPLICATION: Reason.RESET,
    asyncssh.DISC_TOO_MANY_CONNECTIONS: Reason.BUSY,
    asyncssh.DISC_AUTH_CANCELLED_BY_USER: Reason.AUTH_FAILED,
}
