"""The comparison rule of each kind of field (query-semantics 3): the values to bind, and the SQL.

Each rule is one class; `RULES` has the rule of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    FromClause,
    Select,
    String,
    and_,
    cast,
    exists,
    false,
    literal_column,
    not_,
    null,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import OperatorType
from typing_extensions import override

from imagestore_sim.database.collated import folded, not_ascii
from imagestore_sim.database.wide_text import is_wide
from imagestore_sim.query.collation import NUL_STAND_IN, fold, fold_padded, with_stand_in
from imagestore_sim.query.conditions import Operator
from imagestore_sim.query.errors import extraction_error, sql_grammar_error
from imagestore_sim.query.inventories import Kind
from imagestore_sim.query.literals import read_boolean, read_date, read_number

Value = str | int | float
Bound = Value | tuple[Value, ...]
"""The value of a parameter: one value, or all values of a list."""
Bind = ColumnElement[Any]
LIKES = (Operator.LIKE, Operator.NOT_LIKE)
LISTS = (Operator.IN, Operator.NOT_IN, Operator.HAS, Operator.NOT_HAS)
NULLS = (Operator.IS_NULL, Operator.NOT_NULL)
PATTERN_ESCAPE = "\\"
WILDCARDS = re.compile(r"\\.|%+", re.DOTALL)
LONGEST_TEXT = 4096
"""The longest text of any column, in characters: a pattern that requires more matches nothing."""
LONGEST_PATTERN = 4 * LONGEST_TEXT  # with an escape and a wildcard for each character, and some more
OUT_OF_RANGE = "out of range"
AFTER_LETTERS = str.maketrans("[\\]^_`", "~~~~~~")


class Unquoted(str):
    """A number or boolean without quotes in a query."""

    __slots__ = ()


class ComparisonRule(Protocol):
    """The comparison rule of a kind of field."""

    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        """Return the effective operator of a condition, and the values to bind. Raise QueryError."""

    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        """Return the SQL of a condition over a column; `binds` are the placeholders of the bound values."""

    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the SQL expression to sort and group by for a column."""


class Folded(ColumnElement[str]):
    """Text folded as utf8_general_ci compares it. On a database with that collation, the text itself."""

    inherit_cache = False

    def __init__(self, text: ColumnElement[Any]) -> None:
        self.text = text
        self.type = String()


@compiles(Folded)
def _compile_folded(element: Folded, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.text, **options)


@compiles(Folded, "sqlite")
def _compile_folded_for_sqlite(element: Folded, compiler: SQLCompiler, **options: Any) -> str:
    return folded(compiler.process(element.text, **options))


class AsciiFolded(Folded):
    """Folded text for rows that are ASCII only; the expression of an index."""


@compiles(AsciiFolded, "sqlite")
def _compile_ascii_folded_for_sqlite(element: AsciiFolded, compiler: SQLCompiler, **options: Any) -> str:
    return f"upper(rtrim({compiler.process(element.text, **options)}, ' '))"


class AsWritten(ColumnElement[bool]):
    """A condition that stands in the SQL as it is written.

    SQLAlchemy's own `= 1` behind it would keep SQLite from using an index, and differ from the expression of one.
    """

    inherit_cache = False
    type = Boolean()

    @override
    def self_group(self, against: OperatorType | None = None) -> Self:
        """Return the condition without what SQLAlchemy puts around others."""
        return self


class NotAscii(AsWritten):
    """Whether text is not ASCII only; the condition of a partial index."""

    inherit_cache = False

    def __init__(self, text: ColumnElement[Any]) -> None:
        self.text = text


@compiles(NotAscii, "sqlite")
def _compile_not_ascii(element: NotAscii, compiler: SQLCompiler, **options: Any) -> str:
    return not_ascii(compiler.process(element.text, **options))


class Like(ColumnElement[bool]):
    """LIKE over text, with a pattern that is already folded."""

    inherit_cache = False

    def __init__(self, text: ColumnElement[Any], pattern: Bind) -> None:
        self.text = text
        self.pattern = pattern
        self.type = Boolean()


