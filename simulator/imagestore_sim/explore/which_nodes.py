"""Which stories a search plays, by how many nodes they have. It imports nothing, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping

ALL = "all"
NODES: Mapping[str, Callable[[int], bool]] = {
    ALL: lambda count: True,
    "one": lambda count: count == 1,
    "several": lambda count: count > 1,
}
"""Words for stories by how many nodes they have."""
