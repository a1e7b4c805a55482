"""Tables of rows: of cheap ones one test tries all, and names each that fails; of others each run tries some.

A row that pytest.mark.parametrize makes a test of its own costs some 5 ms besides what it does. Use that for rows that
take longer, that need a fixture of their own, or that may be skipped.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial, wraps
from typing import Any, TypeAlias, TypeVar

import pytest

Test = Callable[..., Any]
Row: TypeAlias = "tuple[Callable[[], str], Mapping[str, object]]"
"""What names a row, and its values by name."""
T = TypeVar("T")
Ids: TypeAlias = "Sequence[str] | Callable[[Any], object] | None"
FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxtuple = _SHORT.maxlist = _SHORT.maxdict = 12


def rows(names: str | Sequence[str], values: Iterable[Any], ids: Ids = None) -> Callable[[Test], Test]:
    """Call a test once for each row of `values`; takes the arguments of pytest.mark.parametrize.

    The parameters of the test that are not in `names` are fixtures, which the rows share. All rows are tried; a failure
    has a note with its row, and several are raised as one group. Raise ValueError for a table without rows, and for a
    row of another length or with marks.
    """
    keys = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
    table = list(_rows(keys, list(values), ids))
    if not table:
        raise ValueError(f"a table of {', '.join(keys)} has no rows")

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        fixtures = [parameter for name, parameter in signature.parameters.items() if name not in keys]
        tried = _trying_each(test, table)
        tried.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]  # pytest reads it
        return tried

    return decorate


def one_of_each(values: Iterable[T], kind: Callable[[T], Hashable], name: Callable[[T], str] = str) -> list[Any]:
    """Return parameters for pytest.mark.parametrize; all but the first value of each kind have the mark `thorough`.

    A tuple holds the values of several parameters.
    """
    seen: set[Hashable] = set()
    found = []
    for value in values:
        marks = (pytest.mark.thorough,) if kind(value) in seen else ()
        seen.add(kind(value))
        found.append(pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=marks, id=name(value)))
    return found


def _rows(keys: Sequence[str], values: Sequence[Any], ids: Ids) -> Iterator[Row]:
    for number, value in enumerate(values):
        given = value if hasattr(value, "marks") else pytest.param(*(value if len(keys) > 1 else [value]))
        if given.marks or len(given.values) != len(keys):
            raise ValueError(f"row {number + 1} has marks, or not the values of {', '.join(keys)}: {value!r}")
        row = dict(zip(keys, given.values, strict=True))
        yield partial(_name, number, len(values), given, ids, row), row


def _name(number: int, count: int, given: Any, ids: Ids, row: Mapping[str, object]) -> str:
    return f"row {number + 1} of {count}{_id(number, given, ids)}: {_SHORT.repr(row)}"


def _id(number: int, given: Any, ids: Ids) -> str:
    if callable(ids):
        chosen = [ids(value) for value in given.values]
        return f" [{'-'.join(str(one) for one in chosen if one is not None)}]"
    found = given.id or (ids[number] if ids else None)
    return f" [{found}]" if found else ""


def _trying_each(test: Test, table: Sequence[Row]) -> Test:
    if inspect.iscoroutinefunction(test):

        @wraps(test)
        async def try_each_in_turn(**fixtures: object) -> None:
            failed: list[BaseException] = []
            for name, row in table:
                try:
                    await test(**fixtures, **row)
                except FAILURES as error:
                    failed.append(_named(error, name()))
            _raise_any(failed, len(table))

        return try_each_in_turn

    @wraps(test)
    def try_each(**fixtures: object) -> None:
        failed: list[BaseException] = []
        for name, row in table:
            try:
                test(**fixtures, **row)
            except FAILURES as error:
                failed.append(_named(error, name()))
        _raise_any(failed, len(table))

    return try_each


def _named(error: BaseException, name: str) -> BaseException:
    """Return a failure with its row in a note; a row that skips fails, or else all others were skipped with it."""
    if isinstance(error, pytest.skip.Exception):
        error = AssertionError(f"a row may not skip: {error.msg}")
    error.add_note(name)
    return error


def _raise_any(failed: Sequence[BaseException], tried: int) -> None:
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {tried} rows failed", failed)
