"""JSON and dates as ZStack writes them (wire-protocol 4.3)."""

from __future__ import annotations

from datetime import datetime

from imagestore_sim.rest.encoding import (
    FEW,
    ROWS_OF_A_PIECE,
    list_schema,
    to_json,
    to_plain_json,
    work_of,
    write_stored_date,
)
from imagestore_sim.tasks import BYTES_OF_A_ROW, LARGE
from imagestore_sim.units import write_date
from rows import rows


@rows(
    ("moment", "text"),
    [
        (datetime(2017, 11, 14, 22, 20, 57), "Nov 14, 2017 10:20:57 PM"),
        (datetime(2017, 11, 5, 8, 5, 4), "Nov 5, 2017 8:05:04 AM"),
        (datetime(2020, 1, 1, 0, 0, 0), "Jan 1, 2020 12:00:00 AM"),
        (datetime(2020, 12, 31, 12, 0, 9), "Dec 31, 2020 12:00:09 PM"),
        (datetime(2024, 2, 29, 23, 59, 59), "Feb 29, 2024 11:59:59 PM"),
    ],
)
def test_a_date_is_written_in_english_with_only_minutes_and_seconds_padded(moment: datetime, text: str) -> None:
    assert write_date(moment) == text
    assert write_stored_date(moment.isoformat(sep=" ")) == text


@rows(
    ("text", "escaped"),
    [
        ("a<b>c", b'"a\\u003cb\\u003ec"'),
        ("x=1&y='2'", b'"x\\u003d1\\u0026y\\u003d\\u00272\\u0027"'),
        ("镜像", '"镜像"'.encode()),
        ('say "hi"', b'"say \\"hi\\""'),
        ("plain", b'"plain"'),
    ],
)
def test_success_bodies_are_safe_in_html_and_otherwise_raw_utf8(text: str, escaped: bytes) -> None:
    assert to_json({"text": text}) == b'{"text":%b}' % escaped


LONG = LARGE // BYTES_OF_A_ROW


@rows(
    "count", [0, 1, LONG - 1, LONG, ROWS_OF_A_PIECE, ROWS_OF_A_PIECE + 1, 2 * ROWS_OF_A_PIECE, 2 * ROWS_OF_A_PIECE + 1]
)
def test_long_lists_and_mappings_are_written_as_short_ones(count: int) -> None:
    inventories: list[object] = [{"name": f"<{number}>", "tags": [number, None, {}]} for number in range(count)]
    schema = {f"inventories[{number}]": "a.b.C" for number in reversed(range(count))}
    one = {"inventories": inventories, "total": count, "schema": schema, "none": None, "empty": [[], {}, "=", [1, "="]]}
    for body in (one, {"results": [one, {}, one]}, {"results": [one] * (FEW + 1)}):
        assert to_json(body) == html_safe(to_plain_json(body))


def html_safe(plain: bytes) -> bytes:
    return plain.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"=", b"\\u003d")


def test_the_work_of_an_answer_is_that_of_its_rows() -> None:
    rows: list[object] = [{}] * 10
    assert work_of({"total": 10, "schema": {"a": "b"}}) == 0
    assert work_of({"inventories": rows, "total": 10}) == 10 * BYTES_OF_A_ROW
    assert work_of({"results": [{"inventories": rows, "total": 3}] * 2}) == (2 + 20) * BYTES_OF_A_ROW
    assert work_of({"results": ["text"]}) == BYTES_OF_A_ROW


def test_errors_of_synchronous_calls_are_not_escaped() -> None:
    assert to_plain_json({"details": "a=b"}) == b'{"details":"a=b"}'


def test_capacities_are_written_as_integers() -> None:
    assert to_json({"totalCapacity": 1099511627776}) == b'{"totalCapacity":1099511627776}'


def test_the_schema_of_a_list_names_its_last_element_first() -> None:
    assert list(list_schema("inventories", ["a", "b"]).items()) == [("inventories[1]", "b"), ("inventories[0]", "a")]
