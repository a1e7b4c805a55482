"""Convert the tree of a text to its statements (ZStack's ast.parser.visitors)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from imagestore_sim.query.errors import OPERATION_FAILED, QueryError
from imagestore_sim.query.language.errors import syntax_error
from imagestore_sim.query.language.tokens import DIRECTION, ID, INT, STRING, Token
from imagestore_sim.query.language.tree import Tree

INT_BITS = 32
INT_MAX = 2 ** (INT_BITS - 1) - 1
LONGEST = 65_536
DEEPEST = 100
"""The limit of nested brackets and sub-queries; ZStack's is the stack of its thread."""
KEPT_TEXT = 512


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written in the text, with its quotes."""

    kind: int
    text: str

    @property
    def is_text(self) -> bool:
        """Return whether it has quotes."""
        return self.kind == STRING


@dataclass(frozen=True, slots=True)
class SubQuery:
    """The values of a field in another inventory."""

    entity: str
    field: str
    where: tuple[Where, ...]


Given = Literal | tuple[Literal, ...] | SubQuery | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field (`names` is its path), an operator and the value that it is compared with."""

    names: tuple[str, ...]
    operator: str
    given: Given


@dataclass(frozen=True, slots=True)
class Target:
    """An inventory by its name in the query language, and the fields to select; empty means all."""

    entity: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TwoFields:
    """A comparison of two fields."""

    left: Target
    operator: str
    right: Target


@dataclass(frozen=True, slots=True)
class Chain:
    """Conditions joined by `and` and `or`, which have equal precedence and are right-associative."""

    first: Where
    others: tuple[tuple[str, Where], ...]


Where = Comparison | TwoFields | Chain


@dataclass(frozen=True, slots=True)
class Join:
    """A join with another inventory; `how` is inner, left or right."""

    how: str
    target: Target
    where: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Restriction:
    """A condition on a field of another inventory, over the shortest path to it."""

    entity: str | None
    field: str
    operator: str
    given: Given


@dataclass(frozen=True, slots=True)
class Ordering:
    """An expression to sort by, as text without blanks, and its direction."""

    text: str
    descending: bool
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `verb` is query, count, sum or search."""

    verb: str
    target: Target
    functions: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()
    where: tuple[Where, ...] = ()
    """Usually one condition; ZStack's grammar allows several in a row, which Hibernate refuses."""
    restrictions: tuple[Restriction, ...] = ()
    returned: tuple[str, ...] = ()
    """The names in `return with`, without their blocks in braces."""
    blocks: tuple[tuple[str, str], ...] = ()
    """The names in `return with` that have a block, with the text in its braces, without blanks."""
    group_by: tuple[str, ...] = ()
    sum_by: str | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int | None = None
    name: str | None = None


def statements(text: str) -> tuple[Statement, ...]:
    """Parse the statements in a text. Raise QueryError."""
    return _kept(text) if len(text) <= KEPT_TEXT else _read(text)


def _read(text: str) -> tuple[Statement, ...]:
    from imagestore_sim.query.language.parser import parse  # makes the grammar's automaton, which few processes need

    text = text.strip("".join(map(chr, range(ord(" ") + 1)))).removesuffix(";")
    if len(text) > LONGEST:
        raise syntax_error(text, LONGEST, f"a text of more than {LONGEST} characters")
    return tuple(_statement(part) for tree in parse(text).all("zql") for part in tree.parts if isinstance(part, Tree))


_kept = lru_cache(maxsize=256)(_read)


def _statement(tree: Tree) -> Statement:
    verb = tree.rule.removesuffix("_")
    if verb == "search":
        return Statement(verb, Target(""))
    functions: tuple[str, ...] = ()
    joins: list[Join] = []
    if verb == "sum":
        target = _target(tree.first("queryTarget"))
    else:
        target, functions, joins = _target_with_functions(_only(tree, "queryTargetWithFunction"))
    group, by = tree.first("groupBy_"), tree.first("sumBy")
    name = tree.first("namedAs_")
    return_with = tree.first("returnWith_")
    return Statement(
        verb,
        target,
        functions,
        tuple(joins),
        _where(tree),
        _restrictions(tree.first("restrictBy_")),
        _returned(return_with),
        _blocks(return_with),
        tuple(_only(group, "groupByExpr").tokens(ID)) if group else (),
        by.text().removeprefix("by") if by else None,
        _orderings(tree.first("orderBy_")),
        _integer(tree.first("limit_"), wraps=False),
        _integer(tree.first("offset_"), wraps=True),
        _unquoted(_only(name, "namedAsValue").text()) if name else None,
    )


def _only(tree: Tree, rule: str) -> Tree:
    found = tree.first(rule)
    assert found is not None, "the rule has one"
    return found


def _target(tree: Tree | None) -> Target:
    assert tree is not None
    if len(list(tree.all("entity"))) > 1:
        raise QueryError(None, thrown="java.lang.NullPointerException")  # ZStack's visitors do not handle this syntax
    fields: tuple[str, ...] = ()
    if several := tree.first("multiFields"):
        fields = tuple(several.tokens(ID))
    elif one := tree.first("field"):
        fields = (one.tokens(ID)[0],)
    return Target(_only(tree, "entity").text(), fields)


