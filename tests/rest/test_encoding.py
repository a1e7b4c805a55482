"""JSON and dates as ZStack writes them (wire-protocol 4.3)."""

from __future__ import annotations

from datetime import datetime

from imagestore_sim.rest.encoding import ROWS_OF_A_PIECE, list_schema, to_json, to_plain_json, write_stored_date
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


@rows("count", [0, 1, ROWS_OF_A_PIECE, ROWS_OF_A_PIECE + 1, 2 * ROWS_OF_A_PIECE, 2 * ROWS_OF_A_PIECE + 1])
def test_long_lists_and_mappings_are_written_as_short_ones(count: int) -> None:
    inventories: list[object] = [{"name": f"<{number}>", "tags": [number, None, {}]} for number in range(count)]
    schema = {f"inventories[{number}]": "a.b.C" for number in reversed(range(count))}
    body = {"inventories": inventories, "total": count, "schema": schema, "empty": [], "none": None}
    plain = to_plain_json(body)
    assert to_json(body) == plain.replace(b"<", b"\\u003c").replace(b">", b"\\u003e")


def test_errors_of_synchronous_calls_are_not_escaped() -> None:
    assert to_plain_json({"details": "a=b"}) == b'{"details":"a=b"}'


def test_capacities_are_written_as_integers() -> None:
    assert to_json({"totalCapacity": 1099511627776}) == b'{"totalCapacity":1099511627776}'


def test_the_schema_of_a_list_names_its_last_element_first() -> None:
    assert list(list_schema("inventories", ["a", "b"]).items()) == [("inventories[1]", "b"), ("inventories[0]", "a")]
