"""Parse the value of `sort=`, which ZStack splices into its query language (query-semantics 5).

It may be more than a name:

sort=-availableCapacity/totalCapacity        an expression
sort=status asc,name                         several of them, the last one in the direction of the sign
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from imagestore_sim.query.names import LONGEST_KEPT, NAME, is_name

TOKEN = re.compile(rf"[ \t\r\n]*({NAME.pattern}|[-+*/%(),])")
MOST_TOKENS = 32
DIRECTIONS = ("asc", "desc")
PRECEDENCE = ({"+", "-"}, {"*", "/", "%"})


@dataclass(frozen=True, slots=True)
class Name:
    """A field."""

    text: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """An arithmetic operator with its operands."""

    operator: str
    left: Expression
    right: Expression


Expression = Name | Arithmetic


@dataclass(frozen=True, slots=True)
class Order:
    """An expression to sort by, and its direction."""

    expression: Expression
    descending: bool


class SortSyntaxError(Exception):
    """An invalid sort: `message` in the words of ZStack's parser, and `position`, a 0-based character."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def parse_order(text: str, *, descending: bool) -> tuple[Order, ...]:
    """Return what to sort by, the most significant first. Raise SortSyntaxError."""
    read = _read_kept if len(text) <= LONGEST_KEPT else _read
    return read(text, "desc" if descending else "asc")


def _read(text: str, direction: str) -> tuple[Order, ...]:
    return _Parser(text, direction).orders()


_read_kept = lru_cache(maxsize=256)(_read)


def names_of(expression: Expression) -> Iterator[str]:
    """Yield the names of the fields in an expression, from left to right."""
    if isinstance(expression, Name):
        yield expression.text
    elif isinstance(expression, Arithmetic):
        yield from names_of(expression.left)
        yield from names_of(expression.right)


class _Parser:
    """Parses the text followed by the direction of its sign (`-name` is `name desc`), as ZStack's parser sees it."""

    def __init__(self, text: str, direction: str) -> None:
        self._text = f"{text} {direction}"
        self._at = 0
        self._taken = 0

    def orders(self) -> tuple[Order, ...]:
        found = [self._order()]
        while self._peek() == ",":
            self._take()
            found.append(self._order())
        if self._rest():
            raise self._unexpected()
        return tuple(found)

    def _order(self) -> Order:
        expression = self._expression(0)
        direction = self._take()
        if direction not in DIRECTIONS:
            raise self._unexpected(direction)
        return Order(expression, direction == "desc")

    def _expression(self, level: int) -> Expression:
        if level == len(PRECEDENCE):
            return self._atom()
        left = self._expression(level + 1)
        while (operator := self._peek()) in PRECEDENCE[level]:
            self._take()
            left = Arithmetic(str(operator), left, self._expression(level + 1))
        return left

    def _atom(self) -> Expression:
        word = self._take()
        if word == "(":
            inner = self._expression(0)
            if self._take() != ")":
                raise self._unexpected()
            return inner
        if word in DIRECTIONS or not is_name(word):
            raise self._unexpected(word)
        return Name(word)

    def _rest(self) -> str:
        return self._text[self._at :].strip()

    def _peek(self) -> str | None:
        found = TOKEN.match(self._text, self._at)
        return found[1] if found else None

    def _take(self) -> str:
        found = TOKEN.match(self._text, self._at)
        self._taken += 1
        if found is None or self._taken > MOST_TOKENS:
            raise self._unexpected()
        self._at = found.end()
        return found[1]

    def _unexpected(self, word: str = "") -> SortSyntaxError:
        position = self._at - len(word)
        if not self._text[:position].strip():
            return SortSyntaxError(f"mismatched input '{word}' expecting {{'(', ID}}", position)
        quoted = self._text[: self._at if word else self._at + 1].replace(" ", "")
        return SortSyntaxError(f"no viable alternative at input '{quoted}'", position)
