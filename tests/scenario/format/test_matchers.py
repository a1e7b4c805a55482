"""What the values in expectations match."""

from __future__ import annotations

from imagestore_sim.scenario.format.expectations import Condition
from rows import rows


@rows(
    ("value", "seen", "matches"),
    [
        ("> 0.5", 0.4, False),
        ("> 0.5", 0.6, True),
        ("<= 2.5", 2.4, True),
        ("< 2.5", 2.6, False),
        ("1.5 KiB", 1536, True),
    ],
)
def test_a_metric_is_compared_with_the_number_that_is_written(value: str, seen: float, matches: bool) -> None:
    condition = Condition.model_validate({"metric": "m", "value": value})
    assert condition.value is not None
    assert condition.value.matches(seen, {}) is matches
