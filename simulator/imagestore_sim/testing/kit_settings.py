"""The settings of a lab that a test starts, with the defaults that the kits of all languages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagestore_sim.settings import REAL, Settings

VIRTUAL = "virtual"
PING_SECONDS = 1
"""While the lab's clock runs with the machine's, so that a test sees an outage soon."""
LONGER_PING_SECONDS = 60
"""Else, as ZStack has it: hours are quick to step over."""


def settings_of_kit(clock: str, given: Mapping[str, Any]) -> Settings:
    """Return the settings for a clock, which may be `virtual`. Raise ValidationError."""
    defaults = {
        "port": 0,
        "clock": REAL if clock == VIRTUAL else clock,
        "ping_interval": PING_SECONDS if clock == REAL else LONGER_PING_SECONDS,
    }
    return Settings(**{**defaults, **given})
