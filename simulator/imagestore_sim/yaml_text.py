"""YAML text: read into values and the places of their nodes, with bounds on depth and size; and written.

Where PyYAML was built with libyaml, that scans in a tenth of the time, and writes in a sixth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.resolver import Resolver

from imagestore_sim.pieces import in_pieces

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
_DUMPERS = (yaml.SafeDumper,) if TYPE_CHECKING or not yaml.__with_libyaml__ else (yaml.CSafeDumper, yaml.SafeDumper)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float")}
_UNLIMITED = 2**31 - 1
_MEMBERS_OF_A_PIECE = 100
MOST_LEVELS = 64
MOST_NODES = 500_000
"""Scalars, lists and mappings. Those behind an alias count once for each use of the alias."""


class BoundedLoader(_SafeLoader):
    """Refuses text that nests too deep, grows too large, or holds a value that does not fit its tag.

    Errors carry the place. Subclasses resolve which plain scalars are not strings.
    """

    names_are_unique = False
    """Whether a name that is given twice in one mapping is an error; else its last value counts."""

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

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """Construct the value of a mapping. Raise ConstructorError."""
        if self.names_are_unique and isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key in (one for one, _ in node.value if isinstance(one, yaml.ScalarNode)):
                if key.value in seen:
                    raise TwiceGiven(None, None, f"{key.value} is given twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)  # type: ignore[arg-type]

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct the value of a node. Raise ConstructorError."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, LookupError, AttributeError):  # of int(), float() and dates
            raise ConstructorError(None, None, f"not a value of {node.tag}", node.start_mark) from None


class TwiceGiven(ConstructorError):
    """A name that is given twice in one mapping."""


class _NotPlain(Exception):
    """A text with anchors, tags, or an error: only the nodes themselves tell what it means, or what is wrong."""


def write_yaml(content: Mapping[str, object]) -> str:
    """Return the text of members with plain names, each scalar on one line.

    Long lists are written in pieces: libyaml lets no other thread run until it is done.
    """
    return "".join(chain.from_iterable(starmap(_pieces, content.items()))) or _one_by_line({})


def write_compact_yaml(content: object) -> str:
    """Return the text of a value, with each list and mapping of scalars on lines of its own, 120 characters wide."""
    return _written(content, default_flow_style=None, width=120)


def _pieces(name: str, value: object) -> Iterator[str]:
    if not isinstance(value, list) or len(value) <= _MEMBERS_OF_A_PIECE:
        yield _one_by_line({name: value})
        return
    yield f"{name}:\n"
    for some in in_pieces(value, _MEMBERS_OF_A_PIECE):
        yield _one_by_line(some)


def _one_by_line(content: object) -> str:
    return _written(content, default_flow_style=False, width=_UNLIMITED)


def _written(content: object, **style: Any) -> str:
    style |= {"sort_keys": False, "allow_unicode": True}
    text: str
    try:
        text = yaml.dump(content, Dumper=_DUMPERS[0], **style)
    except UnicodeEncodeError:  # half a surrogate pair, which libyaml does not write
        text = yaml.dump(content, Dumper=_DUMPERS[-1], **style)
    return text


def read_yaml(text: str, loader: type[L]) -> tuple[yaml.Node | None, Any]:
    """Return the tree of nodes of a text, and its value. Raise yaml.YAMLError."""
    reader = loader(text)
    try:
        tree = reader.get_single_node()
        return tree, None if tree is None else reader.construct_document(tree)
    finally:
        reader.dispose()


def read_large_yaml(text: str, loader: type[L]) -> tuple[Callable[[], yaml.Node | None], Any]:
    """Return what composes the tree of nodes of a text, and its value. Raise yaml.YAMLError.

    A text without anchors and tags is read from the parser's events alone, in a third of the time; its tree is composed
    only to name the place of an error.
    """
    try:
        return partial(_tree, text, loader), _PlainReader(text, loader).read()
    except (_NotPlain, yaml.YAMLError):
        tree, value = read_yaml(text, loader)
        return lambda: tree, value


def _tree(text: str, loader: type[L]) -> yaml.Node | None:
    return read_yaml(text, loader)[0]


class _PlainReader:
    """Makes values of the events of a parser, for a text of plain scalars, lists and mappings."""

    def __init__(self, text: str, loader: type[BoundedLoader]) -> None:
        self._loader = loader(text)
        self._nodes = 0
        self._scalars: dict[str, Any] = {}  # plain ones by their text: they are immutable

    def read(self) -> Any:
        """Return the value of the only document. Raise _NotPlain, yaml.YAMLError."""
        try:
            self._expect(yaml.StreamStartEvent)
            self._expect(yaml.DocumentStartEvent)
            value = self._value(self._next(), 0)
            self._expect(yaml.DocumentEndEvent)
            self._expect(yaml.StreamEndEvent)
        finally:
            self._loader.dispose()
        return value

    def _next(self) -> Any:
        return self._loader.get_event()  # type: ignore[no-untyped-call]

    def _expect(self, kind: type[yaml.Event]) -> None:
        if type(self._next()) is not kind:
            raise _NotPlain

    def _value(self, event: Any, level: int) -> Any:
        self._nodes += 1
        kind = type(event)
        if kind is yaml.AliasEvent or event.anchor or event.tag or level == MOST_LEVELS or self._nodes > MOST_NODES:
            raise _NotPlain
        if kind is yaml.ScalarEvent:
            return self._scalar(event) if event.implicit[0] else event.value
        return self._list(level + 1) if kind is yaml.SequenceStartEvent else self._mapping(level + 1)

    def _list(self, level: int) -> list[Any]:
        values = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            values.append(self._value(event, level))
        return values

    def _mapping(self, level: int) -> dict[Any, Any]:
        values = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent:
                raise _NotPlain
            key = self._value(event, level)
            if key in values:
                raise _NotPlain
            values[key] = self._value(self._next(), level)
        return values

    def _scalar(self, event: Any) -> Any:
        """Return the value of a plain scalar, by the rules of the loader."""
        text = event.value
        if text not in self._scalars:
            tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
            if tag not in _PLAIN_TAGS:
                raise _NotPlain
            node = yaml.ScalarNode(tag, text, event.start_mark, event.end_mark)
            self._scalars[text] = self._loader.construct_object(node)
        return self._scalars[text]
