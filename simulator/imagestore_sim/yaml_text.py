"""YAML text, read once: what it says, and where each thing in it stands. Depth and size are bounded.

libyaml does the scanning where PyYAML was built with it: it takes a tenth of the time.
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
        """A SafeLoader over libyaml's parser that composes in Python, where it can be watched."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)


L = TypeVar("L", bound="BoundedLoader")
MOST_LEVELS = 64
MOST_NODES = 500_000
"""Scalars, lists and mappings, those behind an alias counted each time that it stands there."""


class BoundedLoader(_SafeLoader):
    """Refuses, with the place, what is nested too deep, grows too large, or does not hold what its tag says.

    Subclasses say which plain scalars are more than text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._nodes = 0
        self._sizes: dict[int, int] = {}  # of the nodes with an anchor, by id

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, and all below it. Raises ComposerError."""
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
        """Construct what a node holds. Raises ConstructorError."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, LookupError, AttributeError):  # what int(), float() and dates say
            raise ConstructorError(None, None, f"not a value of {node.tag}", node.start_mark) from None


def read_yaml(text: str, loader: type[L]) -> tuple[yaml.Node | None, Any]:
    """Return the tree of a text's nodes and the value it says. Raises yaml.YAMLError."""
    reader = loader(text)
    try:
        tree = reader.get_single_node()
        return tree, None if tree is None else reader.construct_document(tree)
    finally:
        reader.dispose()