@compiles(Like)
def _compile_like(element: Like, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = (compiler.process(one, **options) for one in (element.text, element.pattern))
    return f"({text} LIKE {pattern})"


@compiles(Like, "sqlite")
def _compile_like_for_sqlite(element: Like, compiler: SQLCompiler, **options: Any) -> str:
    # Compile in the order of the SQL: positional parameters follow the order of compilation.
    text = compiler.process(element.text, **options)
    other = compiler.process(element.pattern, **options)
    ascii_ = compiler.process(element.pattern, **options)
    return (
        f"(CASE WHEN {not_ascii(text)} THEN general_ci_like({text}, {other}) ELSE {text} LIKE {ascii_} ESCAPE '\\' END)"
    )


class EitherWay(AsWritten):
    """A condition that SQLite needs written in another way than a database with the collation."""

    inherit_cache = False

    def __init__(self, for_sqlite: ColumnElement[bool], elsewhere: ColumnElement[bool]) -> None:
        self.for_sqlite = for_sqlite
        self.elsewhere = elsewhere


@compiles(EitherWay)
def _compile_either_way(element: EitherWay, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.elsewhere, **options)})"


@compiles(EitherWay, "sqlite")
def _compile_either_way_for_sqlite(element: EitherWay, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.for_sqlite, **options)


class Quotient(ColumnElement[float]):
    """A division that keeps the fraction."""

    inherit_cache = False

    def __init__(self, left: ColumnElement[Any], right: ColumnElement[Any]) -> None:
        self.left = left
        self.right = right
        self.type = Float()


@compiles(Quotient)
def _compile_quotient(element: Quotient, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(one, **options) for one in (element.left, element.right))
    return f"({left} / {right})"


@compiles(Quotient, "sqlite")
def _compile_quotient_for_sqlite(element: Quotient, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(one, **options) for one in (element.left, element.right))
    return f"(CAST({left} AS FLOAT) / {right})"


class Decisions(AsWritten):
    """Conditions joined by `and` and `or`, each of which applies to all that follows: a list, however long it is.

    It is 0 where the whole is not true, and never NULL before its last condition: nothing negates it.
    """

    inherit_cache = False

    def __init__(self, decisions: Sequence[tuple[str, ColumnElement[bool]]], last: ColumnElement[bool]) -> None:
        """`decisions` are conditions, each with the joint between it and the rest."""
        self.decisions = decisions
        self.last = last


@compiles(Decisions)
def _compile_decisions(element: Decisions, compiler: SQLCompiler, **options: Any) -> str:
    lines = []
    for joint, condition in element.decisions:
        text = compiler.process(condition, **options)
        lines.append(f"WHEN ({text}) IS NOT TRUE THEN 0" if joint == "and" else f"WHEN {text} THEN 1")
    return f"(CASE {' '.join(lines)} ELSE {compiler.process(element.last, **options)} END)"


class Calculation(ColumnElement[float]):
    """An operation that is an error where its result is no number of MariaDB's: SQLite's own would lose digits."""

    inherit_cache = False

    def __init__(self, operator: str, left: ColumnElement[Any], right: ColumnElement[Any]) -> None:
        """`operator` is `+`, `-`, `*` or `%`."""
        self.operator = operator
        self.left = left
        self.right = right
        self.type = Float()


@compiles(Calculation)
def _compile_calculation(element: Calculation, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(one, **options) for one in (element.left, element.right))
    operator = "MOD" if element.operator == "%" else element.operator  # no % for drivers that format texts
    return f"({left} {operator} {right})"


@compiles(Calculation, "sqlite")
def _compile_calculation_for_sqlite(element: Calculation, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(one, **options) for one in (element.left, element.right))
    return f"arithmetic('{element.operator}', {left}, {right})"


class Sum(ColumnElement[int]):
    """The sum of whole numbers; one that has more than 64 bits is a text on SQLite, whose sum() would be an error."""

    inherit_cache = False

    def __init__(self, number: ColumnElement[Any]) -> None:
        self.number = number
        self.type = BigInteger()


