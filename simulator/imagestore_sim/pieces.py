"""Long sequences, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_pieces(of: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield a sequence in order, at most `most` members at a time."""
    return (of[first : first + most] for first in range(0, len(of), most))
