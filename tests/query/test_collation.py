"""Compare, match, sort, group and count names as a plain model of utf8_general_ci does, from a table of weights.

Ties come in the order of the key.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from itertools import zip_longest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from imagestore_sim.database import Database
from imagestore_sim.database.models import Zone
from imagestore_sim.query import ZONE, Query, QueryEngine, register_functions
from imagestore_sim.query.collation import fold
from imagestore_sim.query.conditions import Condition, Operator, Sort

pytestmark = pytest.mark.thorough
ALIKE = {
    "A": "aAáÀâÄåāǎ",
    "B": "bB",
    "C": "cCçČ",
    "E": "eEéÈëęě",
    "G": "gGğ",
    "I": "iIíÎïı",
    "N": "nNñŇ",
    "O": "oOöÓõ",
    "S": "sSßšŞ",
    "U": "uUüÚů",
    "Y": "yYýÿ",
    "Z": "zZžŻ",
    "Б": "бБ",
    "Я": "яЯ",
    "Ω": "ωΩ",
    "Ł": "łŁ",
    "Đ": "đĐ",
    "Ø": "øØ",
    "Æ": "æÆ",
}
WEIGHTS = {letter: capital for capital, letters in ALIKE.items() for letter in letters}
"""Of each letter the one that all alike weigh as; what is not here weighs as itself."""
OTHERS = " %_\\-.!09中文日本한"
"""No apostrophe, which no value may hold."""
DATES = {"createDate": datetime(2017, 11, 14), "lastOpDate": datetime(2017, 11, 14)}
letters = st.sampled_from("".join(ALIKE.values()) + OTHERS)
names = st.one_of(
    st.text(letters, max_size=5),
    st.sampled_from(["", " ", "a", "A ", "á", "a_b", "a%b", "a\\b", "100%", "中文", "中文 ", "ss", "ß"]),
)
patterns = st.text(st.one_of(letters, st.sampled_from("%%__\\aA")), max_size=5)
COMPARISONS: dict[Operator, Callable[[int, int], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def weigh(character: str) -> str:
    return WEIGHTS.get(character, character)


def compare(one: str, other: str) -> int:
    """Below, at or above 0: letter by letter, the shorter one filled up with blanks."""
    for mine, yours in zip_longest(map(weigh, one), map(weigh, other), fillvalue=" "):
        if mine != yours:
            return -1 if mine < yours else 1
    return 0


def like(text: str, pattern: str) -> bool:
    """Return whether LIKE matches the whole text, in which trailing blanks count."""
    if not pattern:
        return not text
    first, rest = pattern[0], pattern[1:]
    if first == "%":
        return like(text, rest) or (bool(text) and like(text[1:], pattern))
    if first == "\\" and rest:
        first, rest = rest[0], rest[1:]
    elif first == "_":
        return bool(text) and like(text[1:], rest)
    return bool(text) and weigh(text[0]) == weigh(first) and like(text[1:], rest)


def holds(name: str, condition: Condition) -> bool:
    match condition.operator:
        case Operator.LIKE:
            return like(name, condition.value)
        case Operator.NOT_LIKE:
            return not like(name, condition.value)
        case Operator.IN:
            return any(compare(name, one) == 0 for one in condition.value.split(","))
        case Operator.NOT_IN:
            return all(compare(name, one) != 0 for one in condition.value.split(","))
    return COMPARISONS[condition.operator](compare(name, condition.value), 0)


conditions = st.one_of(
    st.builds(Condition, st.just("name"), st.sampled_from(list(COMPARISONS)), names),
    st.builds(Condition, st.just("name"), st.sampled_from([Operator.LIKE, Operator.NOT_LIKE]), patterns),
    st.builds(
        Condition,
        st.just("name"),
        st.sampled_from([Operator.IN, Operator.NOT_IN]),
        st.lists(names, min_size=1, max_size=4).map(",".join),
    ),
)


@dataclass
class Zones:
    """An engine, and the names of the zones in its database, in the order of their uuids."""

    runner: asyncio.Runner
    database: Database
    engine: QueryEngine

    def hold(self, names: list[str]) -> None:
        self.runner.run(self._hold(names))

    async def _hold(self, names: list[str]) -> None:
        common = {"state": "Enabled", "type": "zstack", "isDefault": False} | DATES
        rows = [common | {"uuid": f"{number:032x}", "name": name} for number, name in enumerate(names)]
        async with self.database.transaction() as connection:
            await connection.execute(delete(Zone))
            await connection.execute(insert(Zone), rows)

    def find(self, query: Query) -> list[int]:
        found = self.runner.run(self.engine.run(ZONE, query))
        return [int(str(row["uuid"]), 16) for row in found.rows or ()]

    def prepare_query(self, text: str) -> dict[str, object]:
        (found,) = self.runner.run(self.engine.results(text))
        return found


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    with asyncio.Runner() as runner:
        file = tmp_path_factory.mktemp("collation") / "zones.db"
        database = runner.run(Database.open(str(file), prepare=register_functions))
        yield Zones(runner, database, QueryEngine(database, write_date=str))
        runner.run(database.close())


repeatable = settings(deadline=None, derandomize=True, max_examples=40, suppress_health_check=list(HealthCheck))


@given(st.lists(names, min_size=1, max_size=12), conditions)
@repeatable
def test_a_condition_compares_by_the_collation(zones: Zones, given_names: list[str], condition: Condition) -> None:
    zones.hold(given_names)
    expected = [number for number, name in enumerate(given_names) if holds(name, condition)]
    assert zones.find(Query((condition,))) == expected


@given(st.lists(names, min_size=1, max_size=12), st.booleans())
@repeatable
def test_names_sort_by_the_collation_and_ties_by_key(zones: Zones, given_names: list[str], descending: bool) -> None:
    zones.hold(given_names)
    turn = -1 if descending else 1

    def by_name(one: int, other: int) -> int:
        return turn * compare(given_names[one], given_names[other])

    expected = sorted(range(len(given_names)), key=cmp_to_key(by_name))
    assert zones.find(Query(sort=Sort("name", descending))) == expected


@given(st.lists(names, min_size=1, max_size=12))
@repeatable
def test_equal_names_are_one_group(zones: Zones, given_names: list[str]) -> None:
    zones.hold(given_names)
    groups: list[list[str]] = []
    for name in sorted(given_names, key=cmp_to_key(compare)):
        if groups and compare(groups[-1][0], name) == 0:
            groups[-1].append(name)
        else:
            groups.append([name])
    found = zones.prepare_query("count zone group by name")
    counts = found["inventoryCounts"]
    assert isinstance(counts, list)
    rows: list[tuple[dict[str, str], int]] = counts
    assert [count for _, count in rows] == [len(group) for group in groups]
    assert all(row["name"] in group for (row, _), group in zip(rows, groups, strict=True))
    assert zones.prepare_query("count distinct(zone.name)") == {"total": len(groups)}


def test_folding_folded_text_changes_nothing() -> None:
    characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    assert [one for one in characters if fold(fold(one)) != fold(one)] == []
