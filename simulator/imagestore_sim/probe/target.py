"""What is probed: an account on a host, a path there, and the folders that it must have."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from imagestore_sim.host_names import host_and_port
from imagestore_sim.probe.phases import Phases

FOLDERS = ("registry", "export")
"""The folders of an ImageStore in its url. If both are missing its disk counts as not mounted (domain 3.3)."""


class Layout(StrEnum):
    """What a probe requires of the folders of a storage."""

    ANY = "any"
    """No folder is checked."""
    REQUIRE = "require"
    """One of them must exist. No folder is created."""
    CREATE = "create"
    """They and the url itself are created if they are missing."""
    FOLDER = "folder"
    """Only the url itself is created if it is missing: an Sftp storage has no other folders."""


@dataclass(frozen=True, slots=True)
class Target:
    """The account and path to probe. Without a password only the prober's identity file can log in."""

    hostname: str
    port: int
    username: str
    url: str
    password: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """HOST:PORT, for messages."""
        return host_and_port(self.hostname, self.port)


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a method; `seconds` is the timeout of a command on the host itself."""

    url: str
    layout: Layout
    phases: Phases
    seconds: int

    @property
    def to_create(self) -> tuple[str, ...]:
        """The folders to create if they are missing."""
        if self.layout is Layout.CREATE:
            return tuple(f"{self.url}/{folder}" for folder in FOLDERS)
        return (self.url,) if self.layout is Layout.FOLDER else ()
