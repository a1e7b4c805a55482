"""Classification of errors of a probe, by phase and by what the server sent (domain 6.3)."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Mapping

import asyncssh
from asyncssh.packet import PacketDecodeError
from asyncssh.saslprep import SASLPrepError

from imagestore_sim.probe.failures import EXPIRED, Failed, LoginEvidence, ProbeFailure, excerpt
from imagestore_sim.probe.phases import Phase
from imagestore_sim.probe.target import Target
from imagestore_sim.reasons import Reason

logger = logging.getLogger(__name__)

_REFUSED_AFTER = (
    "Read the log of sshd on the host: it closed the connection once it knew the account, as for one that has expired, "
    "is locked, or is refused by PAM, AllowUsers or an access file."
)
_SECOND = "Use an account that needs a password or key alone: this one asks for a second factor."
_ALGORITHMS = (
    "Allow an algorithm on the host that is in use today, or name one that both sides have in a file for --ssh-config."
)


class Unclassified:
    """Errors that no rule covers; each is logged with its traceback once, however many hosts cause it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self.count = 0
        """Number of errors so far."""

    def note(self, error: Exception, where: str) -> None:
        """Count an error, and log it if none from the same place has been logged."""
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
    """Return the failure for `error`, met in `phase`. An error that no rule covers is logged, and has Reason.ERROR."""
    where = target.where
    if evidence.flooded is not None:
        return ProbeFailure(Reason.FLOOD, f"{where}: cut off: {evidence.flooded}", phases)
    if evidence.noisy and isinstance(error, TimeoutError) and phase != "tcp":
        return ProbeFailure(Reason.FLOOD, f"{where}: it sends and sends, and has not come to the point in time", phases)
    at_login = None if isinstance(error, Failed) else _from_evidence(error, target, phase, evidence)
    if at_login is not None:
        return ProbeFailure(at_login.reason, f"{where}: {at_login}", phases, at_login.advice)
    try:
        reason, message = classify(error, target, phase, evidence.greeting)
    except Exception:
        UNCLASSIFIED.note(error, where)
        text = f"{where}: an error that no rule knows ({type(error).__name__}: {excerpt(error)})"
        return ProbeFailure(Reason.ERROR, text, phases)
    return ProbeFailure(reason, message, phases, error.advice if isinstance(error, Failed) else None)


def _from_evidence(error: Exception, target: Target, phase: Phase, evidence: LoginEvidence) -> Failed | None:
    """Return the failure that follows from what the server sent, if that says more than the error."""
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
    """Return reason and message for `error`, met in `phase`. Raise `error` again when no rule covers it.

    `greeting` is what the server sent in place of an SSH banner; None if the banner had come.
    """
    if isinstance(error, Failed):
        reason, message = error.reason, str(error)
    elif phase in ("channel", "command"):
        reason, message = _in_session(error, target)
    elif phase == "kex" and greeting is not None:
        reason, message = _before_banner(error, greeting)
    else:
        reason, message = _at_login(error, target, phase)
    return reason, f"{target.where}: {message}"


def _before_banner(error: Exception, greeting: str) -> tuple[Reason, str]:
    """Classify an end before the banner.

    sshd refuses with a line of text when it has too many logins, or (since 9.8) when it penalises the source.
    """
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
    """Classify what a jump host (ProxyJump) reports of its attempt to connect; OpenSSH passes on the system's text."""
    said = excerpt(error).lower()
    known = {"refused": Reason.REFUSED, "not known": Reason.DNS, "resolution": Reason.DNS, "timed out": Reason.TIMEOUT}
    reason = next((known[words] for words in known if words in said), Reason.UNREACHABLE)
    return reason, f"the jump host cannot connect to it ({excerpt(error)})"


def _of_protocol(error: Exception, phase: Phase) -> tuple[Reason, str]:
    """Classify errors of the SSH protocol; asyncssh raises ValueError for what it cannot parse."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return Reason.HOST_KEY_CHANGED, excerpt(error)
    if isinstance(error, asyncssh.DisconnectError):
        # sshd disconnects with a protocol error after MaxAuthTries attempts.
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
