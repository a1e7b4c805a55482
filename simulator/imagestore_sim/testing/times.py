"""Durations and moments as tests write them."""

from __future__ import annotations

from datetime import datetime, timedelta

from imagestore_sim.units import parse_seconds, parse_time


def seconds_of(duration: float | str | timedelta) -> float:
    """Return a duration in seconds. Raise ValueError."""
    return duration.total_seconds() if isinstance(duration, timedelta) else parse_seconds(duration)


def epoch_of(moment: float | str | datetime) -> float:
    """Return a time in epoch seconds. Raise ValueError for a text without an offset."""
    text = moment.isoformat() if isinstance(moment, datetime) else moment
    return parse_time(text) if isinstance(text, str) else text
