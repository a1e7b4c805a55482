"""The value of `sort=` in ZStack's grammar (query-semantics 5)."""

from __future__ import annotations

import pytest

from imagestore_sim.query.sorting import Arithmetic, Expression, Name, Order, SortSyntaxError, names_of, parse_order
from rows import rows

A, B, C = Name("a"), Name("b"), Name("c")


@rows(
    ("text", "orders"),
    [
        ("a", [(A, True)]),
        (" a ", [(A, True)]),
        ("a asc,b", [(A, False), (B, True)]),
        ("a desc , b asc, c", [(A, True), (B, False), (C, True)]),
        ("(a)", [(A, True)]),
        ("a/b", [(Arithmetic("/", A, B), True)]),
        ("a - b", [(Arithmetic("-", A, B), True)]),
        ("a+b*c", [(Arithmetic("+", A, Arithmetic("*", B, C)), True)]),
        ("(a+b)*c", [(Arithmetic("*", Arithmetic("+", A, B), C), True)]),
        ("a-b-c", [(Arithmetic("-", Arithmetic("-", A, B), C), True)]),
        ("a%b asc,c", [(Arithmetic("%", A, B), False), (C, True)]),
        ("zone.name", [(Name("zone.name"), True)]),
        ("ASCII", [(Name("ASCII"), True)]),
    ],
)
def test_a_sort_is_one_expression_or_several(text: str, orders: list[tuple[Expression, bool]]) -> None:
    assert parse_order(text, descending=True) == tuple(Order(*order) for order in orders)


def test_the_last_expression_has_the_direction_of_the_sign() -> None:
    assert [one.descending for one in parse_order("a desc,b", descending=False)] == [True, False]


@rows(
    ("text", "message", "position"),
    [
        ("", "mismatched input 'asc' expecting {'(', ID}", 1),
        ("limit", "mismatched input 'limit' expecting {'(', ID}", 0),
        ("a,b", "no viable alternative at input 'a,'", 1),
        ("a b", "no viable alternative at input 'ab'", 2),
    ],
)
def test_a_mistake_has_the_error_text_of_the_parser(text: str, message: str, position: int) -> None:
    with pytest.raises(SortSyntaxError) as refused:
        parse_order(text, descending=False)
    assert (refused.value.message, refused.value.position) == (message, position)


@rows(
    "text",
    [
        *("a,", ",a", "a asc", "a ASC,b", "a;b", "a#", "a'", "1", "a+1", "a-1", "(a", "a)", "()", "a..b", "f(a)"),
        *("count", "é", "(" * 5000 + "a" + ")" * 5000, "+".join(["a"] * 5000)),
    ],
    ids=lambda text: text[:10],
)
def test_these_sorts_are_refused(text: str) -> None:
    with pytest.raises(SortSyntaxError):
        parse_order(text, descending=False)


def test_the_names_come_from_left_to_right() -> None:
    (order,) = parse_order("(a-b)/zone.c", descending=False)
    assert list(names_of(order.expression)) == ["a", "b", "zone.c"]
