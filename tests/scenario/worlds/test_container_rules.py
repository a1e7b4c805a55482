"""What containers cannot do for images is refused before anything is started."""

from __future__ import annotations

import pytest

from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario

pytest.importorskip("aiodocker", reason="needs the extra `compose`")
from imagestore_sim.scenario.worlds.container_rules import broken_rules

STORY = """
title: t
hosts: {h-1: {size: 1 TiB, inodes: 1000}}
timeline:
  - add_image: {image: debian}
"""


def test_images_are_not_written_to_a_disk_in_memory() -> None:
    with pytest.raises(ScenarioError, match=r"hosts\.h-1\.inodes: containers: a disk with `inodes` is in memory"):
        parse_scenario(STORY, "s.yaml", broken_rules)


def test_images_are_written_to_a_disk_with_blocks() -> None:
    parse_scenario(STORY.replace(", inodes: 1000", ""), "s.yaml", broken_rules)


def test_an_order_is_for_virtual_time() -> None:
    with pytest.raises(ScenarioError, match="line 2, column 1: order: containers are in real time"):
        parse_scenario("title: t\norder: {seed: 3}\nhosts: {h-1: }\ntimeline: [note: x]\n", "s.yaml", broken_rules)
