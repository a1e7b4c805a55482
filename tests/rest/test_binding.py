"""Conversion of values in bodies and in query strings (wire-protocol 1.4, 5.3)."""

from __future__ import annotations

from typing import Annotated

import pytest

from imagestore_sim.rest.binding import bind_body, bind_fields, bind_path, bind_query_string, bind_tags, strings
from imagestore_sim.rest.errors import ApiError, PlainError
from imagestore_sim.rest.messages import AsyncMessage
from imagestore_sim.rest.parameters import Rule
from rows import rows


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


@rows(
    ("given", "bound"),
    [
        ({"port": 22}, {"port": 22}),
        ({"port": 22.0}, {"port": 22}),
        ({"port": "22"}, {"port": 22}),
        ({"port": "1e3"}, {"port": 1000}),
        ({"port": " 22\t"}, {"port": 22}),
        ({"port": "+22.d"}, {"port": 22}),
        ({"port": None}, {}),
        ({"size": "1099511627776"}, {"size": 1099511627776}),
        ({"text": 5}, {"text": "5"}),
        ({"text": True}, {"text": "true"}),
        ({"flag": "TRUE"}, {"flag": True}),
        ({"flag": False}, {"flag": False}),
        ({"names": ["a", 1]}, {"names": ["a", "1"]}),
        ({"info": {"k": "v"}}, {"info": {"k": "v"}}),
        ({"unknown": 1}, {}),
        ({"timeout": 5, "headers": {}, "clientIp": 1}, {}),
    ],
)
def test_values_of_a_body_are_converted_as_gson_would(given: dict[str, object], bound: dict[str, object]) -> None:
    assert bind_body(API, {"params": given}, "params") == bound


