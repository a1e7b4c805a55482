"""What ZStack's parser stumbles over, told before any name is looked at (query-semantics 2)."""

from __future__ import annotations

import pytest
from simulator.query import BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE, Query, QueryError
from simulator.query.conditions import Condition, Operator, parse
from simulator.query.names import is_name
from simulator.query.syntax import PARSE_ERROR, check_syntax, names_in


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "a1",
        "_",
        "__systemTag__",
        "zone.name",
        "a.b.c",
        "1a",
        "10_2",
        "not",
        "null",
        "is",
        "order",
        "limits",
        "ASC",
    ],
)
def test_these_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "a b", "a-b", "é", "1", "a.1", "a\n", "a'b", "a,b"])
def test_these_are_no_names(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("word", ["limit", "offset", "count", "by", "api", "output", "on", "left", "in", "where"])
def test_a_keyword_is_no_name_nor_part_of_one(word: str) -> None:
    assert not is_name(word)
    assert not is_name(f"zone.{word}")


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query((Condition("name", Operator.LIKE, '%"; drop table x; --\n中 limit 5'),)),
        Query((Condition("name", Operator.EQUAL, "back\\slash"),)),
        Query((Condition("name=a", Operator.NOT_EQUAL, "b"),)),
        Query(fields=("uuid", "name")),
        Query(fields=("zone.name",)),
        parse([("sort", "a asc,b"), ("q", "name is null"), ("count", "true")]),
    ],
)
def test_these_are_taken(query: Query) -> None:
    check_syntax(BACKUP_STORAGE, query)


def test_a_name_with_an_operator_in_it_is_several() -> None:
    assert names_in("name=a") == ["name", "a"]
    assert names_in("a < b != c") == ["a", "b", "c"]
    assert names_in("zone.name") == ["zone.name"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            [("q", "name=it's")],
            r"token recognition error at: '' limit 1000' at line 1:49, e = 'it\'s' limit 10",
        ),
        ([("sort", "name,uuid")], "no viable alternative at input 'name,' at line 1:43, er by name,uuid asc "),
        ([("sort", "")], "mismatched input 'asc' expecting {'(', ID} at line 1:40, order by  asc limit "),
        ([("q", "na#me=x")], "token recognition error at: '#' at line 1:38, e where na#me = 'x' "),
        ([("q", "limit=x")], "no viable alternative at input 'limit' at line 1:36, age where limit = 'x"),
        ([("q", "x is not null")], "no viable alternative at input 'x is' at line 1:36, age where x is is no"),
        ([("fields", "a=b")], "no viable alternative at input 'a=b' at line 1:30, upstorage.a=b limit "),
        ([("fields", "a,b.c")], "no viable alternative at input 'b.c' at line 1:32, storage.a,b.c limit "),
    ],
)
def test_a_mistake_is_quoted_with_its_place(query: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(QueryError) as refused:
        check_syntax(IMAGE_STORE_BACKUP_STORAGE, parse(query))
    assert refused.value.code == "SYS.1000"
    assert refused.value.details == f"{PARSE_ERROR} {expected}"


def test_lines_are_counted() -> None:
    asked = [("q", "name=a\nb"), ("q", "url=it's")]
    with pytest.raises(QueryError, match=r"error at: '' limit 1000' at line 2:"):
        check_syntax(BACKUP_STORAGE, parse(asked))


@pytest.mark.parametrize("value", ["'", "a'", "'a", "''", "it''s", "a'b'c", r"\'", "x'#", "' or 1=1"])
@pytest.mark.parametrize("operator", ["=", "!=", "~=", "?=", "!?=", ">"])
def test_no_value_may_hold_an_apostrophe(operator: str, value: str) -> None:
    with pytest.raises(QueryError, match=PARSE_ERROR):
        check_syntax(BACKUP_STORAGE, parse([("q", f"name{operator}{value}")]))


def test_a_count_has_a_line_of_its_own() -> None:
    with pytest.raises(QueryError, match=r"at line 1:26, "):
        check_syntax(BACKUP_STORAGE, parse([("q", "é=x"), ("count", "true"), ("replyWithCount", "true")]))
