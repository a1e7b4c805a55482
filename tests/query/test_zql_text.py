"""Mistakes that ZStack's parser reports, before any name is looked up (query-semantics 2)."""

from __future__ import annotations

import pytest

from imagestore_sim.query import BACKUP_STORAGE, IMAGE_STORE_BACKUP_STORAGE, Query, QueryError
from imagestore_sim.query.conditions import Condition, Operator, parse_query
from imagestore_sim.query.names import is_name
from imagestore_sim.query.prepared_query import prepare_query
from rows import rows

PARSE_ERROR = "org.antlr.v4.runtime.misc.ParseCancellationException: error"
OUT_OF_BOUNDS = "java.lang.StringIndexOutOfBoundsException: offset"


@rows(
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


@rows("name", ["", ".", "a.", ".a", "a..b", "a b", "a-b", "é", "1", "a.1", "a\n", "a'b", "a,b"])
def test_these_are_not_names(name: str) -> None:
    assert not is_name(name)


@rows("word", ["limit", "offset", "count", "by", "api", "output", "on", "left", "in", "where"])
def test_a_keyword_is_neither_a_name_nor_part_of_one(word: str) -> None:
    assert not is_name(word)
    assert not is_name(f"zone.{word}")


@rows(
    "query",
    [
        Query(),
        Query((Condition("name", Operator.LIKE, '%"; drop table x; --\n中 limit 5'),)),
        Query((Condition("name", Operator.EQUAL, "back\\slash"),)),
        Query(fields=("uuid", "name")),
        Query(fields=("name.uuid",)),
        parse_query([("sort", "name asc,uuid"), ("q", "name is null"), ("count", "true")]),
        parse_query([("q", "uuid like '%' or name=x")]),
        parse_query([("q", "state like 'E' and (name like 'b') or zone.name=x"), ("q", "type like 'x' and url=y")]),
    ],
)
def test_these_queries_are_valid(query: Query) -> None:
    assert prepare_query(BACKUP_STORAGE, query).deferred_error is None


@rows(
    ("query", "expected"),
    [
        ([("sort", "name,uuid")], "no viable alternative at input 'name,' at line 1:43, er by name,uuid asc "),
        ([("sort", "")], "mismatched input 'asc' expecting {'(', ID} at line 1:40, order by  asc limit "),
        ([("q", "na#me=x")], "token recognition error at: '#' at line 1:38, e where na#me = 'x' "),
        ([("q", "limit=x")], "mismatched input 'limit' expecting {'(', ID} at line 1:36, age where limit = 'x"),
        ([("q", "x is not null")], "no viable alternative at input 'xis' at line 1:38, e where x is is not "),
        ([("fields", "a,b.c")], "mismatched input '.' expecting {<EOF>, ';'} at line 1:33, torage.a,b.c limit 1"),
        ([("q", "name!?=a!=b")], "token recognition error at: '!?' at line 1:40, where name!?=a != 'b"),
        ([("q", "zone.=1")], "no viable alternative at input 'zone.=' at line 1:42, ere zone. = '1' limi"),
        ([("sort", "name desc")], "mismatched input 'asc' expecting {<EOF>, ';'} at line 1:49, name desc asc limit "),
    ],
)
def test_a_mistake_is_quoted_with_its_position(query: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(QueryError) as refused:
        prepare_query(IMAGE_STORE_BACKUP_STORAGE, parse_query(query))
    assert refused.value.code == "SYS.1000"
    assert refused.value.details == f"{PARSE_ERROR} {expected}"


def test_lines_are_counted() -> None:
    pairs = [("q", "name like 'a\nb'#=x")]
    with pytest.raises(QueryError, match=r"error at: '#' at line 2:2, b'# = 'x' li"):
        prepare_query(BACKUP_STORAGE, parse_query(pairs))


@rows("value", ["'", "a'", "'a", "''", "it''s", "a'b'c", r"\'", "x'#", "' or 1=1"])
@rows("operator", ["=", "!=", "~=", "?=", "!?=", ">"])
def test_no_value_may_hold_an_apostrophe(operator: str, value: str) -> None:
    with pytest.raises(QueryError) as refused:
        prepare_query(BACKUP_STORAGE, parse_query([("q", f"name{operator}{value}")]))
    assert refused.value.details.startswith((PARSE_ERROR, OUT_OF_BOUNDS))


def test_an_unterminated_string_is_quoted_beyond_the_text() -> None:
    with pytest.raises(QueryError) as refused:
        prepare_query(BACKUP_STORAGE, parse_query([("q", "name!=a'b")]))
    assert refused.value.details == f"{OUT_OF_BOUNDS} 39, count 13, length 51"


def test_of_several_mistakes_the_first_in_the_order_of_a_java_set_is_reported() -> None:
    # Of these the hashes put `foo` first, whichever comes first in the question.
    for names in (("foo", "bar"), ("bar", "foo")):
        with pytest.raises(QueryError, match=r"not having field\[foo\]"):
            prepare_query(BACKUP_STORAGE, parse_query([("q", f"{name}=1") for name in names]))


def test_a_count_is_a_statement_of_its_own() -> None:
    with pytest.raises(QueryError, match=r"at line 1:26, "):
        prepare_query(BACKUP_STORAGE, parse_query([("q", "é=x"), ("count", "true"), ("replyWithCount", "true")]))
