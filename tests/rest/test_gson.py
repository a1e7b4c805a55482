"""Bodies as Gson reads them, strict JSON or not, and its error messages (wire-protocol 1.4)."""

from __future__ import annotations

import pytest

from imagestore_sim.rest.binding import parse_body
from imagestore_sim.rest.errors import PlainError
from rows import rows

NOT_AN_OBJECT = "java.lang.IllegalStateException: Expected BEGIN_OBJECT but was {} at line 1 column {} path $"
MALFORMED = "com.google.gson.stream.MalformedJsonException: {} at line 1 column {} path {}"
NOT_LENIENT = "com.google.gson.stream.MalformedJsonException: Use JsonReader.setLenient(true) to accept malformed JSON"
NOT_LENIENT += " at line {} column {} path $"
END = "java.io.EOFException: End of input at line {} column {} path {}"


@rows("raw", ["", "  \n", "null", " null ", "NULL", "// nothing", "/* nothing */ # at all"])
def test_an_absent_body_is_none(raw: str) -> None:
    assert parse_body(raw.encode()) is None


@rows(
    ("raw", "body"),
    [
        ("{}", {}),
        ("[]", {}),
        ('[["a", 1]]', {"a": 1}),
        ('{"a": {"b": [1, 2.5, "c", true, null]}}', {"a": {"b": [1, 2.5, "c", True, None]}}),
        ("{a: 'b', \"c\": d}", {"a": "b", "c": "d"}),
        ("{a=1; b=>2}", {"a": 1, "b": 2}),
        ("{'a': TRUE, 'b': False, 'c': Null}", {"a": True, "b": False, "c": None}),
        ("{a: [1,,2,]}", {"a": [1, None, 2, None]}),
        ("{a: 007, b: NaN, c: 1e3}", {"a": "007", "b": "NaN", "c": 1000.0}),
        ("{a: 99999999999999999999}", {"a": 1e20}),
        ("{/* c */ a: // c\n 1 # c\n}", {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        (r"{'a': 'tab\t \u00e9 \/ \''}", {"a": "tab\t é / '"}),
        (r'{"a": "\ud83c\udf35"}', {"a": "\N{CACTUS}"}),
        (r'{"a": "\ud800"}', {"a": "?"}),
        (
            '{"systemTags": ["a"], "params": {"systemTags": ["b"]}}',
            {"systemTags": ["a"], "params": {"systemTags": ["b"]}},
        ),
        ('{"a": {"x": 1, "x": 2}, "b": "\\\\"}', {"a": {"x": 2}, "b": "\\"}),
    ],
)
def test_every_text_that_gson_reads_is_read(raw: str, body: object) -> None:
    assert parse_body(raw.encode()) == body


@rows(
    ("raw", "text"),
    [
        ("abc", NOT_AN_OBJECT.format("STRING", 1)),
        ('"abc"', NOT_AN_OBJECT.format("STRING", 2)),
        ("5", NOT_AN_OBJECT.format("NUMBER", 2)),
        ("1.5", NOT_AN_OBJECT.format("NUMBER", 1)),
        ("true", NOT_AN_OBJECT.format("BOOLEAN", 5)),
        ("[1]", "java.lang.IllegalStateException: Expected BEGIN_ARRAY but was NUMBER at line 1 column 3 path $[0]"),
        ('{"a":1', END.format(1, 7, "$.")),
        ('{\n"a":[1', END.format(2, 7, "$.[1]")),
        ('{"a":1,}', MALFORMED.format("Expected name", 9, "$.")),
        ("{,}", MALFORMED.format("Expected name", 3, "$.")),
        ('{"a" 1}', MALFORMED.format("Expected ':'", 7, "$.")),
        ('{"a":}', MALFORMED.format("Expected value", 6, "$.")),
        ('{"a":1 2}', MALFORMED.format("Unterminated object", 9, "$.")),
        ('{"a":[1 2]}', MALFORMED.format("Unterminated array", 10, "$.[1]")),
        ('{"a":"x', MALFORMED.format("Unterminated string", 8, "$.")),
        ('{"a":"\\q"}', MALFORMED.format("Invalid escape sequence", 9, "$.")),
        ('{"a":"\\uzzzz"}', "java.lang.NumberFormatException: \\uzzzz"),
        ("{a:1 /* open", MALFORMED.format("Unterminated comment", 13, "$.")),
        ('{"a":1,"a":2}', "duplicate key: a"),
        ('{"a":1,"\\u0061":2}', "duplicate key: a"),
        ("{} x", NOT_LENIENT.format(1, 5)),
        ('{"a":1}#c', NOT_LENIENT.format(1, 9)),
        ('{"a":1}//c', NOT_LENIENT.format(1, 9)),
        ('{"a":1}/* c */', NOT_LENIENT.format(1, 9)),
        ('{"a":1}\n\t}', NOT_LENIENT.format(2, 3)),
        ('{"a":1}{"a":2}', NOT_LENIENT.format(1, 9)),
        ("[] ]", NOT_LENIENT.format(1, 5)),
        ('{"a":' + "[" * 2000, "java.lang.StackOverflowError"),
    ],
)
def test_a_text_that_gson_refuses_is_refused_with_its_message(raw: str, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        parse_body(raw.encode())
    assert (caught.value.status, caught.value.text) == (500, text)


def test_bytes_that_are_not_utf8_do_not_stop_the_reader() -> None:
    assert parse_body(b'{"a": "\xff"}') == {"a": "\ufffd"}
