"""Tokens of the query language in any order give a tree, or an error of the language."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagestore_sim.query import QueryError
from imagestore_sim.query.language.parser import parse
from imagestore_sim.query.language.tokens import DISPLAY_NAMES
from imagestore_sim.query.language.tree import Tree

pytestmark = pytest.mark.thorough


@given(
    st.lists(
        st.sampled_from([name.strip("'") for name in DISPLAY_NAMES[1:]] + ["'x'", "1", "1.5", "name", "zone"]),
        max_size=14,
    )
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_tokens_give_a_tree_or_an_error(tokens: list[str]) -> None:
    text = " ".join(["query zone", *tokens])
    with suppress(QueryError):
        tree = parse(text)
        assert isinstance(tree, Tree)
        assert tree.text().startswith("queryzone")
