"""Whether ZStack's own parser would take a query: REST's parameters become one line of its query language, unescaped
(query-semantics 2). What it would refuse is refused here, before any name is looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simulator.query.conditions import WITHOUT_VALUE, Condition, Operator, Query
from simulator.query.errors import QueryError
from simulator.query.inventories import Inventory
from simulator.query.names import is_name
from simulator.query.sorting import SortSyntaxError, parse_order

PARSE_ERROR = "org.antlr.v4.runtime.misc.ParseCancellationException: error"
COMPARED = re.compile(r"\s*(?:[!<>]?=|[<>])\s*")
KNOWN_CHARACTERS = re.compile(r"[\w\s.,(){}=!<>\"';*/%+-]", re.ASCII)
CONTEXT = 10


def check_syntax(inventory: Inventory, query: Query) -> None:
    """Raises QueryError for the first thing in the line that the parser would stumble over."""
    if not _is_plain(query):
        _Line(inventory, query).check()


def names_in(name: str) -> list[str]:
    """The names that the parser finds in the name of a condition: in `name=a` it finds two conditions' names, the first
    of them compared with nothing."""
    return COMPARED.split(name)


def _is_plain(query: Query) -> bool:
    """Whether nothing in a query needs a closer look, as in nearly all of them."""
    sort = query.sort is None or is_name(query.sort.text)
    return sort and query.fields is None and all(is_name(one.name) and "'" not in one.value for one in query.conditions)


class _Line:
    """The line, checked while it is put together; what comes after a mistake is only needed to quote it."""

    def __init__(self, inventory: Inventory, query: Query) -> None:
        self._inventory = inventory
        self._query = query

    def check(self) -> None:
        head = self._head()
        fields = self._query.fields or ()
        for index, name in enumerate(fields):
            head += "," if index else "."
            self._check_names(head, name, [name])
            if "." in name and len(fields) > 1:  # only a name that stands alone may have dots
                raise self._refuse(f"no viable alternative at input '{name}'", len(head))
            head += name
        for index, condition in enumerate(self._query.conditions):
            head += " and " if index else " where "
            self._check_names(head, condition.name, names_in(condition.name))
            self._check_quotes(head, condition)
            head += _condition_text(condition)
        self._check_sort()

    def _head(self) -> str:
        return f"{'count' if self._query.count else 'query'} {self._inventory.target}"

    def _text(self) -> str:
        query = self._query
        text = self._head() + ("." + ",".join(query.fields) if query.fields else "")
        if query.conditions:
            text += " where " + " and ".join(map(_condition_text, query.conditions))
        if query.reply_with_count and not query.count:
            text += " return with (total)"
        if query.sort is not None:
            text += f" order by {query.sort.text} {'desc' if query.sort.descending else 'asc'}"
        text += f" limit {query.limit}"
        return text if query.start is None else f"{text} offset {query.start}"

    def _check_names(self, before: str, text: str, names: Sequence[str]) -> None:
        if all(map(is_name, names)):
            return
        for index, character in enumerate(text):
            if not KNOWN_CHARACTERS.match(character):
                raise self._refuse(f"token recognition error at: '{character}'", len(before) + index)
        raise self._refuse(f"no viable alternative at input '{text}'", len(before))

    def _check_quotes(self, before: str, condition: Condition) -> None:
        """An apostrophe is escaped by a backslash that the parser does not know: the string ends there."""
        if "'" not in condition.value:
            return
        opening = len(before) + _condition_text(condition).index("'")
        text = self._text()
        at = opening
        while text[at] == "'":
            closing = text.find("'", at + 1)
            if closing < 0:
                raise self._refuse(f"token recognition error at: '{text[at:]}'", at)
            at = closing + 1
            while at < len(text) and text[at] != "'" and KNOWN_CHARACTERS.match(text, at):
                at += 1
            if at == len(text):
                raise self._refuse("extraneous input", closing + 1)
        raise self._refuse(f"token recognition error at: '{text[at]}'", at)

    def _check_sort(self) -> None:
        sort = self._query.sort
        if sort is None:
            return
        try:
            parse_order(sort.text, descending=sort.descending)
        except SortSyntaxError as error:
            start = self._text().rindex(" order by ") + len(" order by ")
            raise self._refuse(error.message, start + error.position) from None

    def _refuse(self, message: str, column: int) -> QueryError:
        before, text = self._text()[:column], self._text()
        line, column = before.count("\n"), column - (before.rfind("\n") + 1)
        text = text.split("\n")[line]
        around = text[max(0, column - CONTEXT) : min(column + CONTEXT, len(text) - 1)]
        return QueryError(f"{PARSE_ERROR} {message} at line {line + 1}:{column}, {around}")


def _condition_text(condition: Condition) -> str:
    if condition.operator in WITHOUT_VALUE:
        return f"{condition.name} {condition.operator}"
    value = condition.value.replace("\\", "\\\\").replace("'", "\\'")
    if condition.operator in (Operator.IN, Operator.NOT_IN):
        quoted = "(" + ",".join(f"'{one}'" for one in value.split(",")) + ")"
    else:
        quoted = f"'{value}'"
    return f"{condition.name} {condition.operator} {quoted}"
