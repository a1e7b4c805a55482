"""The failures of a Docker engine and of its containers."""

from __future__ import annotations


class EngineProblem(Exception):
    """No engine can be used here. The text is one line for people."""


class ContainerProblem(OSError):
    """A script in a container failed, or the engine could not do what it was asked for."""

    def __init__(self, text: str, status: int | None = None, stderr: str = "") -> None:
        """`status` is the exit status of the script or the HTTP status of the engine; `stderr` is the script's."""
        super().__init__(text)
        self.status = status
        self.stderr = stderr
