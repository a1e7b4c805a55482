"""The grammar of the query language as data. It follows ZStack's ZQL.g4, whose structure shows in error texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagestore_sim.query.language.tokens import DIRECTION, DISPLAY_NAMES, EOF, TOKEN_KINDS


@dataclass(frozen=True, slots=True)
class TokenSet:
    """One token of the given kinds."""

    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to another rule; of a left-recursive one, only operators of at least `precedence`."""

    rule: str
    precedence: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts in a row."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several alternatives; the first that matches."""

    options: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeated part: `how` is `?` (at most once), `*` (any number of times) or `+` (at least once)."""

    how: str
    part: Part


@dataclass(frozen=True, slots=True)
class LeftRecursive:
    """A left-recursive rule: its first part, then any number of `following` parts of a precedence."""

    first: Part
    following: Part
    precedence: int


Part = TokenSet | Ref | Sequence | Choice | Repeat | LeftRecursive


def one(*texts: str) -> TokenSet:
    """Return one token of the kinds with these names."""
    return TokenSet(frozenset(EOF if text == "EOF" else TOKEN_KINDS[text] for text in texts))


def any_but(text: str) -> TokenSet:
    """Return one token of any kind but that one and EOF."""
    return TokenSet(frozenset(range(1, len(DISPLAY_NAMES))) - {TOKEN_KINDS[text]})


def _part(part: Part | str) -> Part:
    if isinstance(part, str):
        return Ref(part) if part in NAMES else one(part)
    return part


def seq(*parts: Part | str) -> Part:
    """Return parts in a row. A string is the name of a rule or of a kind of token."""
    return _part(parts[0]) if len(parts) == 1 else Sequence(tuple(map(_part, parts)))


def alt(*options: Part | str) -> Choice:
    """Return a choice of alternatives."""
    return Choice(tuple(map(_part, options)))


def opt(*parts: Part | str) -> Repeat:
    """Return parts that come at most once."""
    return Repeat("?", seq(*parts))


def star(*parts: Part | str) -> Repeat:
    """Return parts that come any number of times."""
    return Repeat("*", seq(*parts))


def plus(*parts: Part | str) -> Repeat:
    """Return parts that come at least once."""
    return Repeat("+", seq(*parts))


def listed(*parts: Part | str) -> tuple[Part, Part]:
    """Return a list of one or more, separated by commas."""
    return seq(*parts), star(",", *parts)


NAMES = frozenset(
    [
        "zqls",
        "zql",
        "entity",
        "field",
        "multiFields",
        "operator",
        "value",
        "listValue",
        "logicalOperator",
        "complexValue",
        "getQuery",
        "apiparams",
        "input_",
        "output_",
        "expr",
        "joinExpr",
        "exprAtom",
        "equal",
        "condition",
        "queryTarget",
        "function",
        "queryTargetWithFunction",
        "orderByExpr",
        "orderBy_",
        "limit_",
        "offset_",
        "restrictByExpr",
        "restrictBy_",
        "returnWithExprBlock",
        "returnWithExpr",
        "returnWith_",
        "groupByExpr",
        "groupBy_",
        "subQueryTarget",
        "subQuery",
        "filterByExprBlock",
        "filterByExpr",
        "filterBy_",
        "namedAsKey",
        "namedAsValue",
        "namedAs_",
        "joinClause",
        "query_",
        "count_",
        "sumByValue",
        "sumBy",
        "sum_",
        "search_",
        "keyword",
        "index",
        "mathOperator",
    ]
)
"""The rules; one whose name would be that of a word ends in an underscore."""
DIRECTED = TokenSet(frozenset((DIRECTION,)))
MOST_CLAUSES = (opt("restrictBy_"), opt("groupBy_"), opt("orderBy_"), opt("limit_"), opt("offset_"))
WHERE = opt("where", plus("condition"))
API_CALL_BEGINS, API_CALL_ENDS = (opt("("), "getQuery", "("), (star(",", "apiparams"), ")", opt(")"))

GRAMMAR: Mapping[str, Part] = {
    "zqls": seq("zql", star(";", "zql"), "EOF"),
    "zql": alt("query_", "count_", "sum_", "search_"),
    "entity": one("ID"),
    "field": alt("ID", seq("ID", plus(".", "ID"))),
    "multiFields": seq("ID", plus(",", "ID")),
    "operator": one(
        "=", "!=", ">", ">=", "<", "<=", "is null", "is not null", "in", "not in", "like", "not like", "has", "not has"
    ),
    "value": alt("STRING", "INT", "FLOAT", "BOOLEAN", seq("(", *listed("value"), ")")),
    "listValue": seq("list(", *listed("value"), ")"),
    "logicalOperator": one("and", "or"),
    "complexValue": alt(
        "value",
        seq("(", "subQuery", ")"),
        seq(*API_CALL_BEGINS, "input_", ",", "output_", *API_CALL_ENDS),
        seq(*API_CALL_BEGINS, "output_", ",", "input_", *API_CALL_ENDS),
    ),
    "getQuery": one("getapi"),
    "apiparams": alt(seq("namedAsKey", "equal", "value"), seq("namedAsKey", "equal", "listValue")),
    "input_": seq("api", "equal", "namedAsValue"),
    "output_": seq("output", "equal", "namedAsValue"),
    "expr": seq("field", "operator", opt("complexValue")),
    "joinExpr": seq("queryTarget", "operator", "queryTarget"),
    "exprAtom": LeftRecursive(
        alt("ID", "queryTarget", seq("function", "(", "queryTarget", ")"), seq("(", *listed("exprAtom"), ")")),
        seq("mathOperator", Ref("exprAtom", 2)),
        1,
    ),
    "equal": one("="),
    "condition": LeftRecursive(
        alt(seq("(", "condition", ")"), "expr", "joinExpr"), plus("logicalOperator", "condition"), 3
    ),
    # The last one, of ZStack's generated parser, means nothing to what reads the tree.
    "queryTarget": alt(
        "entity", seq("entity", ".", "field"), seq("entity", ".", "multiFields"), plus("entity", ".", "field")
    ),
    "function": one("ID"),
    "queryTargetWithFunction": alt(
        seq("queryTarget", star("joinClause")),
        seq("function", "(", "queryTargetWithFunction", ")", star("joinClause")),
    ),
    "orderByExpr": seq("exprAtom", DIRECTED),
    "orderBy_": seq("order by", *listed("orderByExpr")),
    "limit_": seq("limit", "INT"),
    "offset_": seq("offset", "INT"),
    "restrictByExpr": alt(seq("entity", ".", "ID", "operator", opt("value")), seq("ID", "operator", opt("value"))),
    "restrictBy_": seq("restrict by", "(", *listed("restrictByExpr"), ")"),
    "returnWithExprBlock": seq("{", star(alt(any_but("}"), "returnWithExprBlock")), "}"),
    "returnWithExpr": alt(seq("ID", star(".", "ID")), seq("ID", "returnWithExprBlock")),
    "returnWith_": seq("return with", "(", *listed("returnWithExpr"), ")"),
    "groupByExpr": seq(*listed("ID")),
    "groupBy_": seq("group by", "groupByExpr"),
    "subQueryTarget": seq("entity", plus(".", "ID")),
    "subQuery": seq("query", "subQueryTarget", WHERE),
    "filterByExprBlock": seq("{", star(alt(any_but("}"), "filterByExprBlock")), "}"),
    "filterByExpr": seq("ID", "filterByExprBlock"),
    "filterBy_": seq("filter by", *listed("filterByExpr")),
    "namedAsKey": one("ID"),
    "namedAsValue": one("STRING"),
    "namedAs_": seq("named as", "namedAsValue"),
    "joinClause": seq(one("inner", "left", "right"), "join", "queryTarget", "on", plus("condition")),
    "query_": seq(
        "query",
        "queryTargetWithFunction",
        WHERE,
        opt("restrictBy_"),
        opt("returnWith_"),
        *MOST_CLAUSES[1:],
        opt("filterBy_"),
        opt("namedAs_"),
    ),
    "count_": seq("count", "queryTargetWithFunction", WHERE, *MOST_CLAUSES, opt("namedAs_")),
    "sumByValue": one("ID"),
    "sumBy": seq("by", "sumByValue"),
    "sum_": seq("sum", "queryTarget", "sumBy", WHERE, *MOST_CLAUSES[2:], opt("namedAs_")),
    "search_": seq("search", "keyword", opt("from", "index"), opt("restrictBy_"), opt("limit_"), opt("offset_")),
    "keyword": one("STRING"),
    "index": alt("ID", seq("ID", plus(",", "ID"))),
    "mathOperator": one("*", "/", "%", "+", "-", "--"),
}
