"""ZStack's query language as text: the part of it that says what REST's parameters can say, too.

query backupstorage.name,status where state = 'Enabled' and zone.name in ('a', 'b')
    return with (total) order by name asc limit 10 offset 5 named as 'enabled'; count zone
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.query.conditions import INT_MAX, Condition, Operator, Query, Sort
from simulator.query.errors import QueryError, cloud_runtime
from simulator.query.inventories import INVENTORIES, Inventory
from simulator.query.syntax import PARSE_ERROR

LONGEST = 65_536
WORD = re.compile(
    r"\s*(?P<word>return with|order by|named as|is not null|is null|not in|not like|[!<>]?=|[<>]|'[^']*'|\"[^\"]*\""
    r"|-?\d+(?![\w.])|\w+(?:\.\w+)*|[(),;])",
    re.ASCII,
)
NAME = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
OPERATORS = {operator.value: operator for operator in Operator}
LEFT_OUT = ("or", "group by", "restrict by", "filter by", "sum", "has", "not has", "getapi")


@dataclass(frozen=True, slots=True)
class Statement:
    """One question, and the name that its answer is to have."""

    inventory: Inventory
    query: Query
    name: str | None = None


def parse_zql(text: str) -> list[Statement]:
    """The questions in a text. Raises QueryError for one that is none, or that is more than REST's parameters say."""
    if len(text) > LONGEST:
        raise QueryError(f"{PARSE_ERROR} a text of {len(text)} characters is more than {LONGEST}")
    parser = _Parser(text)
    found = [parser.statement()]
    while parser.take_if(";"):
        if parser.peek() is not None:
            found.append(parser.statement())
    parser.end()
    return found


class _Parser:
    """Reads words from the left to the right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def statement(self) -> Statement:
        verb = self._take()
        if verb not in ("query", "count"):
            raise self._unexpected(verb)
        entity, _, field = self._name().partition(".")
        fields = [field] if field else []
        while fields and self.take_if(","):
            fields.append(self._name())
        conditions = self._conditions()
        with_total = self._return_with()
        sort = self._order()
        limit, start = self._number("limit"), self._number("offset")
        name = self._string() if self.take_if("named as") else None
        query = Query(
            tuple(dict.fromkeys(conditions)),
            INT_MAX if limit is None else limit,
            start,
            sort,
            tuple(fields) or None,
            verb == "count",
            with_total,
        )
        return Statement(_inventory(entity), query, name)

    def _conditions(self) -> list[Condition]:
        found: list[Condition] = []
        if self.take_if("where"):
            found.append(self._condition())
            while self.take_if("and"):
                found.append(self._condition())
        return found

    def _condition(self) -> Condition:
        name, word = self._name(), self._take()
        operator = OPERATORS.get(word)
        if operator is None:
            raise self._unexpected(word)
        if operator in (Operator.IS_NULL, Operator.NOT_NULL):
            return Condition(name, operator)
        if operator not in (Operator.IN, Operator.NOT_IN):
            return Condition(name, operator, self._value())
        self._expect("(")
        values = [self._value()]
        while self.take_if(","):
            values.append(self._value())
        self._expect(")")
        return Condition(name, operator, ",".join(values))

    def _return_with(self) -> bool:
        if not self.take_if("return with"):
            return False
        self._expect("(")
        wanted = self._take()
        if wanted != "total":
            raise self._unexpected(wanted)
        self._expect(")")
        return True

    def _order(self) -> Sort | None:
        if not self.take_if("order by"):
            return None
        orders = []
        while True:
            field, direction = self._name(), self._take()
            if direction not in ("asc", "desc"):
                raise self._unexpected(direction)
            orders.append((field, direction))
            if not self.take_if(","):
                break
        *others, (last, direction) = orders
        return Sort(",".join([*(f"{field} {way}" for field, way in others), last]), direction == "desc")

    def _number(self, word: str) -> int | None:
        if not self.take_if(word):
            return None
        number = self._take()
        if not number.removeprefix("-").isdigit() or len(number) > len(str(INT_MAX)):
            raise self._unexpected(number)
        return int(number)

    def _value(self) -> str:
        word = self._take()
        if word[:1] in ("'", '"'):
            return word[1:-1]
        if word in ("true", "false") or word.removeprefix("-").replace(".", "", 1).isdigit():
            return word
        raise self._unexpected(word)

    def _string(self) -> str:
        word = self._take()
        if word[:1] not in ("'", '"'):
            raise self._unexpected(word)
        return word[1:-1]

    def _name(self) -> str:
        word = self._take()
        if not NAME.fullmatch(word):
            raise self._unexpected(word)
        return word

    def _expect(self, wanted: str) -> None:
        word = self._take()
        if word != wanted:
            raise self._unexpected(word)

    def peek(self) -> str | None:
        """The next word; None at the end, or where there is none."""
        found = WORD.match(self._text, self._at)
        return found["word"] if found else None

    def take_if(self, wanted: str) -> bool:
        """Take the next word if it is that one."""
        if self.peek() != wanted:
            return False
        self._take()
        return True

    def end(self) -> None:
        """Raises QueryError if anything is left."""
        if self._text[self._at :].strip():
            raise self._unexpected(self.peek() or self._text[self._at :].strip()[0])

    def _take(self) -> str:
        found = WORD.match(self._text, self._at)
        if found is None:
            raise self._unexpected(self._text[self._at :].strip()[:1] or "<EOF>")
        self._at = found.end()
        return found["word"]

    def _unexpected(self, word: str) -> QueryError:
        left_out = " (this part of the language is not emulated)" if word in LEFT_OUT else ""
        column = max(0, self._at - len(word))
        return QueryError(f"{PARSE_ERROR} extraneous input '{word}'{left_out} at line 1:{column}")


def _inventory(entity: str) -> Inventory:
    for inventory in INVENTORIES.values():
        if inventory.target == entity.lower():
            return inventory
    raise cloud_runtime(f"cannot find inventory with name[{entity}]")
