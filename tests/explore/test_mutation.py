"""Variations of a story that a person wrote."""

from __future__ import annotations

from pathlib import Path

from imagestore_sim.explore.mutation import mutate
from imagestore_sim.explore.story import content_of, read, text_of

STORIES = Path(__file__).parent.parent.parent / "scenarios"


def test_a_seed_gives_the_same_variation_each_time() -> None:
    base = content_of(STORIES / "flapping-link.yaml")
    assert text_of(mutate(base, 3)) == text_of(mutate(base, 3))
    assert len({text_of(mutate(base, seed)) for seed in range(10)}) == 10


def test_variations_can_be_read_and_are_judged_by_the_oracle_alone() -> None:
    for file in sorted(STORIES.glob("*.yaml"))[::12]:
        for seed in range(3):
            made = read(mutate(content_of(file), seed))
            assert made.oracle
            assert not made.invariants
            assert not [step for step in made.timeline if step.expects]


def test_a_variation_keeps_most_of_its_story() -> None:
    base = content_of(STORIES / "add-dies-with-its-host.yaml")
    made = [mutate(base, seed) for seed in range(5)]
    assert all(one["hosts"] == base["hosts"] and one["imageSources"] == base["imageSources"] for one in made)
    assert any("add_image" in step for one in made for step in one["timeline"])


def test_a_variation_has_no_step_about_what_is_not_there_any_more() -> None:
    for name in ("expunge-gives-back", "sync-over-a-slow-line", "address-behind-a-vip"):
        base = content_of(STORIES / f"{name}.yaml")
        for seed in range(8):
            read(mutate(base, seed))