@rows(
    ("given", "status", "text"),
    [
        ({"timeout": "abc"}, 500, 'java.lang.NumberFormatException: For input string: "abc"'),
        (
            {"createdTime": 1.5},
            500,
            "java.lang.NumberFormatException: Expected a long but was 1.5 at line 1 column 19 path $.createdTime",
        ),
        ({"session": "abc"}, 500, EXPECTED.format("STRING", "line 1 column 13 path $.session")),
        ({"headers": []}, 500, EXPECTED.format("BEGIN_ARRAY", "line 1 column 13 path $.headers")),
        ({"port": "abc"}, 400, "[port] field is excepted an int or long, but was [abc]."),
        ({"port": 1.5}, 400, "[port] field is excepted an int or long, but was [1.5]."),
        ({"port": True}, 400, "[port] field is excepted an int or long, but was [true]."),
        ({"port": "NaN"}, 400, "[port] field is excepted an int or long, but was [NaN]."),
        ({"port": "2_2"}, 400, "[port] field is excepted an int or long, but was [2_2]."),
        ({"port": "\u0662\u0662"}, 400, "[port] field is excepted an int or long, but was [\u0662\u0662]."),
        ({"port": "\uff12\uff12"}, 400, "[port] field is excepted an int or long, but was [\uff12\uff12]."),
        ({"port": "22\u00a0"}, 400, "[port] field is excepted an int or long, but was [22\u00a0]."),
        ({"timeout": "1_0"}, 500, 'java.lang.NumberFormatException: For input string: "1_0"'),
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
            "java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at line 1 column 11 path $.names",
        ),
        (
            {"text": {}},
            500,
            "java.lang.IllegalStateException: Expected a string but was BEGIN_OBJECT at line 1 column 10 path $.text",
        ),
        (
            {"info": []},
            500,
            EXPECTED.format("BEGIN_ARRAY", "line 1 column 10 path $.info"),
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_at_once(given: dict[str, object], status: int, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        bind_body(API, {"params": given}, "params")
    assert (caught.value.status, caught.value.text) == (status, text)


@rows("body", [None, {}, {"params": None}, {"params": {}}, {"other": 1}])
def test_absent_parameters_leave_the_defaults(body: dict[str, object] | None) -> None:
    assert bind_body(API, body, "params") == {}


def test_parameters_that_are_not_an_object_are_refused() -> None:
    with pytest.raises(PlainError, match=r"java\.util\.ArrayList cannot be cast to java\.util\.Map"):
        bind_body(API, {"params": []}, "params")


def test_top_level_tags_are_bound_separately() -> None:
    assert bind_tags({"params": {"systemTags": ["in"]}, "systemTags": ["top"]}) == {"systemTags": ["top"]}
    assert bind_tags({"systemTags": None, "userTags": [5]}) == {"userTags": ["5"]}
    assert bind_tags(None) == {}
    with pytest.raises(PlainError, match=r"java\.lang\.String cannot be cast to java\.util\.List"):
        bind_tags({"systemTags": "x"})


@rows(
    ("pairs", "bound"),
    [
        ([("text", "a b")], {"text": "a b"}),
        ([("port", "1.9")], {"port": 1}),
        ([("port", "-1.9")], {"port": -1}),
        ([("port", "1e99")], {"port": 2**31 - 1}),
        ([("size", "-1e99")], {"size": -(2**63)}),
        ([("flag", "yes")], {"flag": False}),
        ([("flag", "True")], {"flag": True}),
        ([("names", "a"), ("names", "b")], {"names": ["a", "b"]}),
        ([("names.1", "b"), ("names.0", "a")], {"names": ["a", "b"]}),
        ([("names.\u0660", "a")], {}),
        ([("info.k", "v")], {"info": {"k": "v"}}),
        ([("nosuch", "1")], {}),
    ],
)
def test_values_of_a_query_string_are_converted(pairs: list[tuple[str, str]], bound: dict[str, object]) -> None:
    assert bind_query_string(API, pairs) == bound


@rows(
    ("pairs", "status", "text"),
    [
        (
            [("text", "a"), ("text", "b")],
            400,
            "Invalid query parameter[text], only one value is allowed for the parameter but multiple values found",
        ),
        ([("port", "abc")], 500, 'For input string: "abc"'),
        ([("port", "1_0")], 500, 'For input string: "1_0"'),
        ([("port", "")], 500, "empty String"),
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


def test_values_of_the_path_replace_those_of_the_body() -> None:
    assert bind_path(API, {"uuid": "from-path"}, {"uuid": "from-body"}) == {"uuid": "from-path"}


@rows(
    ("given", "bound"),
    [({"port": "22"}, {"port": 22}), ({"flag": "yes"}, {"flag": False}), ({"flag": "True"}, {"flag": True})],
)
def test_only_gson_checks_the_fields_of_a_whole_message(given: dict[str, object], bound: dict[str, object]) -> None:
    assert bind_fields(API, given) == bound


@rows(
    ("given", "text"),
    [
        ({"port": "abc"}, 'java.lang.NumberFormatException: For input string: "abc"'),
        ({"flag": 1}, "java.lang.IllegalStateException: Expected BOOLEAN but was NUMBER at path $.flag"),
    ],
)
def test_a_value_that_gson_cannot_convert_is_refused_with_its_message(given: dict[str, object], text: str) -> None:
    with pytest.raises(PlainError) as caught:
        bind_fields(API, given)
    assert (caught.value.status, caught.value.text) == (500, text)


@rows(
    ("method", "body", "milliseconds"),
    [
        ("POST", {"params": {"timeout": 5}}, 5),
        ("POST", {"params": {"timeout": "1e3"}}, 1000),
        ("POST", {"params": {"timeout": 0}}, 0),
        ("POST", {"params": {"timeout": -7}}, -7),
        ("POST", {"params": {"timeout": -1}}, None),  # what ZStack takes for none
        ("POST", {"params": {"timeout": None}}, None),
        ("POST", {"timeout": 5}, None),
        ("POST", {"params": {}}, None),
        ("POST", None, None),
        ("PUT", {"bindEverything": {"timeout": 5}, "params": {"timeout": 6}}, 5),
        ("DELETE", {"params": {"timeout": 5}}, None),
    ],
)
def test_the_parameters_may_give_a_timeout(
    method: str, body: dict[str, object] | None, milliseconds: int | None
) -> None:
    assert APIBindEverythingMsg.timeout_in(method, body) == milliseconds


@rows(
    ("tag", "java_class"),
    [
        (1, "java.lang.Long"),
        (1.5, "java.lang.Double"),
        (True, "java.lang.Boolean"),
        (["a"], "java.util.ArrayList"),
        ({"a": 1}, "com.google.gson.internal.LinkedTreeMap"),
    ],
)
def test_a_top_level_tag_that_is_not_a_string_fails_only_when_it_is_read(tag: object, java_class: str) -> None:
    bound = bind_tags({"systemTags": ["a", tag, "b"]})["systemTags"]
    assert isinstance(bound, list)
    read = strings(bound)
    assert next(read) == "a"
    with pytest.raises(ApiError) as refused:
        next(read)
    assert (refused.value.error.code, refused.value.error.details) == (
        "SYS.1000",
        f"{java_class} cannot be cast to java.lang.String",
    )
