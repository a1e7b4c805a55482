"""Durations and moments as people write them."""

from __future__ import annotations

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def duration_text(seconds: float) -> str:
    """`1h30m`, `2m30s`, `0.25s`: what `parse_seconds` reads."""
    rest = round(seconds, 3)
    parts: list[str] = []
    for size, unit in _UNITS:
        whole, rest = divmod(rest, size)
        if whole:
            parts.append(f"{whole:.0f}{unit}")
    rest = round(rest, 3)
    if rest or not parts:
        parts.append(f"{rest:g}s")
    return "".join(parts)


def size_text(size: int) -> str:
    """Bytes, exactly when they are whole units, else with two decimals: `1 TiB`, `614.40 GiB`."""
    for exponent, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**exponent:
            number = size / 1024**exponent
            return f"{number:.0f} {unit}" if size % 1024**exponent == 0 else f"{number:.2f} {unit}"
    return f"{size} B"
