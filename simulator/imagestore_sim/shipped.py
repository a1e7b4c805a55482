"""The files that are shipped beside the code: stories with their pictures, schemas, the lab in containers.

A checkout has them at its root; an installation has a copy of that tree, `imagestore_sim/shipped_files`.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "shipped_files"
CHECKOUT = PACKAGE.parent.parent


def shipped(path: str) -> Path:
    """Return the file or folder of the project at `path`, which may not be there in an incomplete installation."""
    return (INSTALLED if is_installed() else CHECKOUT) / path


def is_installed() -> bool:
    """Return whether this is an installation, rather than a checkout."""
    return INSTALLED.is_dir()
