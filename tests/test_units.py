"""Durations, sizes and shares are read as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.units import parse_amount, parse_bytes, parse_seconds, parse_signed_seconds
from rows import rows


@rows(
    ("text", "seconds"),
    [("90s", 90), ("2m30s", 150), ("1.5h", 5400), ("250ms", 0.25), ("1d", 86400), (7, 7), ("0s", 0)],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@rows(
    ("text", "size"),
    [
        ("1 TiB", 2**40),
        ("512M", 512 * 2**20),
        ("10 GB", 10**10),
        ("1.5G", 3 * 2**29),
        ("7", 7),
        (9, 9),
        ("64KiB", 65536),
    ],
)
def test_sizes_are_read_as_people_write_them(text: object, size: int) -> None:
    assert parse_bytes(text) == size
    assert parse_amount(text).of(1) == size


def test_every_parameter_reads_a_duration_of_either_sign() -> None:
    values: dict[Any, float] = {"-20m": -1200, "90s": 90, -5: -5, 0: 0, "-1.5h": -5400}
    assert {text: parse_signed_seconds(text) for text in values} == values
    with pytest.raises(ValueError, match="no duration"):
        parse_signed_seconds("--1s")


@rows(("parse", "text"), [
    (parse_bytes, "9" * 400), (parse_bytes, "9" * 5000), (parse_bytes, "9" * 400 + ".5 TiB"), (parse_bytes, 10**400),
    (parse_amount, "9" * 400 + ".5"), (parse_amount, "9" * 400 + "%"), (parse_seconds, "9" * 5000 + "s"),
    (parse_seconds, 10**400), (parse_signed_seconds, -(10**400)), (parse_seconds, "9" * 500_000),
    (parse_seconds, "1s" * 100_000 + "9" * 100_000), (parse_seconds, " "),
])  # fmt: skip
def test_a_number_of_any_length_is_refused_in_a_line(parse: Any, text: object) -> None:
    with pytest.raises(ValueError, match=r"largest size|no duration|neither a share|more than 100%") as caught:
        parse(text)
    assert len(str(caught.value)) < 250


@rows(("parse", "text"), [
    (parse_seconds, "\u0663m"), (parse_seconds, "3\u00a0m"), (parse_seconds, "3m\u00a0"), (parse_seconds, "1_0s"),
    (parse_bytes, "\uff12G"), (parse_bytes, "1\u212aiB"), (parse_bytes, "1_0"), (parse_amount, "\u0665%"),
])  # fmt: skip
def test_only_digits_and_blanks_of_ascii_are_read(parse: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|no size|neither a share"):
        parse(text)


def test_the_digits_behind_the_point_of_a_size_may_be_many() -> None:
    assert parse_bytes("0." + "3" * 50 + " TiB") == 2**40 // 3
