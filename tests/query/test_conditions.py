"""The split of a `q`, and the parameters of a query string (query-semantics 1, 2)."""

from __future__ import annotations

import pytest

from imagestore_sim.query.conditions import (
    Condition,
    Operator,
    Query,
    Sort,
    by_uuid,
    parse_condition,
    parse_query,
    parse_sort,
)
from imagestore_sim.query.errors import QueryParameterError
from rows import rows


@rows(
    ("text", "name", "operator", "value"),
    [
        ("name=x", "name", "=", "x"),
        ("name!=x", "name", "!=", "x"),
        ("name>x", "name", ">", "x"),
        ("name>=x", "name", ">=", "x"),
        ("name<x", "name", "<", "x"),
        ("name<=x", "name", "<=", "x"),
        ("name?=x,y", "name", "in", "x,y"),
        ("name!?=x,y", "name", "not in", "x,y"),
        ("name~=x%", "name", "like", "x%"),
        ("name!~=x%", "name", "not like", "x%"),
        ("name is null", "name", "is null", ""),
        ("name not null", "name", "is not null", ""),
    ],
)
def test_each_of_the_twelve_operators_is_found(text: str, name: str, operator: str, value: str) -> None:
    assert parse_condition(text) == Condition(name, Operator(operator), value)


@rows(
    ("text", "name", "operator", "value"),
    [
        # An operator that comes earlier in the list wins wherever it stands
        ("name=a!=b", "name=a", "!=", "b"),
        ("description=x!=y", "description=x", "!=", "y"),
        ("name=a>=b", "name=a", ">=", "b"),
        ("name~=a<=b", "name~=a", "<=", "b"),
        ("url>a=b", "url>a", "=", "b"),
        ("name=a?=b", "name=a", "in", "b"),
        ("a!~=b!?=c", "a!~=b", "not in", "c"),
        # One that comes later does not
        ("name=a>b", "name", "=", "a>b"),
        ("name=a<b", "name", "=", "a<b"),
        ("name=is null", "name", "=", "is null"),
        ("name~=not null", "name", "like", "not null"),
        ("name>x is null", "name", ">", "x is null"),
        ("name is null not null", "name", "is null", ""),
        # Separators next to each other are one, and at the beginning none
        ("name==x", "name", "=", "x"),
        ("name===x", "name", "=", "x"),
        ("==name=x", "name", "=", "x"),
        ("name=a=b", "name", "=", "a=b"),
        ("name=abc=", "name", "=", "abc="),
        ("name?=?=x", "name", "in", "x"),
        # Only the name is trimmed, and an empty value is one
        ("name=", "name", "=", ""),
        ("name!=", "name", "!=", ""),
        (" name = x ", "name", "=", " x "),
        ("name=\t", "name", "=", "\t"),
        # What follows a test of null is passed over
        ("descriptionis null", "description", "is null", ""),
        ("description is nullable", "description", "is null", ""),
        ("description is not null", "description is", "is not null", ""),
    ],
)
def test_the_first_operator_of_the_list_splits_the_text(text: str, name: str, operator: str, value: str) -> None:
    assert parse_condition(text) == Condition(name, Operator(operator), value)


@rows("text", ["", "name", "name IS NULL", "name is  null", "name NOT NULL", "name like x", "a ~ b"])
def test_a_text_without_an_operator_is_refused(text: str) -> None:
    with pytest.raises(QueryParameterError) as refused:
        parse_condition(text)
    assert str(refused.value) == (
        f"Invalid query parameter. The '{text}' in the parameter[q] doesn't contain any query operator. "
        "Valid query operators are [[!=, >=, <=, !?=, !~=, ~=, ?=, =, >, <, is null, not null]]"
    )


@rows(
    ("text", "operator"),
    [
        ("=x", "="),
        ("=", "="),
        ("==", "="),
        ("!=x", "!="),
        ("?=x", "in"),
        ("!?=", "not in"),
        ("~=x", "like"),
        (">", ">"),
    ],
)
def test_a_text_without_a_name_or_without_a_value_is_refused(text: str, operator: str) -> None:
    with pytest.raises(QueryParameterError) as refused:
        parse_condition(text)
    expected = f"Invalid query parameter. The '{text}' in parameter[q] is not a key-value pair split by {operator}"
    assert str(refused.value) == expected


