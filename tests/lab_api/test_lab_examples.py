"""The examples of `/lab/v1`: what a lab answers now."""

from __future__ import annotations

import pytest

from generate import GENERATED


@pytest.mark.thorough
def test_a_lab_still_answers_the_examples_as_they_are() -> None:
    assert GENERATED["lab-examples"].stale() == [], "run `make docs PAGES=lab-examples`"
