"""The settings of a lab that a test starts, with the defaults that the kits of all languages share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from imagestore_sim.settings import REAL, Settings, describe_bad_value
from imagestore_sim.suggestions import instead
from imagestore_sim.validation_errors import first_problem

VIRTUAL = "virtual"
PING_SECONDS = 1
"""While the lab's clock runs with the machine's, so that a test sees an outage soon."""
LONGER_PING_SECONDS = 60
"""Else, as ZStack has it: hours are quick to step over."""


def settings_of_kit(clock: str, given: Mapping[str, Any], own: Collection[str]) -> Settings:
    """Return the settings for a clock, which may be `virtual`. Raise ValueError with one line.

    `own` are the names of the options that the caller takes beside settings.
    """
    for name in given:
        if name not in Settings.model_fields:
            known = sorted((*own, *Settings.model_fields))
            raise ValueError(f"{name}: there is no such option; {instead(name, known)}")
    defaults = {
        "port": 0,
        "clock": REAL if clock == VIRTUAL else clock,
        "ping_interval": PING_SECONDS if clock == REAL else LONGER_PING_SECONDS,
    }
    try:
        return Settings(**{**defaults, **given})
    except ValidationError as error:
        problem = first_problem(error)
    raise ValueError(f"{problem.field}: {describe_bad_value(problem)}")