@compiles(Sum)
def _compile_sum(element: Sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"sum({compiler.process(element.number, **options)})"


@compiles(Sum, "sqlite")
def _compile_sum_for_sqlite(element: Sum, compiler: SQLCompiler, **options: Any) -> str:
    number = compiler.process(element.number, **options)
    low = f"sum({number} & 0xFFFFFFFF)"
    high = f"(sum({number} >> 32) + ({low} >> 32))"
    fits = f"{high} BETWEEN {-(2**31)} AND {2**31 - 1}"
    whole = f"(({high} << 32) | ({low} & 0xFFFFFFFF))"
    return f"(CASE WHEN {fits} THEN {whole} WHEN {high} IS NOT NULL THEN '{OUT_OF_RANGE}' END)"


class IndexedLike(Like):
    """LIKE over text in a column with a partial index of the rows that are not ASCII.

    `any_other` says whether there is such a row: it is asked once a statement, and the usual answer makes the test of
    each row unnecessary.
    """

    inherit_cache = False

    def __init__(self, text: ColumnElement[Any], pattern: Bind, any_other: ColumnElement[bool]) -> None:
        super().__init__(text, pattern)
        self.any_other = any_other


@compiles(IndexedLike, "sqlite")
def _compile_indexed_like_for_sqlite(element: IndexedLike, compiler: SQLCompiler, **options: Any) -> str:
    any_other = compiler.process(element.any_other, **options)
    either = _compile_like_for_sqlite(element, compiler, **options)
    text = compiler.process(element.text, **options)
    plain = compiler.process(element.pattern, **options)
    # In an AND, SQLite would test the text before it looks at the answer of a subquery.
    return f"(CASE WHEN {any_other} THEN {either} ELSE {text} LIKE {plain} ESCAPE '\\' END)"


class Among(AsWritten):
    """Whether a value is in a list that is one parameter, so that the SQL does not depend on the list's length.

    SQLite takes the list as JSON; the drivers of other databases write a tuple out.
    """

    inherit_cache = False

    def __init__(self, value: ColumnElement[Any], values: Bind) -> None:
        self.value = value
        self.values = values


@compiles(Among)
def _compile_among(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    value, values = (compiler.process(one, **options) for one in (element.value, element.values))
    return f"({value} IN {values})"


@compiles(Among, "sqlite")
def _compile_among_for_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    value, values = (compiler.process(one, **options) for one in (element.value, element.values))
    texts = f"replace(value, char({ord(NUL_STAND_IN)}), char(0))"
    chosen = f"CASE type WHEN 'text' THEN {texts} ELSE value END"  # replace() would make texts of numbers
    return f"({value} IN (SELECT {chosen} FROM json_each({values})))"  # noqa: S608 - two compiled expressions


class TextRule(ComparisonRule):
    """Strings and enums, compared in folded form."""

    @override
    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        if any(map(is_wide, texts)):
            raise extraction_error("GenericJDBCException")  # not a character of the column's character set
        if operator in LIKES:
            return operator, (_pattern(texts[0]),)
        return operator, tuple(fold_padded(one) or "" for one in texts)

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        if operator in LIKES:
            return _like(column, operator, binds[0])
        return _compare(column if operator in NULLS else Folded(column), operator, binds)

    @override
    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return Folded(column)


def index_look_ups(
    column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]
) -> tuple[ColumnElement[bool], ...]:
    """Return the equality of text as two alternative conditions, each with its own index (ASCII and other text)."""
    others = and_(NotAscii(column), _compare(Folded(column), operator, binds))
    return _compare(AsciiFolded(column), operator, binds), others


def indexed_like(
    column: ColumnElement[Any], table: FromClause, operator: Operator, binds: Sequence[Bind]
) -> ColumnElement[bool]:
    """Return LIKE, or its negation, over an indexed column; `table` is another alias of its table."""
    others: Select[Any] = select(literal_column("1")).select_from(table).where(NotAscii(table.c[column.key or ""]))
    matched = IndexedLike(column, binds[0], exists(others))
    return matched if operator is Operator.LIKE else not_(matched)


class UuidRule(TextRule):
    """Text of lower-case hex digits only: the values are lowered, so that the column needs no folding."""

    @override
    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        operator, values = super().read(operator, texts)
        return operator, values if operator in LIKES else tuple(_lowered(str(one)) for one in values)

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        return _like(column, operator, binds[0]) if operator in LIKES else _compare(column, operator, binds)

    @override
    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column


class NumberRule(ComparisonRule):
    """Integers, compared with the number that the text begins with; LIKE matches their decimal digits."""

    @override
    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        if operator in LIKES:
            return operator, (_pattern(texts[0]),)
        return operator, tuple(map(_number, texts))

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        if operator in LIKES:
            return _like(cast(column, String), operator, binds[0])
        return _compare(column, operator, binds)

    @override
    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column


class LeadingNumber(ColumnElement[float]):
    """The number that text begins with, which MariaDB compares with a number."""

    inherit_cache = False

    def __init__(self, text: ColumnElement[Any]) -> None:
        self.text = text
        self.type = Float()


@compiles(LeadingNumber)
def _compile_leading_number(element: LeadingNumber, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.text, **options)} + 0)"


