"""Which values of which types pass, in bodies and in query strings (wire-protocol 1.4, 5.3)."""

from __future__ import annotations

from typing import Annotated

import pytest
from simulator.rest.binding import bind_body, bind_path, bind_query_string, parse_body
from simulator.rest.errors import PlainError
from simulator.rest.messages import AsyncMessage
from simulator.rest.parameters import Rule


class APIBindEverythingMsg(AsyncMessage, method="POST", path="/everything/{uuid}", package="org.example"):
    """A message with a field of each kind."""

    uuid: str | None = None
    text: str | None = None
    port: int | None = None
    size: Annotated[int | None, Rule(long=True)] = None
    flag: bool = False
    names: list[str] | None = None
    info: dict[str, str] | None = None


API = APIBindEverythingMsg.api
EXPECTED = "java.lang.IllegalStateException: Expected BEGIN_OBJECT but was {} at {}"


@pytest.mark.parametrize("raw", [b"", b"  \n", b"null"])
def test_an_absent_body_is_none(raw: bytes) -> None:
    assert parse_body(raw) is None


def test_an_empty_list_is_an_empty_object() -> None:
    assert parse_body(b"[]") == {}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"abc", EXPECTED.format("STRING", "line 1 column 1 path $")),
        (b'"abc"', EXPECTED.format("STRING", "line 1 column 1 path $")),
        (b"5", EXPECTED.format("NUMBER", "line 1 column 1 path $")),
        (
            b"[1]",
            EXPECTED.format("BEGIN_ARRAY", "line 1 column 1 path $"),
        ),
    ],
)
def test_a_body_that_is_no_object_is_refused_in_gson_s_words(raw: bytes, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        parse_body(raw)
    assert (caught.value.status, caught.value.text) == (500, text)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"a":1', "java.io.EOFException: End of input at line 1"),
        (b'{"a":1,}', "com.google.gson.stream.MalformedJsonException: "),
        (b'{"a" 1}', "com.google.gson.stream.MalformedJsonException: "),
    ],
)
def test_malformed_json_is_a_500_that_says_where(raw: bytes, kind: str) -> None:
    with pytest.raises(PlainError) as caught:
        parse_body(raw)
    assert caught.value.status == 500
    assert caught.value.text.startswith(kind)
    assert "line 1 column" in caught.value.text


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ({"port": 22}, {"port": 22}),
        ({"port": 22.0}, {"port": 22}),
        ({"port": "22"}, {"port": 22}),
        ({"port": "1e3"}, {"port": 1000}),
        ({"port": None}, {}),
        ({"size": "1099511627776"}, {"size": 1099511627776}),
        ({"text": 5}, {"text": "5"}),
        ({"text": True}, {"text": "true"}),
        ({"flag": "TRUE"}, {"flag": True}),
        ({"flag": False}, {"flag": False}),
        ({"names": ["a", 1]}, {"names": ["a", "1"]}),
        ({"info": {"k": "v"}}, {"info": {"k": "v"}}),
        ({"unknown": 1}, {}),
    ],
)
def test_values_of_a_body_are_converted_as_gson_would(given: dict[str, object], bound: dict[str, object]) -> None:
    assert bind_body(API, {"params": given}) == bound


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        ({"port": "abc"}, 400, "[port] field is excepted an int or long, but was [abc]."),
        ({"port": 1.5}, 400, "[port] field is excepted an int or long, but was [1.5]."),
        ({"port": True}, 400, "[port] field is excepted an int or long, but was [true]."),
        ({"port": "NaN"}, 400, "[port] field is excepted an int or long, but was [NaN]."),
        ({"port": "1e999999"}, 400, "[port] field is excepted an int or long, but was [1e999999]."),
        ({"port": 3000000000}, 500, "3000000000 is Integer overflow, Integer.MAX_VALUE is 2147483647"),
        (
            {"flag": "yes"},
            400,
            "Invalid value for boolean field [flag], [yes] is not a valid boolean string[true, false].",
        ),
        (
            {"names": "a"},
            500,
            "java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at path $.names",
        ),
        (
            {"text": {}},
            500,
            "java.lang.IllegalStateException: Expected a string but was BEGIN_OBJECT at path $.text",
        ),
        (
            {"info": []},
            500,
            EXPECTED.format("BEGIN_ARRAY", "path $.info"),
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_at_once(given: dict[str, object], status: int, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        bind_body(API, {"params": given})
    assert (caught.value.status, caught.value.text) == (status, text)


@pytest.mark.parametrize("body", [None, {}, {"params": None}, {"params": {}}, {"other": 1}])
def test_absent_parameters_leave_the_defaults(body: dict[str, object] | None) -> None:
    assert bind_body(API, body) == {}


def test_parameters_that_are_no_object_are_refused() -> None:
    with pytest.raises(PlainError, match=r"java\.util\.ArrayList cannot be cast to java\.util\.Map"):
        bind_body(API, {"params": []})


def test_tags_beside_the_parameters_win_over_tags_among_them() -> None:
    assert bind_body(API, {"params": {"systemTags": ["in"]}, "systemTags": ["top"]}) == {"systemTags": ["top"]}
    assert bind_body(API, {"params": {"userTags": ["in"]}}) == {"userTags": ["in"]}
    with pytest.raises(PlainError, match=r"java\.lang\.String cannot be cast to java\.util\.List"):
        bind_body(API, {"systemTags": "x"})


@pytest.mark.parametrize(
    ("pairs", "bound"),
    [
        ([("text", "a b")], {"text": "a b"}),
        ([("port", "1.9")], {"port": 1}),
        ([("flag", "yes")], {"flag": False}),
        ([("flag", "True")], {"flag": True}),
        ([("names", "a"), ("names", "b")], {"names": ["a", "b"]}),
        ([("names.1", "b"), ("names.0", "a")], {"names": ["a", "b"]}),
        ([("info.k", "v")], {"info": {"k": "v"}}),
        ([("nosuch", "1")], {}),
    ],
)
def test_values_of_a_query_string_are_converted(pairs: list[tuple[str, str]], bound: dict[str, object]) -> None:
    assert bind_query_string(API, pairs) == bound


@pytest.mark.parametrize(
    ("pairs", "status", "text"),
    [
        (
            [("text", "a"), ("text", "b")],
            400,
            "Invalid query parameter[text], only one value is allowed for the parameter but multiple values found",
        ),
        ([("port", "abc")], 500, 'For input string: "abc"'),
        (
            [("info.k", "a"), ("info.k", "b")],
            400,
            "duplicate map query parameter[info.k], there has been a parameter with the same map key",
        ),
    ],
)
def test_a_query_string_that_cannot_be_bound_is_refused(pairs: list[tuple[str, str]], status: int, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        bind_query_string(API, pairs)
    assert (caught.value.status, caught.value.text) == (status, text)


def test_the_path_wins_over_the_body() -> None:
    assert bind_path(API, {"uuid": "from-path"}, {"uuid": "from-body"}) == {"uuid": "from-path"}
