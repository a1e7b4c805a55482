"""Failures of probes, the exceptions that methods raise for them, and what a login shows of its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagestore_sim.probe.target import FOLDERS
from imagestore_sim.reasons import Reason


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """The result of a probe without a capacity; `phases` holds milliseconds, the last one up to the failure."""

    reason: Reason
    message: str
    phases: Mapping[str, float]
    hint: str | None = None
    """What to do about it, where the advice of its reason would be wrong; None otherwise."""

    @property
    def advice(self) -> str:
        """What to do about it, in one sentence."""
        return self.hint or self.reason.advice


@dataclass(slots=True)
class LoginEvidence:
    """What a server sent during a login, from which its failure is classified, beside the error."""

    greeting: str | None = None
    """Text in place of an SSH banner; None if the banner had come, or nothing is known."""
    offered: bool = False
    """Whether a password or key has been offered to the server."""
    said: str = ""
    """Messages of the server after that."""
    asked: str = ""
    """Questions of the server other than for the password."""
    expired: bool = False
    """Whether the server asked for a new password."""
    mismatch: str | None = None
    """The kind of algorithm without a common one, and what the server has."""
    flooded: str | None = None
    """Why the server was cut off."""
    noisy: bool = False
    """Whether the server has sent much more than a login or an answer needs."""


class Failed(Exception):
    """A failure that is classified where it is raised; `advice` is None where that of the reason applies."""

    def __init__(self, reason: Reason, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.advice = advice


class Unsupported(Failed):
    """The host does not have what a method needs: the next method is tried."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.NO_COMMAND, message)


class Unclear(Failed):
    """A method failed without saying why: the next method is tried, and this failure counts if that fails, too."""


class NoSize(Failed):
    """A file system has no blocks: an automount before its first use, or a pseudo file system (domain 7.2)."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NO_CAPACITY, f"{url} has a size of 0")


class NotMounted(Failed):
    """The path of a storage has none of its folders."""

    def __init__(self, url: str) -> None:
        super().__init__(Reason.NOT_MOUNTED, f"{url} holds neither {' nor '.join(FOLDERS)}: its disk is not mounted")


EXPIRED = "Set a new password for the account on the host (passwd, chage): its password has expired."


def excerpt(text: object, limit: int = 120) -> str:
    """Return text from a host in one line for a message: printable, at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
