"""The values of options and arguments that a shell offers on Tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

Complete = Callable[[str], list[str]]
"""Returns the words that begin as what has been typed."""


def words(*known: str) -> Complete:
    """Complete one of a few words."""
    return lambda incomplete: _beginning(known, incomplete)


def values_of_setting(name: str) -> Complete:
    """Complete the values of a field of Settings that has only a few."""

    def complete(incomplete: str) -> list[str]:
        from typing import get_args

        from imagestore_sim.settings import Settings

        annotation = Settings.model_fields[name].annotation
        known = [one for one in _flat(get_args(annotation)) if isinstance(one, str)]
        return _beginning(known, incomplete)

    return complete


def stories_and_files(incomplete: str) -> list[str]:
    """Complete the names of stories, and those of scenario files and folders."""
    from imagestore_sim.shipped import shipped

    stories = sorted(file.stem for file in shipped("scenarios").glob("*.yaml"))
    folder, _, begin = incomplete.rpartition("/")
    found = sorted(Path(f"{folder}/" if folder or incomplete.startswith("/") else ".").glob(f"{begin}*"))
    files = [
        f"{one}/" if one.is_dir() else str(one) for one in found if one.is_dir() or one.suffix in (".yaml", ".yml")
    ]
    return [*_beginning(stories, incomplete), *files]


def _beginning(known: Sequence[str], incomplete: str) -> list[str]:
    return [one for one in known if one.startswith(incomplete)]


def _flat(parts: Sequence[object]) -> list[object]:
    """Return the values of Literals, also where one stands in a union."""
    from typing import get_args

    return [value for part in parts for value in (get_args(part) or (part,))]
