"""Every way in which a probe can fail, classified (domain 6.3)."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import asyncssh
from asyncssh.packet import PacketDecodeError
from asyncssh.saslprep import SASLPrepError

from imagestore_sim.probe.phases import Phase
from imagestore_sim.probe.target import FOLDERS, Target
from imagestore_sim.reasons import Reason

logger = logging.getLogger(__name__)

__all__ = [
    "Failed",
    "LoginEvidence",
    "NoSize",
    "NotMounted",
    "ProbeFailure",
    "Reason",
    "Unclear",
    "Unsupported",
    "classify",
]


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A probe that brought no capacity; `phases` holds milliseconds, the last one up to the failure."""

    reason: Reason
    message: str
    phases: Mapping[str, float]
    hint: str | None = None
    """What to do about this one, where the advice of its reason would mislead."""

    @property
    def advice(self) -> str:
        """One sentence for people: what to do about it."""
        return self.hint or self.reason.advice


@dataclass(slots=True)
class LoginEvidence:
    """What a login has heard from the server, beside the error that it ended with."""

    greeting: str | None = None
    """What the server said in place of an SSH banner; None when the banner had come, or nothing is known."""
    offered: bool = False
    """Whether a password or key has been offered to it."""
    said: str = ""
    """What it said once that had been offered."""
    asked: str = ""
    """What it asked for beyond the password."""
    expired: bool = False
    """Whether it asked for a new password."""
    mismatch: str | None = None
    """What the two sides have no algorithm in common for."""
    flooded: str | None = None
    """Why it was cut off."""
    noisy: bool = False
    """Whether it has sent much more than a login or an answer takes."""


class Failed(Exception):
    """A failure that is classified where it is raised; `advice` is None where that of the reason is right."""

    def __init__(self, reason: Reason, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.advice = advice


class Unsupported(Failed):
    """The host has not what a method needs: the next method is tried."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.NO_COMMAND, message)


class Unclear(Failed):
    """A method failed without saying why: the next method is asked, and this failure holds if that does not know."""


class NoSize(Failed):
    """A file system has no blocks: an automount before its first use, or none that holds files (domain 7.2)."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NO_CAPACITY, f"{url} has a size of 0")


class NotMounted(Failed):
    """The path of a storage holds none of its folders."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NOT_MOUNTED, f"{url} holds neither {' nor '.join(FOLDERS)}: its disk is not mounted")


EXPIRED = "Set a new password for the account on the host (passwd, chage): its password has expired."
_REFUSED_AFTER = (
    "Read the log of sshd on the host: it closed the connection once it knew the account, as for one that has expired, "
    "is locked, or is refused by PAM, AllowUsers or an access file."
)
_SECOND = "Use an account that needs a password or key alone: this one asks for a second factor."
_ALGORITHMS = (
    "Allow an algorithm on the host that is in use today, or name one that both sides have in a file for --ssh-config."
)


class Unclassified:
    """Errors that no rule knows: each is logged with its traceback once, whatever number of hosts meets it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self.count = 0
        """How many there have been."""

    def note(self, error: Exception, where: str) -> None:
        """Count an error, and log it if it is a new one."""
        self.count += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = (type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames[-3:]))
        if place not in self._seen and len(self._seen) < _MOST_TRACEBACKS:
            self._seen.add(place)
            logger.error("%s: a probe ended in a way that no rule knows", where, exc_info=error)


_MOST_TRACEBACKS = 100
UNCLASSIFIED = Unclassified()


def explain(
    error: Exception, target: Target, phase: Phase, phases: Mapping[str, float], evidence: LoginEvidence
) -> ProbeFailure:
    """Return the failure that `error` is. What no rule knows is a failure too, logged with its traceback."""
    where = f"{target.hostname}:{target.port}"
    if evidence.flooded is not None:
        return ProbeFailure(Reason.FLOOD, f"{where}: cut off: {evidence.flooded}", phases)
    if evidence.noisy and isinstance(error, TimeoutError) and phase != "tcp":
        return ProbeFailure(Reason.FLOOD, f"{where}: it sends and sends, and has not come to the point in time", phases)
    told = None if isinstance(error, Failed) else _told_at_login(error, target, phase, evidence)
    if told is not None:
        return ProbeFailure(told.reason, f"{where}: {told}", phases, told.advice)
    try:
        reason, message = classify(error, target, phase, evidence.greeting)
    except Exception:
        UNCLASSIFIED.note(error, where)
        text = f"{where}: an error that no rule knows ({type(error).__name__}: {excerpt(error)})"
        return ProbeFailure(Reason.ERROR, text, phases)
    return ProbeFailure(reason, message, phases, error.advice if isinstance(error, Failed) else None)


def _told_at_login(error: Exception, target: Target, phase: Phase, evidence: LoginEvidence) -> Failed | None:
    """What follows from what a login has heard, rather than from its error."""
    lost = isinstance(error, ConnectionError | asyncssh.ConnectionLost)
    if phase == "kex" and evidence.greeting is None and evidence.mismatch and (lost or _is_mismatch(error)):
        return Failed(Reason.NOT_SSH, f"no algorithm in common for {evidence.mismatch}", _ALGORITHMS)
    if phase != "auth" or not evidence.offered:
        return None
    user, said = excerpt(target.username), f' (it says "{excerpt(evidence.said)}")' if evidence.said else ""
    denied = isinstance(error, asyncssh.PermissionDenied)
    if evidence.expired and (denied or lost):
        return Failed(Reason.AUTH_FAILED, f"the password of user {user} has expired{said}", EXPIRED)
    if evidence.asked and (denied or lost):
        return Failed(
            Reason.AUTH_FAILED, f'user {user} is asked for more than a password ("{excerpt(evidence.asked)}")', _SECOND
        )
    if denied and said:
        return Failed(Reason.AUTH_FAILED, f"permission denied for user {user}{said}")
    if isinstance(error, asyncssh.ConnectionLost):
        text = f"the host closed the connection when user {user} had logged in, or tried to{said}"
        return Failed(Reason.AUTH_FAILED, text, _REFUSED_AFTER)
    return None


def _is_mismatch(error: Exception) -> bool:
    return isinstance(error, asyncssh.KeyExchangeFailed)


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
        case asyncssh.SFTPConnectionLost() | asyncssh.SFTPNoConnection():
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
