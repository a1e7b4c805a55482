"""Where records come from: the file, and the line of each field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagestore_sim.bootstrap.errors import BootstrapError, Place
from imagestore_sim.validation_errors import place_text

if TYPE_CHECKING:
    import yaml

Tree = Callable[[], "yaml.Node | None"]
"""Composes the nodes of a text."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A text that records were read from."""

    file: str
    """What errors call it."""
    tree: Tree

    def error(self, place: Place, text: str) -> BootstrapError:
        """Return the error of a field, which names the file and the line."""
        return BootstrapError(
            f"{self.file}, line {_line(self.tree(), place)}: {place_text(place) or 'the file'}: {text}"
        )


def _line(node: yaml.Node | None, place: Place) -> int:
    """Return the line of a field, from 1; that of the nearest enclosing element if the field is missing."""
    import yaml  # late: a start without a file has no use for it

    line = 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
