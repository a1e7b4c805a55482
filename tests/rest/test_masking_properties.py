"""A short path is masked as a long one is, which is done in another way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore_sim.masking import masked_path

pytestmark = pytest.mark.thorough
PARTS = st.sampled_from(
    ["/", "?", "&", "=", "+", "@", "//u:", "a", "zones", "sessions", "pass", "Pw", "token", "%25", "%2f", "%70ass"]
)


@given(parts=st.lists(PARTS, max_size=12))
def test_a_short_path_is_masked_as_a_long_one_is(parts: list[str]) -> None:
    target, more = f"/v1/{''.join(parts)}?q=a", f"&n={'x' * 300}"
    assert masked_path(target) + more == masked_path(target + more)