def _target_with_functions(tree: Tree) -> tuple[Target, tuple[str, ...], list[Join]]:
    functions: list[str] = []
    joins: list[Join] = []
    while (function := tree.first("function")) is not None:
        functions.append(function.text())
        joins += _joins(tree)
        tree = _only(tree, "queryTargetWithFunction")
    joins += _joins(tree)
    return _target(tree.first("queryTarget")), tuple(functions), joins


def _joins(tree: Tree) -> list[Join]:
    return [
        Join(str(_tokens(join)[0]), _target(join.first("queryTarget")), _where(join)) for join in tree.all("joinClause")
    ]


def _tokens(tree: Tree) -> list[str]:
    return [part.text for part in tree.parts if isinstance(part, Token)]


def _where(tree: Tree, depth: int = 0) -> tuple[Where, ...]:
    return tuple(_condition(one, depth) for one in tree.all("condition"))


def _condition(tree: Tree, depth: int) -> Where:
    if depth > DEEPEST:
        limit = f"brackets and sub-queries may be nested {DEEPEST} deep"
        raise QueryError(limit, thrown="java.lang.StackOverflowError")
    found: list[tuple[str, Where]] = []
    operator = ""
    while (joint := tree.first("logicalOperator")) is not None:
        left, right = tree.all("condition")
        found.append((operator, _single(left, depth)))
        operator, tree = joint.text(), right
    found.append((operator, _single(tree, depth)))
    return found[0][1] if len(found) == 1 else Chain(found[0][1], tuple(found[1:]))


def _single(tree: Tree, depth: int) -> Where:
    inner = tree.parts[0] if len(tree.parts) == 1 else tree.first("condition")
    assert isinstance(inner, Tree)
    match inner.rule:
        case "condition":
            return _condition(inner, depth + 1)
        case "expr":
            names = tuple(_only(inner, "field").tokens(ID))
            return Comparison(names, _only(inner, "operator").text(), _given(inner.first("complexValue"), depth))
    left, right = inner.all("queryTarget")
    return TwoFields(_target(left), _only(inner, "operator").text(), _target(right))


def _given(tree: Tree | None, depth: int) -> Given:
    if tree is None:
        return None
    if sub := tree.first("subQuery"):
        target = _only(sub, "subQueryTarget")
        return SubQuery(_only(target, "entity").text(), target.tokens(ID)[0], _where(sub, depth + 1))
    value = tree.first("value")
    if value is None:
        raise QueryError("an API cannot be called from a query here", OPERATION_FAILED)
    return _value(value)


def _value(tree: Tree) -> Literal | tuple[Literal, ...]:
    if isinstance(token := tree.parts[0], Token) and len(tree.parts) == 1:
        return Literal(token.kind, token.text)
    # A list within a list is ignored.
    inner = (one.parts[0] for one in tree.all("value") if len(one.parts) == 1)
    return tuple(Literal(token.kind, token.text) for token in inner if isinstance(token, Token))


def _restrictions(tree: Tree | None) -> tuple[Restriction, ...]:
    return tuple(map(_restriction, tree.all("restrictByExpr"))) if tree else ()


def _restriction(tree: Tree) -> Restriction:
    entity, value = tree.first("entity"), tree.first("value")
    return Restriction(
        entity.text() if entity else None,
        tree.tokens(ID)[-1],
        _only(tree, "operator").text(),
        _value(value) if value else None,
    )


def _returned(tree: Tree | None) -> tuple[str, ...]:
    return tuple(".".join(one.tokens(ID)) for one in tree.all("returnWithExpr")) if tree else ()


def _blocks(tree: Tree | None) -> tuple[tuple[str, str], ...]:
    found = [
        (one.tokens(ID)[0], one.first("returnWithExprBlock")) for one in (tree.all("returnWithExpr") if tree else ())
    ]
    return tuple((name, block.text()[1:-1]) for name, block in found if block is not None)


def _orderings(tree: Tree | None) -> tuple[Ordering, ...]:
    return tuple(map(_ordering, tree.all("orderByExpr"))) if tree else ()


def _ordering(tree: Tree) -> Ordering:
    atom = _only(tree, "exprAtom")
    return Ordering(atom.text(), tree.tokens(DIRECTION) == ["desc"], atom.first("function") is not None)


def _integer(tree: Tree | None, *, wraps: bool) -> int | None:
    """Return a number as Java reads it: an int or, with `wraps`, the lower half of a long. Raise QueryError beyond."""
    if tree is None:
        return None
    text = tree.tokens(INT)[0]
    number, bits = int(text[:21]), 2 * INT_BITS if wraps else INT_BITS
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise QueryError(f'For input string: "{text}"', thrown="java.lang.NumberFormatException")
    half: int = 2 ** (INT_BITS - 1)
    return (number + half) % (2 * half) - half


def _unquoted(text: str) -> str:
    for quote in ("'", '"'):
        text = text.removeprefix(quote)
    for quote in ('"', "'"):
        text = text.removesuffix(quote)
    return text
