"""What is probed: an account on a host, a path there, and what that path has to look like."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from imagestore_sim.probe.phases import Phases

FOLDERS = ("registry", "export")
"""What an ImageStore keeps in its url; with both missing its disk is taken for unmounted (domain 3.3)."""


class Layout(StrEnum):
    """What a probe asks of the folders of a storage."""

    ANY = "any"
    """Nothing: only the capacity is wanted."""
    REQUIRE = "require"
    """That one of them is there. Nothing is created."""
    CREATE = "create"
    """That they are created, and the url itself, where they are missing."""
    FOLDER = "folder"
    """That the url itself is created where it is missing: all that an Sftp storage keeps."""


@dataclass(frozen=True, slots=True)
class Target:
    """One storage as the prober sees it; without a password only the prober's identity file can log in."""

    hostname: str
    port: int
    username: str
    url: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What a method is asked over a connection; `seconds` bounds a command on the host itself."""

    url: str
    layout: Layout
    phases: Phases
    seconds: int

    @property
    def to_create(self) -> tuple[str, ...]:
        """The folders that the layout wants created where they are missing."""
        if self.layout is Layout.CREATE:
            return tuple(f"{self.url}/{folder}" for folder in FOLDERS)
        return (self.url,) if self.layout is Layout.FOLDER else ()