@rows(
    ("pairs", "expected"),
    [
        ([], Query()),
        ([("limit", "7")], Query(limit=7)),
        ([("limit", " +7 ")], Query(limit=7)),
        ([("limit", "-1")], Query(limit=-1)),
        ([("limit", "007")], Query(limit=7)),
        ([("limit", "2147483647")], Query(limit=2**31 - 1)),
        ([("start", "3")], Query(start=3)),
        ([("start", "0")], Query(start=0)),
        ([("count", "true")], Query(count=True)),
        ([("count", " TRUE ")], Query(count=True)),
        ([("count", "1")], Query()),
        ([("count", "yes")], Query()),
        ([("count", "")], Query()),
        ([("replyWithCount", "True")], Query(reply_with_count=True)),
        ([("fields", "a, b ,c")], Query(fields=("a", "b", "c"))),
        ([("fields", "a,,")], Query(fields=("a",))),
        ([("fields", ",a")], Query(fields=("", "a"))),
        ([("fields", "")], Query(fields=("",))),
        ([("fields", "a,a")], Query(fields=("a", "a"))),
        ([("filterName", " x:y ")], Query(filter_name="x:y")),
        ([("filterName", " ")], Query()),
        ([("sort", "-name")], Query(sort=Sort("name", descending=True))),
        # Names: trimmed, their case matters, the unknown ones are passed over
        ([(" limit ", "7")], Query(limit=7)),
        ([("Limit", "x"), ("LIMIT", "x"), ("nosuch", "x"), ("q1", "x"), ("Q", "x"), ("groupBy", "x")], Query()),
        # The first value of a name counts, but for q
        ([("limit", "1"), ("limit", "x")], Query(limit=1)),
        ([("sort", "a"), ("sort", "b")], Query(sort=Sort("a"))),
        (
            [("q", "a=1"), ("q", "b=2"), ("q", "a=1")],
            Query((Condition("a", Operator.EQUAL, "1"), Condition("b", Operator.EQUAL, "2"))),
        ),
        # A blank name is as good as q, and one that is not there is none
        ([(" ", "a=1")], Query((Condition("a", Operator.EQUAL, "1"),))),
        ([("", "junk")], Query()),
    ],
)
def test_parameters_make_a_query(pairs: list[tuple[str, str]], expected: Query) -> None:
    assert parse_query(pairs) == expected


@rows("name", ["limit", "start"])
@rows("value", ["", " ", "abc", "1.5", "1e3", "2147483648", "-2147483649", "9" * 5000, "+", "-"])
def test_a_number_beyond_a_java_integer_is_refused(name: str, value: str) -> None:
    with pytest.raises(QueryParameterError, match=rf"Invalid query parameter\. '{name}' must be an integer"):
        parse_query([(name, value)])


@rows("value", [",", ",,,", " , "])
def test_fields_of_only_commas_are_refused(value: str) -> None:
    with pytest.raises(QueryParameterError, match=r"Invalid query parameter\. 'fields' contains zero field"):
        parse_query([("fields", value)])


@rows(
    ("pairs", "complaint"),
    [
        ([("limit", "x"), ("start", "x")], "'limit'"),
        ([("start", "x"), ("limit", "x")], "'start'"),
        ([("q", "a=1"), ("limit", "x"), ("q", "junk")], "'junk'"),
        ([("limit", "x"), ("q", "junk")], "'limit'"),
        ([("fields", ","), ("q", "junk")], "'fields'"),
    ],
)
def test_the_first_invalid_parameter_in_the_order_of_the_url_is_reported(
    pairs: list[tuple[str, str]], complaint: str
) -> None:
    with pytest.raises(QueryParameterError, match=complaint):
        parse_query(pairs)


@rows(
    ("text", "expected"),
    [
        ("name", Sort("name")),
        ("+name", Sort("name")),
        ("++name", Sort("name")),
        ("-name", Sort("name", descending=True)),
        ("--name", Sort("name", descending=True)),
        ("+-name", Sort("-name")),
        ("-+name", Sort("+name", descending=True)),
        ("", Sort("")),
        ("-", Sort("", descending=True)),
        ("- name", Sort(" name", descending=True)),
    ],
)
def test_the_signs_before_a_sort_are_its_direction(text: str, expected: Sort) -> None:
    assert parse_sort(text) == expected


def test_a_path_with_a_uuid_is_one_condition() -> None:
    assert by_uuid("x y") == Query((Condition("uuid", Operator.EQUAL, "x y"),))
