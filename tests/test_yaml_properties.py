"""A value that is dumped as YAML is read the same way as a large text and as a small one."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from test_yaml_text import LOADERS, outcome

pytestmark = pytest.mark.thorough
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(SCALARS, inner)), max_leaves=20)


@given(VALUES, st.booleans())
def test_what_is_dumped_is_read_the_same_way_as_a_large_text(value: object, in_flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=in_flow, allow_unicode=True)
    for loader in LOADERS:
        assert outcome(text, loader, large=True) == outcome(text, loader, large=False)
