"""The parser of the query language, whose errors have the texts of ZStack's, which ANTLR generates."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from imagestore_sim.query import QueryError
from imagestore_sim.query.language.parser import parse
from imagestore_sim.query.language.statements import Chain, Comparison, Literal, statements
from imagestore_sim.query.language.tokens import STRING
from rows import rows


def message(text: str) -> str:
    with pytest.raises(QueryError) as refused:
        statements(text)
    return str(refused.value.message)


@rows(
    ("text", "expected"),
    [
        ("query", "error mismatched input '<EOF>' expecting ID at line 1:5, quer"),
        ("foo", "error mismatched input 'foo' expecting {'query', 'count', 'sum', 'search'} at line 1:0, fo"),
        ("query zone where", "error mismatched input '<EOF>' expecting {'(', ID} at line 1:16, zone wher"),
        ("query zone where name", "error no viable alternative at input 'name' at line 1:21, where nam"),
        ("query zone where name 'a'", "error no viable alternative at input 'name'a'' at line 1:22, here name 'a"),
        ("query zone where (name='a'", "error missing ')' at '<EOF>' at line 1:26,  (name='a"),
        ("query zone where name='a')", "error extraneous input ')' expecting {<EOF>, ';'} at line 1:25, e name='a'"),
        ("query zone where 1=1", "error mismatched input '1' expecting {'(', ID} at line 1:17, one where 1="),
        ("query zone where true", "error mismatched input 'true' expecting {'(', ID} at line 1:17, one where tru"),
        (
            "query zone where name='a' AND state='b'",
            "error no viable alternative at input 'ANDstate' at line 1:30, e='a' AND state='b",
        ),
        ("query zone where name='a' and", "error mismatched input '<EOF>' expecting {'(', ID} at line 1:29, me='a' an"),
        ("query zone where name in ()", "error mismatched input ')' expecting {'(', ID} at line 1:26,  name in ("),
        (
            "query zone where name in ('a'",
            "error mismatched input '<EOF>' expecting {',', ')'} at line 1:29, me in ('a",
        ),
        ("query zone where name in (a)", "error no viable alternative at input 'a)' at line 1:27, name in (a"),
        (
            "query zone where name between 'a' and 'b'",
            "error no viable alternative at input 'namebetween' at line 1:22, here name between 'a",
        ),
        ("query zone where name<>'a'", "error mismatched input '>' expecting {<EOF>, ';'} at line 1:22, here name<>'a"),
        ("query zone where name=?", "error token recognition error at: '?' at line 1:22, here name="),
        ("query zone where name!x", "error token recognition error at: '!x' at line 1:21, where name!"),
        (
            "query zone where uuid in (query zone where name='a')",
            "error mismatched input 'where' expecting '.' at line 1:37, uery zone where name",
        ),
        (
            "query zone where uuid in (query zone.uuid,name)",
            "error mismatched input ',' expecting ')' at line 1:41,  zone.uuid,name",
        ),
        ("query zone order by", "error mismatched input '<EOF>' expecting {'(', ID} at line 1:19, e order b"),
        ("query zone order by name", "error missing ORDER_BY_VALUE at '<EOF>' at line 1:24, er by nam"),
        (
            "query zone order by name ASC",
            "error mismatched input 'ASC' expecting ORDER_BY_VALUE at line 1:25, r by name AS",
        ),
        ("query zone order by name asc,", "error mismatched input '<EOF>' expecting {'(', ID} at line 1:29,  name asc"),
        ("query zone order by name asc limit 1 offset", "error missing INT at '<EOF>' at line 1:43, t 1 offse"),
        ("query zone limit x", "error mismatched input 'x' expecting INT at line 1:17, one limit "),
        ("query zone limit 1.5", "error mismatched input '1.5' expecting INT at line 1:17, one limit 1."),
        (
            "query zone offset 1 limit 1",
            "error mismatched input 'limit' expecting {<EOF>, ';'} at line 1:20,  offset 1 limit ",
        ),
        (
            "query zone order by name asc return with (total)",
            "error mismatched input 'return with' expecting {<EOF>, ';'} at line 1:29,  name asc return wit",
        ),
        ("query zone return with total", "error missing '(' at 'total' at line 1:23, turn with tota"),
        ("query zone return with ()", "error mismatched input ')' expecting ID at line 1:24, urn with ("),
        (
            "query zone return with (a{b)",
            "error extraneous input '<EOF>' expecting {';', '.', ',', '=', '!=', '>', '>=', '<', '<=', 'is null', 'is not null', 'in', 'not in', 'like', 'not like', 'has', 'not has', '(', ')', 'list(', '{', '}', 'by', '*', '/', '%', '+', '-', '--', 'inner', 'left', 'right', 'join', 'on', 'filter by', 'offset', 'limit', 'query', 'getapi', 'count', 'sum', 'search', 'order by', 'group by', 'named as', ORDER_BY_VALUE, 'restrict by', 'return with', 'where', 'from', 'and', 'or', 'asc', 'desc', 'api', 'output', BOOLEAN, INT, FLOAT, ID, WS, STRING} at line 1:28, with (a{b",
        ),
        ("query zone filter by x", "error mismatched input '<EOF>' expecting '{' at line 1:22, ilter by "),
        ("query zone filter by x{a}, y", "error mismatched input '<EOF>' expecting '{' at line 1:28, by x{a}, "),
        ("query zone named as x", "error mismatched input 'x' expecting STRING at line 1:20,  named as "),
        ("query zone group by", "error missing ID at '<EOF>' at line 1:19, e group b"),
        ("query zone.", "error no viable alternative at input 'zone.' at line 1:11, uery zone"),
        ("query zone.name,", "error extraneous input ',' expecting {<EOF>, ';'} at line 1:15,  zone.name"),
        ("query zone.name,state.x", "error mismatched input '.' expecting {<EOF>, ';'} at line 1:21, name,state."),
        ("query zone.max(name)", "error no viable alternative at input 'zone.max(' at line 1:14, y zone.max(name"),
        ("query max(zone", "error missing ')' at '<EOF>' at line 1:14, y max(zon"),
        (
            "query distinct zone.name",
            "error mismatched input 'zone' expecting {<EOF>, ';'} at line 1:15,  distinct zone.nam",
        ),
        (
            "QUERY zone",
            "error mismatched input 'QUERY' expecting {'query', 'count', 'sum', 'search'} at line 1:0, QUERY zon",
        ),
        ("sum zone.name", "error no viable alternative at input 'zone.name' at line 1:13,  zone.nam"),
        ("sum zone.name by", "error missing ID at '<EOF>' at line 1:16, ne.name b"),
        (
            "sum zone.name by state group by state",
            "error mismatched input 'group by' expecting {<EOF>, ';'} at line 1:23,  by state group by s",
        ),
        (
            "count zone return with (total)",
            "error mismatched input 'return with' expecting {<EOF>, ';'} at line 1:11, ount zone return wit",
        ),
        ("search zone", "error mismatched input 'zone' expecting STRING at line 1:7, search zon"),
        ("search 'a' from", "error mismatched input '<EOF>' expecting ID at line 1:15, h 'a' fro"),
        (
            "query zone;; query zone",
            "error extraneous input ';' expecting {'query', 'count', 'sum', 'search'} at line 1:11, uery zone;; query zo",
        ),
        (
            "query zone where name='a' -- c",
            "error mismatched input '--' expecting {<EOF>, ';'} at line 1:26,  name='a' -- ",
        ),
        ("query zone restrict by zone.uuid='x'", "error missing '(' at 'zone' at line 1:23, strict by zone.uuid="),
        (
            "query zone restrict by (zone.uuid='x'",
            "error mismatched input '<EOF>' expecting {',', ')'} at line 1:37, e.uuid='x",
        ),
        ("query zone inner join", "error mismatched input '<EOF>' expecting ID at line 1:21, inner joi"),
        (
            "query zone left join cluster on",
            "error mismatched input '<EOF>' expecting {'(', ID} at line 1:31, cluster o",
        ),
        (
            "query zone where name = getapi(api='X')",
            "error mismatched input ')' expecting ',' at line 1:38, pi(api='X'",
        ),
        (
            "query zone where name = getapi(api='X', output='y', z=1",
            "error extraneous input '<EOF>' expecting {',', ')'} at line 1:55, t='y', z=",
        ),
        ("query zone where a and b", "error no viable alternative at input 'aand' at line 1:19, e where a and "),
        ("query zone order by (a,b asc", "error no viable alternative at input 'basc' at line 1:25, r by (a,b as"),
        ("query zone order by a*1 asc", "error mismatched input '1' expecting {'(', ID} at line 1:22, rder by a*1 as"),
        ("query zone where é='a'", "error token recognition error at: 'é' at line 1:17, one where é='a"),
    ],
)
def test_a_mistake_has_the_error_text_of_antlr(text: str, expected: str) -> None:
    assert message(text) == expected


@rows(
    ("text", "expected"),
    [
        ("query zone where name='a", "offset 22, count 3, length 24"),
        ("query zone where name='a\\'b'", "offset 27, count 2, length 28"),
        ("query zone where name!", "offset 21, count 2, length 22"),
        ("", "begin 0, end -1, length 0"),
        ("'a", "error token recognition error at: ''a' at line 1:0, '"),
    ],
)
def test_where_antlr_cannot_quote_java_throws(text: str, expected: str) -> None:
    assert message(text) == expected


def test_and_and_or_are_right_associative() -> None:
    (statement,) = statements("query zone where a=1 or b=2 and (c=3 or d=4) and e=5")
    (where,) = statement.where
    assert isinstance(where, Chain)
    assert [joint for joint, _ in where.others] == ["or", "and", "and"]
    assert isinstance(where.others[1][1], Chain)
    assert isinstance(where.first, Comparison)


@rows(("value", "text"), [("'it''s'", "'it''s'"), ("'a\\'", "'a\\'"), ("'order by x'", "'order by x'"), ("''", "''")])
def test_a_string_is_one_token(value: str, text: str) -> None:
    (statement,) = statements(f"query zone where name={value}")
    assert statement.where == (Comparison(("name",), "=", Literal(STRING, text)),)


def test_clauses_are_read() -> None:
    (one, two) = statements(
        "query zone.name,uuid where a=1 restrict by (zone.uuid='x', b='y') return with (total, zwatch{x{y}})"
        " group by name order by name asc,uuid-name desc limit 3 offset 4294967297 named as 'n';count zone;"
    )
    assert (one.target.fields, one.returned, one.group_by) == (("name", "uuid"), ("total", "zwatch"), ("name",))
    assert [(order.text, order.descending) for order in one.order_by] == [("name", False), ("uuid-name", True)]
    assert (one.limit, one.offset, one.name) == (3, 1, "n")
    assert [(restriction.entity, restriction.field) for restriction in one.restrictions] == [
        ("zone", "uuid"),
        (None, "b"),
    ]
    assert (two.verb, two.target.entity, two.limit) == ("count", "zone", None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "query zone where " + " and ".join(f"name != '{number}'" for number in range(2000)), id="conditions"
        ),
        pytest.param(
            "query zone where name in (" + ",".join(f"'{number}'" for number in range(4000)) + ")",
            marks=pytest.mark.thorough,
            id="values",
        ),
        pytest.param("query zone where " + "(" * 5000, id="brackets"),
        pytest.param("query zone return with (a" + "{" * 2000, marks=pytest.mark.thorough, id="braces"),
    ],
)
def test_time_grows_with_the_text(text: str) -> None:
    began = time.thread_time()
    with suppress(QueryError):
        parse(text)
    assert time.thread_time() - began < 2
