"""A table of rows as one test: every row is tried, and a failure names its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from rows import one_of_each, rows

pytest_plugins = "pytester"
TESTS = """
import pytest
from rows import one_of_each, rows

@pytest.fixture
def base():
    return 10

@rows(("one", "two"), [(1, 11), (2, 99), (3, 98), pytest.param(4, 14, id="last")])
def test_sums(base: int, one: int, two: int) -> None:
    assert base + one == two

@rows("text", ["1", "x", "2"], ids=["first", "second", "third"])
async def test_numbers(text: str) -> None:
    int(text)

@rows("one", [1, 2])
@rows("two", [1, 2])
def test_pairs(one: int, two: int) -> None:
    assert (one, two) != (2, 1)

@rows("wrong", [ValueError, KeyError])
def test_raises(wrong: type[Exception]) -> None:
    with pytest.raises(ValueError):
        raise wrong

@rows("one", [1, 2])
def test_a_row_that_skips(one: int) -> None:
    if one == 1:
        pytest.skip("not here")

@rows("one", [1, 2])
def test_all_is_well(one: int) -> None:
    assert one
"""


def test_a_failure_names_its_row(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"
    )
    result.assert_outcomes(passed=1, failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "*2 of 4 rows failed*",
            "*row 2 of 4: {'one': 2, 'two': 99}*",
            "*row 3 of 4: {'one': 3, 'two': 98}*",
            "*row 2 of 3 [[]second[]]: {'text': 'x'}*",
            "*row 1 of 2: {'two': 1}*",
            "*row 2 of 2: {'one': 2}*",
            "*row 2 of 2: {'wrong': <class 'KeyError'>}*",
            "*a row may not skip: not here*",
        ]
    )


def test_every_row_is_tried() -> None:
    seen: list[object] = []

    @rows(["one", "two"], [(1, "a"), (2, "b")])
    def test(one: int, two: str) -> None:
        seen.append((one, two))
        raise AssertionError(two)

    with pytest.raises(BaseExceptionGroup) as caught:
        test()
    assert seen == [(1, "a"), (2, "b")]
    assert [str(one) for one in caught.value.exceptions] == ["a", "b"]


@pytest.mark.parametrize("values", [[], [(1,)], [(1, 2, 3)], [pytest.param(1, 2, marks=pytest.mark.sshd)]])
def test_a_table_that_would_try_less_than_it_seems_to_is_refused(values: list[object]) -> None:
    with pytest.raises(ValueError, match=r"rows|row 1"):
        rows("one, two", values)


def test_each_run_tries_one_row_of_each_kind_and_thorough_ones_all() -> None:
    found = one_of_each(["ab", "cd", "efg", ("h", "i")], len)
    assert [(one.id, one.values, [mark.name for mark in one.marks]) for one in found] == [
        ("ab", ("ab",), []),
        ("cd", ("cd",), ["thorough"]),
        ("efg", ("efg",), []),
        ("('h', 'i')", ("h", "i"), ["thorough"]),
    ]
