"""The functions of the collation utf8_general_ci; the expectations are answers of MariaDB 10.11 (query-semantics 3)."""

from __future__ import annotations

import sqlite3
import time

from imagestore_sim.query.collation import fold, fold_padded, matches, register_functions
from imagestore_sim.query.comparisons import RULES
from imagestore_sim.query.conditions import Operator
from imagestore_sim.query.inventories import Kind
from rows import rows


@rows(
    ("one", "other"),
    [
        ("abc", "ABC"),
        ("é", "e"),
        ("É", "E"),
        ("ñ", "N"),
        ("ö", "O"),
        ("ç", "c"),
        ("ß", "s"),
        ("ſ", "s"),
        ("ı", "i"),
        ("ŕ", "R"),
        ("ё", "Е"),
        ("ж", "Ж"),
        ("ά", "Α"),
        ("ς", "σ"),
        ("ａ", "Ａ"),
        ("abc  ", "abc"),
        ("", "   "),
    ],
)
def test_these_are_equal(one: str, other: str) -> None:
    assert fold_padded(one) == fold_padded(other)


@rows(
    ("one", "other"),
    [
        ("ß", "ss"),
        ("æ", "ae"),
        ("ø", "o"),
        ("đ", "d"),
        ("ł", "l"),
        ("й", "и"),
        (" a", "a"),
        ("a\t", "a"),
        ("a\u00a0", "a"),
        ("中", "国"),
        ("か", "が"),
        ("か", "カ"),
        ("한", "하"),
        ("①", "1"),
        ("≠", "="),
        ("a\u0301", "a"),
        ("Ꭰ", "ꭰ"),
        ("ა", "Ა"),
        ("😀", "😁"),
    ],
)
def test_these_are_not_equal(one: str, other: str) -> None:
    assert fold_padded(one) != fold_padded(other)


@rows(
    "ordered",
    [
        [" a", "-a", "0a", "9a", "aa", "AB", "ac", "_a", "{a", "中"],
        ["azb", "a_b"],
        ["a", "a b", "a-b", "a1", "aa"],
        ["Z", "[", "\\", "]", "^", "_", "`", "{", "|", "}", "~"],
        ["e", "éa", "Eb", "f"],
    ],
)
def test_letters_sort_with_their_capitals(ordered: list[str]) -> None:
    shuffled = ordered[::-1]
    assert sorted(shuffled, key=lambda text: fold_padded(text) or "") == ordered


def test_folding_keeps_the_number_of_characters() -> None:
    for text in ("straße", "ŉ", "ﬁ", "ǰ", "İstanbul", "ΐ"):
        assert len(fold(text)) == len(text)


@rows(
    ("text", "pattern", "expected"),
    [
        ("abc", "abc", True),
        ("ABC", "aBc", True),
        ("abc", "b", False),
        ("abc", "%b%", True),
        ("abc", "a%", True),
        ("abc", "%c", True),
        ("abc", "a_c", True),
        ("abc", "____", False),
        ("abc", "%", True),
        ("", "%", True),
        ("", "", True),
        ("a", "", False),
        ("", "_", False),
        ("abc", "%%c", True),
        ("abcabd", "%ab%d", True),
        ("aXbXc", "a%x%c", True),
        ("aab", "%ab", True),
        ("abab", "ab%ab", True),
        ("aba", "ab%ba", False),
        ("abc ", "abc", False),
        ("abc", "abc ", False),
        ("é", "E", True),
        ("é", "_", True),
        ("ß", "s", True),
        ("ß", "ss", False),
        ("中文", "中_", True),
        ("a_b", r"a\_b", True),
        ("axb", r"a\_b", False),
        ("50%", r"50\%", True),
        ("500", r"50\%", False),
        ("a%b", r"%\%%", True),
        (r"a\b", r"a\\b", True),
        ("ab", r"a\b", True),
        (r"a" + "\\", r"a" + "\\", True),
        (r"a" + "\\", r"a" + "\\\\", True),
        ("a\nb", "a_b", True),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("a+b", "a+b", True),
        ("(x", "(x", True),
    ],
)
@rows("implementation", ["python", "sqlite"])
def test_a_pattern_covers_the_whole_text(implementation: str, text: str, pattern: str, expected: bool) -> None:
    _, values = RULES[Kind.TEXT].read(Operator.LIKE, [pattern])
    if implementation == "python":
        assert matches(text, str(values[0])) is expected
    elif text.isascii() and "\n" not in text:
        connection = sqlite3.connect(":memory:")
        assert connection.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, values[0])).fetchone() == (expected,)
        connection.close()


def test_null_matches_nothing_and_is_folded_to_nothing() -> None:
    assert matches(None, "%") is None
    assert matches("a", None) is None
    assert fold_padded(None) is None


def test_a_hostile_pattern_takes_little_time() -> None:
    begun = time.thread_time()
    assert matches("é" * 2000, "%E" * 300 + "X") is False
    assert time.thread_time() - begun < 1


def test_sqlite_knows_the_functions() -> None:
    connection = sqlite3.connect(":memory:")
    register_functions(connection)
    assert connection.execute("SELECT general_ci('é '), general_ci_like('é', 'E')").fetchone() == ("E", 1)
    connection.close()