@compiles(LeadingNumber, "sqlite")
def _compile_leading_number_for_sqlite(element: LeadingNumber, compiler: SQLCompiler, **options: Any) -> str:
    return f"leading_number({compiler.process(element.text, **options)})"


class TextAsNumberRule(NumberRule):
    """Text that is compared with an unquoted number."""

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        return super().compare(LeadingNumber(column), operator, binds)


class DateRule(ComparisonRule):
    """Dates, compared with the date in the text; LIKE matches `2017-11-14 22:20:57`."""

    @override
    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        if operator in LIKES:
            return operator, (_pattern(texts[0]),)
        return operator, tuple(map(read_date, texts))

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        # Stored as text that sorts as the dates do.
        stored = type_coerce(column, String)
        return _like(stored, operator, binds[0]) if operator in LIKES else _compare(stored, operator, binds)

    @override
    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column


class BooleanRule(ComparisonRule):
    """Java booleans: a single value is a keyword; values of a list are text, which MariaDB converts to numbers."""

    @override
    def read(self, operator: Operator, texts: Sequence[str]) -> tuple[Operator, tuple[Value, ...]]:
        if operator in NULLS:
            return operator, ()
        if operator in LISTS:
            return operator, tuple(map(_number, texts))
        try:
            value = read_boolean(texts[0])
        except ValueError:
            raise sql_grammar_error() from None
        if value is not None:
            return operator, (str(int(value)) if operator in LIKES else value,)
        # Hibernate turns these two into IS NULL and IS NOT NULL; another comparison with NULL is never true.
        replaced = {Operator.EQUAL: Operator.IS_NULL, Operator.NOT_EQUAL: Operator.NOT_NULL}
        return replaced.get(operator, operator), ()

    @override
    def compare(self, column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
        if not binds and operator not in NULLS:
            return false()
        number = type_coerce(column, String) if operator in LIKES else column
        return _like(number, operator, binds[0]) if operator in LIKES else _compare(number, operator, binds)

    @override
    def order(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column


RULES: dict[Kind, ComparisonRule] = {
    Kind.TEXT: TextRule(),
    Kind.UUID: UuidRule(),
    Kind.NUMBER: NumberRule(),
    Kind.DATE: DateRule(),
    Kind.BOOLEAN: BooleanRule(),
    Kind.TEXT_AS_NUMBER: TextAsNumberRule(),
}


def values_of(operator: Operator, text: str) -> list[str]:
    """Return the values of a condition: those of a list are split at each comma, untrimmed (query-semantics 2)."""
    if operator in NULLS:
        return []
    return text.split(",") if operator in LISTS else [text]


def _number(text: str) -> int | float:
    """Return the number that a text begins with; 1 or 0 for an unquoted boolean."""
    return int(text == "true") if isinstance(text, Unquoted) and text in ("true", "false") else read_number(text)


def _lowered(text: str) -> str:
    """Return folded text in lower case, keeping characters such as `_` sorted after the letters."""
    return text.lower().translate(AFTER_LETTERS)


def _pattern(text: str) -> str:
    """Return a folded LIKE pattern, with stand-ins; double an unpaired backslash at its end, which means itself."""
    if len(text) > LONGEST_PATTERN:
        text = _shortened(text)
    lone = (len(text) - len(text.rstrip(PATTERN_ESCAPE))) % 2
    return with_stand_in(fold(text)) + PATTERN_ESCAPE * lone


def _shortened(pattern: str) -> str:
    """Return a pattern of at most LONGEST_PATTERN that matches the same texts of up to LONGEST_TEXT."""
    pattern = WILDCARDS.sub(lambda found: found[0] if found[0].startswith(PATTERN_ESCAPE) else "%", pattern)
    return pattern if len(pattern) <= LONGEST_PATTERN else "_" * (LONGEST_TEXT + 1)


def _like(column: ColumnElement[Any], operator: Operator, pattern: Bind) -> ColumnElement[bool]:
    matched = Like(column, pattern)
    return matched if operator is Operator.LIKE else not_(matched)


def _compare(column: ColumnElement[Any], operator: Operator, binds: Sequence[Bind]) -> ColumnElement[bool]:
    match operator:
        case Operator.IS_NULL:
            return column.is_(null())
        case Operator.NOT_NULL:
            return column.is_not(null())
        case Operator.IN:
            return Among(column, binds[0])
        case Operator.NOT_IN:
            return not_(Among(column, binds[0]))
    found: ColumnElement[bool] = column.op(operator, is_comparison=True)(binds[0])
    return found
