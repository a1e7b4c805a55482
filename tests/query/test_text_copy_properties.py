"""Copies of texts in memory leave out no text that matches, whatever the texts and the pattern are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagestore_sim.query.collation import fold, matches
from imagestore_sim.query.text_index import TextCopy, longest_part

pytestmark = pytest.mark.thorough
PIECES = ["a", "A", "e", "é", "É", "ß", "s", "ss", "_", "%", "\\", "\\%", "\\_", "\\\\", " ", "中", "Б", "б", "\n", "1"]
pieces = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@given(st.lists(pieces, max_size=20), pieces)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_a_copy_leaves_out_no_text_that_matches(texts: list[str], pattern: str) -> None:
    folded = fold(pattern)
    part = longest_part(folded)
    copy = TextCopy([(text, str(number)) for number, text in enumerate(texts)], 0)
    found = copy.with_part(part) if part else None
    assert found is None or set(found) >= {str(at) for at, text in enumerate(texts) if matches(text, folded)}
    assert found is None or len(set(found)) == len(found)
