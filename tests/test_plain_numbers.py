"""Numbers that only Python reads are refused in every model that clients fill, at any depth."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from imagestore_sim.plain_numbers import PlainNumbers
from rows import rows


class Inner(PlainNumbers):
    number: int = Field(1, ge=1)


class Outer(PlainNumbers):
    number: float | None = None
    several: tuple[int, ...] = ()
    inner: Inner = Inner()


@rows("text", ["1_0", "\u0661", "\uff11", "1\u00a0", "\u20091"])
def test_a_number_of_pythons_alone_is_refused_as_no_number(text: str) -> None:
    for given in ({"number": text}, {"several": [text]}, {"inner": {"number": text}}):
        with pytest.raises(ValidationError, match="unable to parse string as a"):
            Outer.model_validate(given)


def test_other_numbers_are_read_as_before() -> None:
    read = Outer.model_validate({"number": " 1e3", "several": ["1", 2], "inner": {"number": "+3"}})
    assert (read.number, read.several, read.inner.number) == (1000, (1, 2), 3)
    assert Inner.model_json_schema()["properties"]["number"]["minimum"] == 1
    assert Outer(number=float("inf")).model_dump()["number"] == float("inf")
