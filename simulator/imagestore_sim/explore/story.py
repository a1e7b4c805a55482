"""A story as data, before it is read: what generation draws, shrinking simplifies, and a finding's file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import Loader, parse_scenario, read_text, scenario_of
from imagestore_sim.yaml_text import write_compact_yaml

Content = dict[str, Any]


def read(content: Content) -> Scenario:
    """Return the story with this content. Raise ScenarioError."""
    return scenario_of(content, "a story")


def key_of(content: Content) -> bytes:
    """Return what two stories have in common that are the same; quicker than their texts."""
    return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


def text_of(content: Content) -> str:
    """Return a story as the text of a file."""
    return write_compact_yaml(content)


def content_of(file: Path) -> Content:
    """Return the story in a file, which is one that can be read. Raise ScenarioError."""
    text = read_text(file)
    parse_scenario(text, str(file))
    content: Content = yaml.load(text, Loader)  # noqa: S506 - a safe loader
    content = {key: value for key, value in content.items() if value is not None}
    return {**content, "hosts": {name: host or {} for name, host in content["hosts"].items()}}
