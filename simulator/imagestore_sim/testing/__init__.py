"""The testing kit for ZStack clients: a lab for blocking tests, a small client, and the pytest plugin in `plugin`.

A name is imported when it is first used: the package alone costs a test run nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagestore_sim.testing.blocking_lab import Lab
    from imagestore_sim.testing.client import Answer, CallFailed, Client
    from imagestore_sim.testing.lab_container import LabContainer
    from imagestore_sim.testing.words import BrokenHost, BrokenNode, LabClock, LabError, LabHost

_MODULES = (
    {"Lab": "blocking_lab", "LabContainer": "lab_container"}
    | dict.fromkeys(("Answer", "CallFailed", "Client"), "client")
    | dict.fromkeys(("BrokenHost", "BrokenNode", "LabClock", "LabError", "LabHost"), "words")
)
__all__ = [
    "Answer",
    "BrokenHost",
    "BrokenNode",
    "CallFailed",
    "Client",
    "Lab",
    "LabClock",
    "LabContainer",
    "LabError",
    "LabHost",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
