"""YAML text, read into values and the places of their nodes, with bounds on depth and size.

Where PyYAML was built with libyaml, that does the scanning, in a tenth of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.resolver import Resolver

if TYPE_CHECKING or not yaml.__with_libyaml__:
    _SafeLoader = yaml.SafeLoader
else:
    from yaml.cyaml import CParser

    class _SafeLoader(Composer, CParser, SafeConstructor, Resolver):
        """A SafeLoader over libyaml's parser that composes nodes in Python, where they can be counted."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)


L = TypeVar("L", bound="BoundedLoader")
MOST_LEVELS = 64
MOST_NODES = 500_000
"""Scalars, lists and mappings. Those behind an alias count once for each use of the alias."""


class BoundedLoader(_SafeLoader):
    """Refuses text that nests too deep, grows too large, or holds a value that does not fit its tag.

    Errors carry the place. Subclasses resolve which plain scalars are not strings.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._nodes = 0
        self._sizes: dict[int, int] = {}  # of nodes with an anchor, by id()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and all nodes below it. Raise ComposerError."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self._level == MOST_LEVELS:
            raise ComposerError(None, None, f"nested more than {MOST_LEVELS} levels deep", event.start_mark)
        before = self._nodes
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        self._nodes += self._behind_alias(node, event) if isinstance(event, yaml.AliasEvent) else 1
        if self._nodes > MOST_NODES:
            raise ComposerError(None, None, f"more than {MOST_NODES} values, with aliases resolved", event.start_mark)
        if getattr(event, "anchor", None) is not None:
            self._sizes[id(node)] = self._nodes - before
        return node

    def _behind_alias(self, node: yaml.Node | None, event: Any) -> int:
        size = self._sizes.get(id(node))
        if size is None:
            raise ComposerError(None, None, "an alias that stands within what it names", event.start_mark)
        return size

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct the value of a node. Raise ConstructorError."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, LookupError, AttributeError):  # of int(), float() and dates
            raise ConstructorError(None, None, f"not a value of {node.tag}", node.start_mark) from None


def read_yaml(text: str, loader: type[L]) -> tuple[yaml.Node | None, Any]:
    """Return the tree of nodes of a text, and its value. Raise yaml.YAMLError."""
    reader = loader(text)
    try:
        tree = reader.get_single_node()
        return tree, None if tree is None else reader.construct_document(tree)
    finally:
        reader.dispose()
