"""Tar archives, as the engine takes files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(one for one in folder.rglob("*") if one.is_file())


def pack(folder: Path) -> io.BytesIO:
    """Return a gzipped tar archive of all files below a folder, named by their paths there."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file in files_in(folder):
            tar.add(file, str(file.relative_to(folder)))
    archive.seek(0)
    return archive
